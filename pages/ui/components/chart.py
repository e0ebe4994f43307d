"""A chart with a heading and a menu that saves it as SVG, PNG or CSV.

The browser makes the images from what Vega has drawn, so they cost the server nothing. Streamlit
does not offer Vega's own menu of actions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from pages.ui.components.component import register_component

if TYPE_CHECKING:
    import altair
    import pandas as pd

_mount_menu = register_component("save", "save_menu/menu")


def draw_chart(
    chart: altair.Chart | altair.LayerChart,
    key: str,
    *,
    title: str,
    subtitle: str = "",
    help: str | None = None,
    alt: str,
    filename: str,
    subject: str = "",
    make_table: Callable[[], pd.DataFrame],
) -> None:
    """Draw a chart below its heading.

    Args:
        chart: the chart.
        key: key of the chart on its page.
        title: heading.
        subtitle: explanation beside the heading, in grey.
        help: tooltip of the heading.
        alt: description for screen readers.
        filename: name of the saved files, without their extension.
        subject: what the chart is about, such as a run's name; precedes the title in saved files.
        make_table: returns the plotted values; called when the CSV file is requested.
    """
    menu_key = f"save_{key}"
    requested = (st.session_state.get(menu_key) or {}).get("csv")
    with st.container(key=f"chart_{key}"):
        with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="xsmall"):
            st.markdown(f"##### {title} :gray[:small[{subtitle}]]", help=help, width="stretch")
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
        st.altair_chart(chart, key=key, alt=alt)
