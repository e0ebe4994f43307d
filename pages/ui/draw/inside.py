"""Inside an answer on the drawing page: what each row makes of the digit, and which pixels the answer rests on."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.charts.diagrams import operation, size
from core.insight import explanations
from core.insight.explanations import FeatureMaps
from core.models.shapes import Layer, trace
from core.runs.run import Run
from pages.ui import checkpoints
from pages.ui.components.maps import MapRow, draw_maps
from pages.ui.draw.networks import Runs, answers, percent
from pages.ui.draw.subject import Subject
from pages.ui.frame import KEPT

THE_ANSWER = "the answer"
SPOT, SCORE, SMALL, WIDE = (
    1.75,
    2.75,
    3.0,
    5.25,
)  # rem: a single value, a digit's score, maps of few pixels, others
FEW = 14  # pixels across
LEAST = 0.01  # of probability: less of a drop is drawn pale


def layers(runs: Runs, run: Run, image: np.ndarray, subject: Subject) -> None:
    """The maps of every row."""
    model = checkpoints.load_cached_model(run)
    rows = explanations.feature_maps(model, image)
    st.caption(
        "What each row of the network makes of the digit: blue where a value is above 0, orange where it is "
        "below, each row on its own scale. The first rows find strokes and edges; the last ones are coarse, and "
        "say what is there rather than where."
    )
    draw_maps(
        [
            _line(layer, row, row is rows[-1])
            for layer, row in zip(trace(model.rows), rows, strict=True)
        ],
        key="layers",
    )


def _line(layer: Layer, row: FeatureMaps, last: bool) -> MapRow:
    what = " ".join(filter(None, operation(layer.row)))
    title = f"{row.number} · {what}"
    if layer.row["kind"] == "dropout":
        return MapRow(
            row.maps[:0],
            (),
            title,
            "drops values only while the network learns; here it hands them on",
        )
    shown = len(row.channels)
    note = f"{size(layer.output_shape)}, from {row.low:.2g} to {row.high:.2g}".replace(
        "-", "\u2212"
    )
    if last:
        note = f"the scores of the ten digits, {note.split(', ')[1]}"
    if shown < row.total:
        note += f"; the {shown} strongest of {row.total:,}"
    across = row.maps.shape[2]
    names = [str(channel - 1 if last else channel) for channel in row.channels]
    word = "score of" if last else "channel"
    alts = [
        f"Row {row.number}, {what}, {word} {name}: from {each.min():.3g} to {each.max():.3g}"
        if each.size > 1
        else f"Row {row.number}, {what}, {word} {name}: {each.item():.3g}"
        for name, each in zip(names, row.maps, strict=True)
    ]
    scale = max(abs(row.low), abs(row.high)) or 1.0
    scores = [f"{each.item():.1f}".replace("-", "\u2212") for each in row.maps] if last else ()
    return MapRow(
        row.maps / scale,
        alts,
        title,
        note,
        labels=names,
        notes=scores,
        tile=SCORE if last else SPOT if across == 1 else SMALL if across <= FEW else WIDE,
    )


def reasons(runs: Runs, run: Run, image: np.ndarray, subject: Subject) -> None:
    """Saliency and occlusion, drawn over the digit."""
    with st.container(horizontal=True, vertical_alignment="top", gap="medium"):
        asked = st.segmented_control(
            "Reasons for",
            [THE_ANSWER, *map(str, range(10))],
            default=THE_ANSWER,
            wrap=True,
            required=True,
            key="why",
            **KEPT,
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
            help="Side of the square that slides over the digit and hides what is below it.",
        )
    answer = answers(run, image[None])[0]
    digit = int(answer.argmax()) if asked == THE_ANSWER else int(asked)
    name = f"{'an' if digit == 8 else 'a'} {digit}"
    model = checkpoints.load_cached_model(run)
    gradient = explanations.saliency(model, image, digit)
    hidden = explanations.occlusion(model, image, digit, patch)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("##### Where ink would matter :gray[:small[saliency]]")
        _over(
            gradient / (float(np.abs(gradient).max()) or 1.0),
            image,
            "saliency",
            f"Where more ink would speak for {name}, and where against it",
        )
        st.caption(
            f"Blue: more ink here would speak for {name}. Orange: it would speak against it. The gradient of "
            "the score by each pixel, averaged over noisy copies."
        )
    with right:
        st.markdown("##### What must not be missing :gray[:small[occlusion]]")
        box = (
            (hidden.left, hidden.top, patch)
            if hidden.probability - hidden.lowest >= LEAST
            else None
        )
        _over(
            hidden.drop / max(float(np.abs(hidden.drop).max()), LEAST),
            image,
            "occlusion",
            f"Which parts {name} rests on",
            box,
        )
        st.caption(_said(hidden, name, patch))


def _said(hidden: explanations.Occlusion, name: str, patch: int) -> str:
    start = f"Blue: with this part hidden it would be less sure of {name}. Orange: more sure. "
    if hidden.probability - hidden.lowest < LEAST:
        return (
            f"{start}No square of {patch} by {patch} pixels takes away more than {percent(LEAST)}."
        )
    return f"{start}Hiding the square that is marked brings {percent(hidden.probability)} down to {percent(hidden.lowest)}."


def _over(
    values: np.ndarray,
    image: np.ndarray,
    key: str,
    alt: str,
    box: tuple[int, int, int] | None = None,
) -> None:
    draw_maps([MapRow(values[None], [alt], tile=26, ink=image, box=box)], key=key)
