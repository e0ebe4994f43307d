"""A chart under its heading, with a menu that saves it: as SVG or PNG as it is on the page, and its figures as CSV.

The pictures are made in the browser from what Vega has drawn there, so they cost the server nothing; Streamlit passes
Vega's own menu of actions by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from pages.ui.components.component import component

if TYPE_CHECKING:
    import altair
    import pandas as pd

_menu = component("save", "save_menu/menu")


def draw(
    chart: altair.TopLevelMixin,
    key: str,
    *,
    title: str,
    quiet: str = "",
    help: str | None = None,
    alt: str,
    file: str,
    of: str = "",
    table: Callable[[], pd.DataFrame],
) -> None:
    """Draw a chart.

    Args:
        chart: what to draw.
        key: of the chart on its page.
        title: the heading.
        quiet: an explanation beside it.
        help: of a term in the heading.
        alt: what it shows, for screen readers.
        file: name of the files that it is saved as, without an ending.
        of: whose chart it is, for the heading in the files.
        table: makes the figures it shows, when they are asked for.
    """
    saved = f"save_{key}"
    asked = (st.session_state.get(saved) or {}).get("csv")
    with st.container(key=f"chart_{key}"):
        with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="xsmall"):
            st.markdown(f"##### {title} :gray[:small[{quiet}]]", help=help, width="stretch")
            _menu(
                key=saved,
                on_csv_change=lambda: None,
                width="content",
                data={
                    "file": file,
                    "title": title,
                    "quiet": quiet,
                    "heading": f"{of}: {title}" if of else title,
                    "asked": asked or 0,
                    "csv": table().to_csv(index=False) if asked else None,
                },
            )
        st.altair_chart(chart, key=key, alt=alt)
