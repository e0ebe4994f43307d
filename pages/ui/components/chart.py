"""A chart with a heading and a menu that saves it as SVG, PNG or CSV.

The browser makes the images from what Vega has drawn, so they cost the server nothing. Streamlit
does not offer Vega's own menu of actions.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

import streamlit as st

from pages.ui.components.component import register_component

if TYPE_CHECKING:
    import altair
    import pandas as pd

    Chart = altair.Chart | altair.LayerChart

_mount_menu = register_component("save", "save_menu/menu")


def draw_chart(
    chart: Chart | Callable[[], Chart],
    key: str,
    *,
    title: str,
    subtitle: str = "",
    help: str | None = None,
    alt: str,
    filename: str,
    subject: str = "",
    make_table: Callable[[], pd.DataFrame],
    version: Hashable = None,
) -> None:
    """Draw a chart below its heading.

    Args:
        chart: the chart, or a function that makes it, for a chart with a version.
        key: key of the chart on its page.
        title: heading.
        subtitle: explanation beside the heading, in grey.
        help: tooltip of the heading.
        alt: description for screen readers.
        filename: name of the saved files, without their extension.
        subject: what the chart is about, such as a run's name; precedes the title in saved files.
        make_table: returns the plotted values; called when the CSV file is requested.
        version: changes with everything that is drawn; what was drawn for it is sent again as it
            is, since making a chart takes about a tenth of a second. None: the chart is made anew.
    """
    menu_key = f"save_{key}"
    requested = (st.session_state.get(menu_key) or {}).get("csv")
    with st.container(key=f"chart_{key}"):
        with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="xsmall"):
            st.markdown(f"## {title} :gray[:small[{subtitle}]]", help=help, width="stretch")
            _mount_menu(
                key=menu_key,
                on_csv_change=lambda: None,
                width="content",
                data={
                    "filename": filename,
                    "title": title,
                    "subtitle": subtitle,
                    "heading": f"{subject}: {title}" if subject else title,
                    "requested": requested or 0,
                    "csv": make_table().to_csv(index=False) if requested else None,
                },
            )
        if version is None:
            st.altair_chart(chart() if callable(chart) else chart, key=key, alt=alt)
        else:
            _draw_once(key, filename, version, chart, alt)


# Streamlit keeps the elements that a cached function draws, and sends them again.
@st.cache_data(max_entries=64, show_spinner=False)
def _draw_once(
    key: str, filename: str, version: Hashable, _chart: Chart | Callable[[], Chart], _alt: str
) -> None:
    st.altair_chart(_chart() if callable(_chart) else _chart, key=key, alt=_alt)
