"""The worksheet of a chapter: to print, or as a file."""

from __future__ import annotations

import streamlit as st

from core.errors import UserError
from core.reports import worksheet_text
from core.reports.worksheets import NAMES, build_worksheet
from pages.ui.components.print_button import draw_print_button
from pages.ui.words import capitalise, escape_markdown, plural

_OPEN = "story_worksheet"  # key of the popover


def draw_worksheet_menu(chapter: str) -> None:
    """Draw the menu with the worksheet of a chapter.

    Args:
        chapter: its title.
    """
    popover = st.popover("Worksheet", icon=":material/assignment:", key=_OPEN, on_change="rerun")
    if not popover.open:
        return
    with popover:
        try:
            worksheet = build_worksheet(NAMES[chapter])
        except UserError as error:
            st.error(escape_markdown(capitalise(str(error))), icon=":material/error:")
            return
        html = worksheet_text.to_html(worksheet)
        st.markdown(
            f"**{escape_markdown(worksheet.title)}** "
            f":gray[:small[{plural(len(worksheet.questions), 'question')} on a page of A4, the "
            "answers on a second one]]"
        )
        with st.container(horizontal=True, gap="small"):
            draw_print_button("story_print", html)
            st.download_button(
                "HTML",
                html,
                f"worksheet-{NAMES[chapter]}.html",
                "text/html",
                key="story_worksheet_html",
                on_click="ignore",
                icon=":material/download:",
            )
