"""The story presented: the button, and the slides that it shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.data.labelled_images import LabelledImages
from core.errors import UserError
from core.experiments import measurements as results
from core.experiments.measurements import Measurements
from core.insight.mistakes import Predictions
from core.runs.file_cache import file_signature
from core.runs.run import Run
from pages.ui import dataset
from pages.ui.components.presentation import draw_presentation
from pages.ui.frame import warn_unknown
from pages.ui.mistakes.shared import predict_test_images
from pages.ui.story.slide import Material
from pages.ui.story.slides import build_slides

LINK = "slide"  # in the link: the slide that is shown
KEY = "story_present"  # of the button
_ASKED = "story_slides_asked"  # session key


def draw_present_button(runs: Mapping[str, Run], measurements: Measurements) -> None:
    """Draw the button that presents the story, and the slide that the link asks for.

    The slides are made only when they are asked for; the browser keeps them.

    Args:
        runs: the shipped runs that are there, by name.
        measurements: the measured figures.
    """
    linked = st.query_params.get(LINK, "")
    slides = None
    if st.session_state.pop(_ASKED, False) or linked:
        slides = _list_slides(runs, measurements)
        warn_unknown(LINK, [slide["name"] for slide in slides], "slide")
    draw_presentation(KEY, slides, linked, on_ask=_ask)


def _ask() -> None:
    st.session_state[_ASKED] = True


def _list_slides(runs: Mapping[str, Run], measurements: Measurements) -> list[dict[str, Any]]:
    sets = dataset.find_digits() or {}
    predictions = {}
    for run in runs.values() if sets else ():
        try:
            predictions[run.name] = predict_test_images(run, sets["test"])
        except UserError:
            continue  # the slide of its mistakes is left out
    made_from = (
        [(run.name, str(run.folder), run.updated.isoformat()) for run in runs.values()],
        str(file_signature(results.FILE)),
        bool(sets),
        sorted(predictions),
    )
    return _make_slides(made_from, runs, measurements, sets, predictions)


@st.cache_data(max_entries=2, show_spinner=False)
def _make_slides(
    made_from: Any,
    _runs: Mapping[str, Run],
    _measurements: Measurements,
    _sets: Mapping[str, LabelledImages],
    _predictions: Mapping[str, Predictions],
) -> list[dict[str, Any]]:
    material = Material(
        _runs, _measurements, _sets.get("training"), _sets.get("test"), _predictions
    )
    return [slide.to_dict() for slide in build_slides(material)]
