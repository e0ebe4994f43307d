"""Story: the path from a first network to a small one, told step by step over the runs that came with the app."""

import streamlit as st

from core.errors import UserError
from core.reports import story
from pages.ui.frame import KEPT, page
from pages.ui.story.steps import STEPS, draw_end, draw_goal

GOAL, END = "The goal", "The end"
FIRST = next(iter(STEPS))


def steps_of(chapter: str) -> list[str]:
    """The steps of a chapter."""
    run = runs.get(chapter.lower())
    if run is None:
        return [FIRST]
    return [step for step in STEPS if step != "Augmentation" or story.augmented_epochs(run)]


def go(place: tuple[str, str]) -> None:
    """Turn to a step."""
    st.session_state["chapter"], st.session_state["step"] = place


def begin() -> None:
    """Start a chapter that was chosen at its first step."""
    st.session_state["step"] = FIRST


page("Story", heading="From a first network to a small one", style="story/story.css")
runs, missing = {}, []
for name in story.PATH:
    try:
        runs[name] = story.told(name)
    except UserError as error:
        missing.append(str(error))
if missing:
    st.warning("The story cannot be told whole. " + " ".join(missing), icon=":material/error:")
chapters = [GOAL, *(story.title(name) for name in runs), *([END] if not missing else [])]
path = [(each, step) for each in chapters for step in steps_of(each)]
bar = st.container(horizontal=True, vertical_alignment="center", gap="small", key="bar")
chapter = bar.segmented_control(
    "Chapter",
    chapters,
    default=GOAL,
    required=True,
    key="chapter",
    on_change=begin,
    label_visibility="collapsed",
    wrap=True,
    **KEPT,
)
name, step = chapter.lower(), FIRST
if name in runs:
    if st.session_state.get("step", FIRST) not in steps_of(chapter):
        begin()
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
        on_click=go,
        args=(path[max(0, at - 1)],),
        key="back",
        disabled=at == 0,
        help="Or the left arrow key.",
    )
    st.button(
        "Next",
        icon=":material/arrow_forward:",
        icon_position="right",
        shortcut="Right",
        on_click=go,
        args=(path[min(len(path) - 1, at + 1)],),
        key="next",
        type="primary",
        disabled=at == len(path) - 1,
        help="Or the right arrow key.",
    )
with st.container(key="story"):
    if chapter == GOAL:
        draw_goal()
    elif chapter == END:
        draw_end(runs)
    else:
        before = [each for each in story.PATH[: story.PATH.index(name)] if each in runs]
        STEPS[step](runs[name], runs[before[-1]] if before else None)
