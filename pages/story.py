"""Story: the path from a first network to a small one, step by step, over the shipped runs."""

import streamlit as st

from core.errors import UserError
from core.reports import story
from core.runs.run import Run
from pages.ui.components.copy_link import draw_copy_link
from pages.ui.components.remote import listen_to_remote
from pages.ui.frame import KEPT, page
from pages.ui.story.steps import STEPS, draw_end, draw_goal
from pages.ui.words import capitalise, escape_markdown

GOAL, END = "The goal", "The end"
FIRST = next(iter(STEPS))


def steps_of(chapter: str) -> list[str]:
    """The steps of a chapter; the first and the last chapter have only one."""
    run = runs.get(chapter.lower())
    if run is None:
        return [FIRST]
    return [step for step in STEPS if step != "Augmentation" or story.augmented_epochs(run)]


def go_to(place: tuple[str, str]) -> None:
    """Go to a step."""
    st.session_state["chapter"], st.session_state["step"] = place


def go_to_first_step() -> None:
    """Go to the first step of the chosen chapter."""
    st.session_state["step"] = FIRST


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
chapters = [GOAL, *(story.chapter_title(name) for name in runs), *([END] if not missing else [])]
path = [(chapter, step) for chapter in chapters for step in steps_of(chapter)]
bar = st.container(horizontal=True, vertical_alignment="center", gap="small", key="bar")
chapter = bar.segmented_control(
    "Chapter",
    chapters,
    default=GOAL,
    required=True,
    key="chapter",
    on_change=go_to_first_step,
    label_visibility="collapsed",
    wrap=True,
    **KEPT,
)
name, step = chapter.lower(), FIRST
if name in runs:
    if st.session_state.get("step", FIRST) not in steps_of(chapter):
        go_to_first_step()
    step = st.segmented_control(
        "Step",
        steps_of(chapter),
        default=FIRST,
        required=True,
        key="step",
        label_visibility="collapsed",
        wrap=True,
        **KEPT,
    )
at = path.index((chapter, step))
with bar:
    st.space("stretch")
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
    draw_copy_link("story_copy_link")
with st.container(key="story"):
    if chapter == GOAL:
        draw_goal()
    elif chapter == END:
        draw_end(runs)
    else:
        earlier = [other for other in story.CHAPTERS[: story.CHAPTERS.index(name)] if other in runs]
        STEPS[step](runs[name], runs[earlier[-1]] if earlier else None)
listen_to_remote(back="story_back", next="story_next")
