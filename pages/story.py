"""Story: the path from a first network to a small one, step by step, over the shipped runs."""

import streamlit as st

from core.errors import UserError
from core.reports import story
from core.runs.run import Run
from pages.ui.components.copy_link import draw_copy_link
from pages.ui.components.remote import listen_to_remote
from pages.ui.frame import KEPT, page
from pages.ui.story.chapters import list_chapters
from pages.ui.story.presenting import draw_present_button
from pages.ui.story.rungs import load_measurements
from pages.ui.story.worksheet import draw_worksheet_menu
from pages.ui.words import capitalise, escape_markdown


def go_to(place: tuple[str, str]) -> None:
    """Go to a step."""
    st.session_state["chapter"], st.session_state["step"] = place


def go_to_first_step() -> None:
    """Go to the first step of the chosen chapter."""
    st.session_state["step"] = next(iter(chapters[st.session_state["chapter"]]))


page("Story", heading="From a first network to a small one", style="story/story.css")
runs: dict[str, Run] = {}
missing = []
for name in story.CHAPTERS:
    try:
        runs[name] = story.open_shipped_run(name)
    except UserError as error:
        missing.append(capitalise(str(error)))
if missing:
    st.warning(
        "Part of the story is missing. " + escape_markdown(" ".join(missing)),
        icon=":material/error:",
    )
measurements = load_measurements()
chapters = list_chapters(runs, measurements)
path = [(chapter, step) for chapter, steps in chapters.items() for step in steps]
bar = st.container(horizontal=True, vertical_alignment="center", gap="small", key="bar")
chapter = bar.segmented_control(
    "Chapter",
    list(chapters),
    default=story.GOAL,
    required=True,
    key="chapter",
    on_change=go_to_first_step,
    label_visibility="collapsed",
    wrap=True,
    **KEPT,
)
steps = list(chapters[chapter])
step = steps[0]
if len(steps) > 1:
    if st.session_state.get("step", step) not in steps:
        go_to_first_step()
    step = st.segmented_control(
        "Step",
        steps,
        default=step,
        required=True,
        key="step",
        label_visibility="collapsed",
        wrap=True,
        **KEPT,
    )
at = path.index((chapter, step))
bar.space("stretch")
with bar.container(horizontal=True, width="content", gap="small"):
    st.button(
        "Back",
        icon=":material/arrow_back:",
        shortcut="Left",
        on_click=go_to,
        args=(path[max(0, at - 1)],),
        key="story_back",
        disabled=at == 0,
        help="Shortcut: left arrow key.",
    )
    st.button(
        "Next",
        icon=":material/arrow_forward:",
        icon_position="right",
        shortcut="Right",
        on_click=go_to,
        args=(path[min(len(path) - 1, at + 1)],),
        key="story_next",
        type="primary",
        disabled=at == len(path) - 1,
        help="Shortcut: right arrow key.",
    )
    draw_present_button(runs, measurements)
    draw_worksheet_menu(chapter)
    draw_copy_link("story_copy_link")
with st.container(key="story"):
    chapters[chapter][step]()
listen_to_remote(back="story_back", next="story_next")
