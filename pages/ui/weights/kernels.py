"""The weights of a run's network, row by row: on the page Weights, and live on Train."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.charts.diagrams import format_shape, name_operation
from core.errors import listed
from core.insight.predictions import affordable_images
from core.insight.weights import (
    NEARLY_EQUAL,
    Firing,
    RowWeights,
    colour_limit,
    count_bins,
    largest_weight,
    measure_firing,
    read_weights,
    sample_evenly,
    similar_filters,
)
from core.runs.run import Run
from core.runs.store import open_run
from pages.ui import checkpoints, dataset
from pages.ui.components.kernels import KernelRow, draw_kernels
from pages.ui.frame import KEPT
from pages.ui.words import plural

LARGE = 20_000  # weights; of a larger network, rows are shown one at a time
MAX_SHOWN = 100_000  # weights of a row at a time: some 500 kB for the browser
MAX_PAIRS = 3  # of nearly equal filters that are named
MAX_NAMED = 8  # filters named in one sentence
# Seconds of one core for a forward pass over test images; a slow network sees a sample of them.
LAST_SECONDS, EPOCH_SECONDS, LIVE_SECONDS = 4.0, 0.5, 0.1
ALL_ROWS = "all rows"
ROW, PART, SCALE = "row", "filters", "scale"  # keys, and names in the link
ONE_SCALE, ROW_SCALE = SCALES = ("one scale", "a scale for each row")


def show_kernels(
    run: Run, epoch: int | None, key: str, controls: DeltaGenerator, live: bool = False
) -> None:
    """Show the kernels of a network, with histograms, and how often its channels fire.

    Args:
        run: with at least one epoch.
        epoch: whose weights; None: the last.
        key: of the component.
        controls: container for the choice of rows and colours.
        live: whether the run is training, so that little of the processor is taken.

    Raises:
        UserError: the weights are missing or damaged, or not finite.
    """
    which = "last" if epoch is None else epoch
    model = checkpoints.load_cached_model(run, which)
    rows = read_weights(model)
    last = rows if epoch is None else read_weights(checkpoints.load_cached_model(run))
    with controls:
        chosen = _choose_rows(rows)
        part = _choose_part(chosen)
        scale = (
            st.segmented_control(
                "Colours", SCALES, default=ONE_SCALE, required=True, key=SCALE, **KEPT
            )
            or ONE_SCALE
        )
    note, picture, offer = st.container(), st.container(), st.container()
    with offer:
        sets = dataset.load_digits()
    firing: dict[int, Firing] = {}
    images = np.zeros((0, 28, 28), np.uint8)
    if sets:
        seconds = LIVE_SECONDS if live else LAST_SECONDS if epoch is None else EPOCH_SECONDS
        images = sample_evenly(sets["test"].images, affordable_images(model, seconds))
        changed = checkpoints.weights_time(run, which)
        is_slow = epoch is None and not live
        with st.spinner("Measuring how often filters fire") if is_slow else nullcontext():
            place = str(run.folder.parent)
            firing = _measure(run.name, place, which, changed, len(images), images)
    # Of the last weights, so that the colours stay comparable from epoch to epoch.
    one = colour_limit(last)
    limits = {row.number: one if scale == ONE_SCALE else colour_limit([row]) for row in last}
    ends = {row.number: largest_weight(row) for row in last}
    with picture:
        draw_kernels(
            [
                _kernel_row(row, limits[row.number], ends[row.number], firing.get(row.number), part)
                for row in chosen
            ],
            key,
        )
    with note:
        st.caption(_describe_colours(limits, scale, chosen, len(images), bool(firing)))


def _choose_rows(rows: Sequence[RowWeights]) -> Sequence[RowWeights]:
    """The rows that are shown: all of a small network, or one."""
    is_large = sum(row.kernels.size for row in rows) > LARGE
    names = {f"row {row.number}": row for row in rows}
    if len(names) < 2:
        return rows
    options = [*names] if is_large else [ALL_ROWS, *names]
    chosen = st.selectbox("Rows", options, key=ROW, width=140, **KEPT)
    if is_large and chosen not in names:
        chosen = options[0]
    return [names[chosen]] if chosen in names else rows


def _choose_part(rows: Sequence[RowWeights]) -> slice:
    """The filters that are shown: all, or some of a row with very many weights."""
    filters, *rest = rows[0].kernels.shape
    most = max(1, MAX_SHOWN // int(np.prod(rest)))
    if len(rows) > 1 or filters <= most:
        return slice(None)
    firsts = list(range(0, filters, most))
    ends = [min(first + most, filters) for first in firsts]
    words = [
        f"{first + 1} to {end}" if end > first + 1 else f"{end}"
        for first, end in zip(firsts, ends, strict=True)
    ]
    chosen = st.selectbox("Filters", words, key=PART, width=140, **KEPT)
    first = firsts[words.index(chosen)] if chosen in words else 0
    return slice(first, first + most)


@st.cache_resource(max_entries=64, show_spinner=False)
def _measure(
    name: str, folder: str, which: str | int, changed: int, count: int, _images: np.ndarray
) -> dict[int, Firing]:
    model = checkpoints.load_cached_model(open_run(name, Path(folder)), which)
    return measure_firing(model, _images)


def _kernel_row(
    row: RowWeights, limit: float, end: float, firing: Firing | None, part: slice
) -> KernelRow:
    operation = name_operation(row.layer.row)
    inputs, outputs = (format_shape(shape) for shape in _shapes(row))
    marks = [""] * len(row.kernels)
    if firing is not None and row.layer.row["activation"] == "relu":
        marks = [
            "dead" if dead else "active" if active else ""
            for dead, active in zip(firing.dead, firing.always_active, strict=True)
        ]
    return KernelRow(
        title=f"{row.number} · {operation}",
        note=f"{inputs} to {outputs}, {plural(row.layer.parameters, 'parameter')}",
        kernels=row.kernels[part],
        labels=row.labels[part],
        limit=limit,
        channel_numbers={name: values[part] for name, values in row.channel_numbers.items()},
        bins=count_bins(row.kernels, end).tolist(),
        end=end,
        facts=_facts(row, firing),
        fires=(100 * firing.shares[part]).tolist() if firing is not None else (),
        marks=marks[part],
        noun="digit" if row.is_last else "filter",
    )


def _shapes(row: RowWeights) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return row.layer.input_shape, row.layer.output_shape


def _facts(row: RowWeights, firing: Firing | None) -> list[str]:
    """What is worth knowing about a row's filters, in sentences."""
    values = row.kernels
    facts = [
        f"From {values.min():.2g} to {values.max():.2g}, standard deviation {values.std():.2g}."
    ]
    if row.shared_with:
        facts.append(f"The weights of row {row.shared_with}, used again.")
    if firing is not None:
        facts += _describe_firing(row, firing)
    pairs = similar_filters(values)
    if pairs:
        named = [
            f"{row.labels[pair.first]} and {row.labels[pair.second]} ({pair.cosine:.2f})"
            for pair in pairs[:MAX_PAIRS]
        ]
        more = f"; {len(pairs) - MAX_PAIRS:,} more pairs" if len(pairs) > MAX_PAIRS else ""
        title = "Nearly equal" if pairs[0].cosine >= NEARLY_EQUAL else "Most alike"
        facts.append(f"{title}, by cosine similarity: {', '.join(named)}{more}.")
    return [fact.replace("-", "\u2212") for fact in facts]


