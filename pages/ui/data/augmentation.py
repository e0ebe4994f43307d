"""The augmentation studio: the transforms with all their settings, and what they make of digits."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache

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
from pages.ui.data.digits import draw_index_control
from pages.ui.frame import KEPT, heading
from pages.ui.terms import explain

Rows = tuple[Transform, ...]
START = to_text(PRESETS["final"].transforms)
TEXT = "transforms"  # the widget that holds them all, and their name in the link
OWN, EVERY = "own", "all"
DRAWS, SUBJECTS = 8, ("one of each", "this one")
SEED = 1


@cache
def load_augmentation_library() -> None:
    """Load Albumentations behind the page, once for the server, so that the first draws are there at once."""
    timer = threading.Timer(1.5, _first_draw)
    timer.daemon = True
    timer.start()


def _first_draw() -> None:
    _augmented(START, bytes(28 * 28), 0)


@st.fragment
def draw_augmentation(some: LabelledImages) -> None:
    """Change the transforms at the left, see what they do at the right."""
    bar = st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="picks")
    left, right = st.columns([5, 7], gap="large")
    with left:
        top, middle, bottom = st.container(), st.container(), st.container()
        with bottom:
            rows = _written()
        with top:
            _preset(rows)
        with middle:
            for number, row in enumerate(rows):
                _row(rows, number, row)
            _add(rows)
    with bar:
        subject = st.segmented_control(
            "Digits", SUBJECTS, default=SUBJECTS[0], required=True, key="subject", **KEPT
        )
        index = draw_index_control(
            some,
            "Index",
            "Place in the dataset: of this one, or where the search for the first of each begins.",
        )
        rounds = st.number_input(
            "Round",
            1,
            10_000,
            1,
            key="round",
            width=130,
            **KEPT,
            help="Other draws of the same transforms, as every epoch has its own.",
        )
        st.space("stretch")
        if st.button(
            "Train with this",
            type="primary",
            icon=":material/model_training:",
            help="Take these transforms to the Train page.",
        ):
            _send(rows)
    with right, st.container(key="sight"):
        _draws(some, rows, subject, index, rounds)


def _written() -> Rows:
    """The transforms, from the text that holds them."""
    with st.expander("As text", key="as_text"):
        text = st.text_input(
            "Transforms",
            START,
            max_chars=MAX_TEXT,
            key=TEXT,
            label_visibility="collapsed",
            help="All transforms in one line, as the link holds them.",
            **KEPT,
        )
    try:
        rows = from_text(text)
    except ConfigError as error:
        st.error(f"{str(error)[:1].upper()}{str(error)[1:]}", icon=":material/error:")
        return st.session_state.get("transforms_before", from_text(START))
    st.session_state["transforms_before"] = rows
    return rows


def _write(rows: Sequence[Transform]) -> None:
    st.session_state[TEXT] = to_text(rows)


def matching_preset(rows: Rows) -> str | None:
    """The name of the preset that consists of these transforms."""
    return next((name for name, preset in PRESETS.items() if preset.transforms == rows), None)


def _preset(rows: Rows) -> None:
    name = matching_preset(rows)
    options = [*PRESETS] if name else [OWN, *PRESETS]
    st.session_state["preset"] = name or OWN
    st.selectbox(
        "Start from",
        options,
        key="preset",
        on_change=_choose,
        help=f"{explain('augmentation')} A preset is a list of transforms with a name.",
        format_func=lambda each: "Transforms of your own" if each == OWN else PRESETS[each].title,
    )
    st.caption(
        PRESETS[name].help
        if name
        else "Each training image goes through them in this order, anew every epoch."
    )


def _choose() -> None:
    if (name := st.session_state["preset"]) in PRESETS:
        _write(PRESETS[name].transforms)


def _row(rows: Rows, number: int, row: Transform) -> None:
    kind = KINDS[row["kind"]]
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{number + 1}. {kind.title}**", help=kind.help, width="stretch")
            st.button(
                "Remove",
                icon=":material/close:",
                key=f"remove{number}",
                type="tertiary",
                on_click=_write,
                args=(rows[:number] + rows[number + 1 :],),
            )
        with st.container(horizontal=True, gap="small"):
            for parameter in kind.parameters:
                _setting(rows, number, parameter)


def _setting(rows: Rows, number: int, parameter: Field) -> None:
    row = rows[number]
    key = f"transform{number}_{row['kind']}_{parameter.name}"
    st.session_state[key] = row[
        parameter.name
    ]  # the text says what it is; the widget only changes it
    label = "Share of the images" if parameter.name == "p" else parameter.name.capitalize()
    common = {
        "key": key,
        "help": parameter.help,
        "width": 144,
        "on_change": _change,
        "args": (rows, number, parameter.name, key),
    }
    if parameter.choices:
        st.segmented_control(label, parameter.choices, required=True, **common)
    else:
        unit = f" {parameter.unit}" if parameter.unit else ""
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


def _add(rows: Rows) -> None:
    st.selectbox(
        "Add",
        list(KINDS),
        index=None,
        key="add",
        placeholder="Add a transform",
        on_change=_append,
        args=(rows,),
        label_visibility="collapsed",
        format_func=lambda kind: KINDS[kind].title,
    )


def _append(rows: Rows) -> None:
    if kind := st.session_state["add"]:
        _write((*rows, *check([{"kind": kind}])))
    st.session_state["add"] = None


def _draws(some: LabelledImages, rows: Rows, subject: str, index: int, rounds: int) -> None:
    options = [
        EVERY,
        *(f"{number}. {KINDS[row['kind']].title}" for number, row in enumerate(rows, 1)),
    ]
    only = st.pills(
        "Show",
        options,
        default=EVERY,
        required=True,
        key="only",
        **KEPT,
        help="All transforms one after the other, as in training, or one of them by itself.",
    )
    used = rows if only not in options[1:] else (rows[options.index(only) - 1],)
    indices = (
        first_of_each_class(some.labels, index) if subject == SUBJECTS[0] else np.full(10, index)
    )
    originals = some.images[indices]
    drawn = _augmented(to_text(used), originals.tobytes(), rounds)
    if subject == SUBJECTS[0]:
        both = np.concatenate([originals[:, None], drawn], axis=1).reshape(-1, 28, 28)
        alts = [
            f"{some.labels[at]}, {'as it is' if draw == 0 else f'draw {draw}'}"
            for at in indices
            for draw in range(DRAWS + 1)
        ]
        columns: tuple[int, ...] = (1, DRAWS)
        said = "as it is, and eight times as the transforms leave it"
    else:
        both, columns = drawn.reshape(-1, 28, 28), (10,)
        both[0] = originals[0]
        alts = ["as it is", *(f"draw {draw}" for draw in range(1, len(both)))]
        said = "the first as it is, the others as the transforms leave it"
    touched = int((drawn != originals[:, None]).any(axis=(2, 3)).sum())
    heading("Draws", said)
    draw_gallery(both, "Digits as they are and augmented", "draws", alts=alts, columns=columns)
    st.caption(
        f"{touched} of {10 * DRAWS} draws came out changed, the others were left as they are."
        if used
        else "No transforms: every draw is the digit as it is."
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _augmented(text: str, originals: bytes, rounds: int) -> np.ndarray:
    """(n, DRAWS, 28, 28) from n images, by the trainer's own Augmenter."""
    images = np.frombuffer(originals, np.uint8).reshape(-1, 28, 28)
    drawn = Augmenter(from_text(text), SEED)(np.repeat(images, DRAWS, axis=0), (rounds, 0))
    return drawn.reshape(len(images), DRAWS, 28, 28)


def _send(rows: Rows) -> None:
    """Go to the Train page with these transforms."""
    name = matching_preset(rows)
    st.session_state["own_transforms"] = [] if name else [dict(row) for row in rows]
    st.session_state["run"] = "new run"
    if name:  # the link alone would lose against what the session has kept
        st.session_state["augmentation"] = name
    st.switch_page("pages/train.py", query_params={"augmentation": name} if name else {})
