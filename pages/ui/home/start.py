"""Three ways to start: read the story, train, draw."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.models.architectures import rows_of
from core.models.shapes import count_parameters, trace
from core.recipes import RECIPES
from core.runs.run import Run
from core.task import GOAL_ACCURACY, TRAINING_IMAGES
from pages.ui import words


def draw_ways_to_start(runs: Sequence[Run]) -> None:
    """Draw three cards that link to Story, Train and Draw."""
    final = next((run for run in runs if run.name == "final" and run.last), None)
    config = RECIPES["final"].config
    parameters = count_parameters(trace(rows_of(config)))
    result = f"{words.format_accuracy(final)} here" if final else f"goal: {GOAL_ACCURACY}\u00a0%"
    drawing = (
        "Draw one with the mouse or a finger, and watch trained networks classify it."
        if any(run.epochs for run in runs)
        else "Draw one, and see what a network receives: 28 by 28 pixels."
    )
    cards: tuple[tuple[str, str, str, str, dict[str, str]], ...] = (
        (
            "Read the story",
            "How a first network shrank to a quarter of its size, and what each change achieved.",
            "Story",
            "story",
            {},
        ),
        (
            "Train the Final recipe",
            f"{parameters:,} parameters, {config.epochs} epochs on {TRAINING_IMAGES:,} images "
            f"({result}).",
            "Train",
            "train",
            {"start": "final"},
        ),
        ("Draw a digit", drawing, "Draw", "draw", {}),
    )
    for column, (title, text, link, file, settings) in zip(
        st.columns(3, gap="medium"), cards, strict=True
    ):
        with column.container(border=True, height="stretch"):
            st.markdown(f"## {title}")
            st.markdown(text)
            st.space("stretch")
            st.page_link(
                f"pages/{file}.py",
                label=f":primary[{link}]",
                icon=":material/arrow_forward:",
                icon_position="right",
                query_params=settings,
            )