def _describe_firing(row: RowWeights, firing: Firing) -> list[str]:
    facts = []
    is_relu = row.layer.row["activation"] == "relu"
    for word, chosen, meaning in (
        ("Dead" if is_relu else "Negative", firing.dead, "never above zero"),
        ("Active" if is_relu else "Positive", firing.always_active, "always above zero"),
    ):
        labels = [row.labels[at] for at in np.flatnonzero(chosen)]
        if labels:
            more = [f"{len(labels) - MAX_NAMED} more"] if len(labels) > MAX_NAMED else []
            facts.append(f"{word}: {listed([*labels[:MAX_NAMED], *more], 'and')}, {meaning}.")
    if not facts:
        low, high = (
            f"{share:.0f}" if share >= 1 else f"{share:.1g}"
            for share in (100 * firing.shares.min(), 100 * firing.shares.max())
        )
        facts.append(f"Filters are above zero in {low} to {high}\u00a0% of the pixels.")
    return facts


def _describe_colours(
    limits: dict[int, float], scale: str, rows: Sequence[RowWeights], images: int, fires: bool
) -> str:
    strongest = (
        f"±{max(limits.values()):.2g} and beyond have the strongest colour"
        if scale == ONE_SCALE
        else "in each row, the largest weights have the strongest colour"
    )
    text = (
        "Each small square is a weight: blue above zero, orange below, fainter the nearer to zero; "
        f"{strongest}. A filter has one kernel for each input channel."
    )
    if fires:
        text += (
            " The percentage says how often a filter's output is above zero, over all pixels of "
            f"{images:,} test images. Behind a ReLU, a filter that is never above zero is dead, "
            "and one that always is passes its input unchanged."
        )
    return text
