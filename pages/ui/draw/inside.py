"""How a network arrives at its prediction: the feature maps of its layers, saliency, occlusion."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.insight import explanations
from core.insight.explanations import Occlusion
from core.insight.forward_pass import run_forward
from core.runs.run import Run
from pages.ui import checkpoints
from pages.ui.components.layers import draw_layers
from pages.ui.components.maps import MapRow, draw_maps
from pages.ui.components.rewind import choose_epoch
from pages.ui.draw.networks import Runs, format_percent, predict_images
from pages.ui.draw.subject import Subject
from pages.ui.frame import KEPT, heading

PREDICTED = "prediction"
MIN_DROP = 0.01  # of probability; the strongest colour stands for at least this drop
MAP_WIDTH = 26  # rem


def show_layers(runs: Runs, run: Run, image: np.ndarray, subject: Subject) -> None:
    """Show the outputs of every row of a network, as it was after the chosen epoch."""
    epoch = choose_epoch(run, "draw_rewind")
    model = checkpoints.load_cached_model(run, "last" if epoch is None else epoch)
    forward = run_forward(model, image)
    st.caption(
        "The outputs of each row of the network: blue above 0, orange below, each row on its own "
        "scale. Click a map, or move with the arrow keys, to see how one of its values arises."
    )
    draw_layers(forward, key="draw_layers")


def show_reasons(runs: Runs, run: Run, image: np.ndarray, subject: Subject) -> None:
    """Show saliency and occlusion maps over the digit."""
    with st.container(horizontal=True, vertical_alignment="top", gap="medium"):
        selected = (
            st.segmented_control(
                "Reasons for",
                [PREDICTED, *map(str, range(10))],
                default=PREDICTED,
                wrap=True,
                required=True,
                key="why",
                **KEPT,
            )
            or PREDICTED
        )
        patch = st.slider(
            "Hidden square",
            2,
            12,
            5,
            key="patch",
            width=180,
            format="%d px",
            **KEPT,
            help="Side of the square that hides a part of the digit, at every position in turn.",
        )
    probabilities = predict_images(run, image[None])[0]
    digit = int(probabilities.argmax()) if selected == PREDICTED else int(selected)
    model = checkpoints.load_cached_model(run)
    left, right = st.columns(2, gap="large")
    with left:
        _draw_saliency(explanations.saliency(model, image, digit), image, digit)
    with right:
        _draw_occlusion(explanations.occlusion(model, image, digit, patch), image, digit, patch)


def _draw_saliency(gradient: np.ndarray, image: np.ndarray, digit: int) -> None:
    heading("Saliency", "where ink would matter")
    _draw_map(
        gradient / (float(np.abs(gradient).max()) or 1.0),
        image,
        "draw_saliency",
        f"Where more ink raises or lowers the logit of {digit}",
    )
    st.caption(
        f"Blue: more ink raises the logit of {digit}. Orange: more ink lowers it. Gradient of the "
        "logit with respect to each pixel, averaged over noisy copies of the image (SmoothGrad)."
    )


def _draw_occlusion(occlusion: Occlusion, image: np.ndarray, digit: int, patch: int) -> None:
    heading("Occlusion", "which parts matter")
    matters = occlusion.probability - occlusion.lowest >= MIN_DROP
    _draw_map(
        occlusion.drop / max(float(np.abs(occlusion.drop).max()), MIN_DROP),
        image,
        "draw_occlusion",
        f"Which parts matter for {digit}",
        (occlusion.left, occlusion.top, patch) if matters else None,
    )
    effect = (
        f"Hiding the outlined square lowers it from {format_percent(occlusion.probability)} to "
        f"{format_percent(occlusion.lowest)}."
        if matters
        else f"No square of {patch} by {patch} pixels lowers it by more than "
        f"{format_percent(MIN_DROP)}."
    )
    st.caption(
        f"Blue: hiding this part lowers the probability of {digit}. Orange: hiding it raises the "
        f"probability. {effect}"
    )


def _draw_map(
    values: np.ndarray,
    image: np.ndarray,
    key: str,
    alt: str,
    box: tuple[int, int, int] | None = None,
) -> None:
    """Draw a map (28, 28) over the digit."""
    draw_maps([MapRow(values[None], [alt], tile=MAP_WIDTH, ink=image, box=box)], key=key)
