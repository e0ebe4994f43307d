"""Augmentation on Data: the transforms with their settings, and samples of what they do."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import streamlit as st

from core.data.augmentations import KINDS, Transform, check
from core.data.augmenter import Augmenter
from core.data.labelled_images import LabelledImages
from core.data.presets import PRESETS
from core.data.transform_text import MAX_TEXT, from_text, to_text, with_value
from core.errors import ConfigError
from core.insight.digits import first_of_each_class
from core.schema import Field
from pages.ui.components.gallery import draw_gallery
from pages.ui.controls import open_train_page
from pages.ui.data.digits import draw_index_control
from pages.ui.frame import KEPT, heading
from pages.ui.terms import explain
from pages.ui.words import capitalise, escape_markdown

Rows = tuple[Transform, ...]
START = to_text(PRESETS["final"].transforms)
TEXT = "transforms"  # key of the text with all transforms, and their name in the link
CUSTOM, ALL = "own", "all"  # no preset; all transforms in order
SAMPLES, SUBJECTS = 8, ("one of each", "this one")
_PRESET, _NEW, _LAST_VALID = "data_preset", "data_new_transform", "data_last_transforms"
SEED = 1


@cache
def load_augmentation_library() -> None:
    """Import Albumentations in the background, once per server, so that samples appear at once."""
    timer = threading.Timer(1.5, _import_albumentations)
    timer.daemon = True
    timer.start()


def _import_albumentations() -> None:
    _augment(START, bytes(28 * 28), 0)


@st.fragment
def draw_augmentation(digits: LabelledImages) -> None:
    """Draw the settings of the transforms, and samples beside them."""
    bar = st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="picks")
    left, right = st.columns([5, 7], gap="large")
    with left:
        top, middle, bottom = st.container(), st.container(), st.container()
        with bottom:
            rows = _read_transforms()
        with top:
            _draw_preset_control(rows)
        with middle:
            for number, row in enumerate(rows):
                _draw_transform(rows, number, row)
            _draw_add_control(rows)
    with bar:
        subject = st.segmented_control(
            "Digits", SUBJECTS, default=SUBJECTS[0], required=True, key="subject", **KEPT
        )
        index = draw_index_control(
            digits,
            "Number of the image. With one of each: where the search for each class starts.",
        )
        sampling_round = st.number_input(
            "Round",
            1,
            10_000,
            1,
            key="round",
            width=130,
            **KEPT,
            help="Other random samples of the same transforms, as in another epoch.",
        )
        st.space("stretch")
        if st.button(
            "Train with this",
            type="primary",
            icon=":material/model_training:",
            help="Use these transforms on the Train page.",
        ):
            _open_train(rows)
    with right, st.container(key="sight"):
        _draw_samples(digits, rows, subject, index, sampling_round)


def _read_transforms() -> Rows:
    """Draw the text of the transforms, and read it; while invalid, the last valid ones count."""
    with st.expander("As text", key="data_as_text"):
        text = st.text_input(
            "Transforms",
            START,
            max_chars=MAX_TEXT,
            key=TEXT,
            label_visibility="collapsed",
            help="All transforms in one line, as in the link.",
            **KEPT,
        )
    try:
        rows = from_text(text)
    except ConfigError as error:
        st.error(escape_markdown(capitalise(str(error))), icon=":material/error:")
        return st.session_state.get(_LAST_VALID, from_text(START))
    st.session_state[_LAST_VALID] = rows
    return rows


def _write(rows: Sequence[Transform]) -> None:
    st.session_state[TEXT] = to_text(rows)


def matching_preset(rows: Rows) -> str | None:
    """The name of the preset with these transforms; None if there is none."""
    return next((name for name, preset in PRESETS.items() if preset.transforms == rows), None)


def _draw_preset_control(rows: Rows) -> None:
    name = matching_preset(rows)
    options = [*PRESETS] if name else [CUSTOM, *PRESETS]
    st.session_state[_PRESET] = name or CUSTOM
    st.selectbox(
        "Start from",
        options,
        key=_PRESET,
        on_change=_set_preset,
        help=f"{explain('augmentation')} A preset is a named list of transforms.",
        format_func=lambda name: "Custom transforms" if name == CUSTOM else PRESETS[name].title,
    )
    st.caption(
        PRESETS[name].help
        if name
        else "Applied to each training image in this order, with new random values in every epoch."
    )


def _set_preset() -> None:
    if (name := st.session_state[_PRESET]) in PRESETS:
        _write(PRESETS[name].transforms)


def _draw_transform(rows: Rows, number: int, row: Transform) -> None:
    kind = KINDS[row["kind"]]
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{number + 1}. {kind.title}**", help=kind.help, width="stretch")
            st.button(
                "Remove",
                icon=":material/close:",
                key=f"data_remove{number}",
                type="tertiary",
                on_click=_write,
                args=(rows[:number] + rows[number + 1 :],),
            )
        with st.container(horizontal=True, gap="small"):
            for parameter in kind.parameters:
                _setting(rows, number, parameter)


def _setting(rows: Rows, number: int, parameter: Field) -> None:
    row = rows[number]
    key = f"data_transform{number}_{row['kind']}_{parameter.name}"
    st.session_state[key] = row[parameter.name]  # the text holds the value; the widget changes it
    label = "Probability" if parameter.name == "p" else parameter.name.capitalize()
    common: dict[str, Any] = {
        "key": key,
        "help": parameter.help,
        "width": 144,
        "on_change": _change,
        "args": (rows, number, parameter.name, key),
    }
    if parameter.choices:
        common["width"] = "content"
        st.segmented_control(label, parameter.choices, required=True, **common)
    else:
        unit = f" {parameter.unit}" if parameter.unit else ""
        assert isinstance(parameter.step, int | float)
        places = "%.0f" if parameter.step >= 1 else "%.1f" if parameter.step >= 0.1 else "%.2f"
        st.slider(
            label,
            parameter.low,
            parameter.high,
            step=parameter.step,
            format=places + unit,
            **common,
        )


def _change(rows: Rows, number: int, name: str, key: str) -> None:
    _write(with_value(rows, number, name, st.session_state[key]))


def _draw_add_control(rows: Rows) -> None:
    st.selectbox(
        "Add",
        list(KINDS),
        index=None,
        key=_NEW,
        placeholder="Add a transform",
        on_change=_append,
        args=(rows,),
        label_visibility="collapsed",
        format_func=lambda kind: KINDS[kind].title,
    )


def _append(rows: Rows) -> None:
    if kind := st.session_state[_NEW]:
        _write((*rows, *check([{"kind": kind}])))
    st.session_state[_NEW] = None


def _draw_samples(
    digits: LabelledImages, rows: Rows, subject: str, index: int, sampling_round: int
) -> None:
    options = [
        ALL,
        *(f"{number}. {KINDS[row['kind']].title}" for number, row in enumerate(rows, 1)),
    ]
    only = st.pills(
        "Show",
        options,
        default=ALL,
        required=True,
        key="only",
        **KEPT,
        help="All transforms in order, as in training, or a single one.",
    )
    used = rows if only not in options[1:] else (rows[options.index(only) - 1],)
    indices = (
        first_of_each_class(digits.labels, index) if subject == SUBJECTS[0] else np.full(10, index)
    )
    originals = digits.images[indices]
    drawn = _augment(to_text(used), originals.tobytes(), sampling_round)
    if subject == SUBJECTS[0]:
        both = np.concatenate([originals[:, None], drawn], axis=1).reshape(-1, 28, 28)
        alts = [
            f"{digits.labels[at]}, {'original' if sample == 0 else f'sample {sample}'}"
            for at in indices
            for sample in range(SAMPLES + 1)
        ]
        columns: tuple[int, ...] = (1, SAMPLES)
        subtitle = "the original, then eight augmented samples"
    else:
        both, columns = drawn.reshape(-1, 28, 28), (10,)
        both[0] = originals[0]
        alts = ["original", *(f"sample {sample}" for sample in range(1, len(both)))]
        subtitle = "the original first, then augmented samples"
    changed = int((drawn != originals[:, None]).any(axis=(2, 3)).sum())
    heading("Samples", subtitle)
    draw_gallery(both, "Digits and augmented samples", "data_samples", alts=alts, columns=columns)
    st.caption(
        f"{changed} of {10 * SAMPLES} samples differ from their original."
        if used
        else "No transforms: every sample equals its original."
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _augment(text: str, originals: bytes, sampling_round: int) -> np.ndarray:
    """(n, SAMPLES, 28, 28) augmented samples of n images, made by the trainer's Augmenter."""
    images = np.frombuffer(originals, np.uint8).reshape(-1, 28, 28)
    drawn = Augmenter(from_text(text), SEED)(
        np.repeat(images, SAMPLES, axis=0), (sampling_round, 0)
    )
    return drawn.reshape(len(images), SAMPLES, 28, 28)


def _open_train(rows: Rows) -> None:
    open_train_page("augmentation", matching_preset(rows), rows)
