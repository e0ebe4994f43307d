"""What the drawing page looks at: a drawing, a picture or a digit of MNIST; one digit of it, or several in a line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import streamlit as st

from core.charts.sprites import sheet
from core.drawing.pictures import open_picture, picture_to_ink
from core.drawing.preparation import to_mnist
from core.drawing.segmentation import segment_ink, segment_strokes
from core.drawing.strokes import strokes_to_ink
from core.errors import UserError
from pages.ui import dataset
from pages.ui.components.gallery import draw_closeup
from pages.ui.components.pad import Strokes, show_digit_pad
from pages.ui.frame import KEPT
from pages.ui.words import capitalise

DRAWING, PICTURE, MNIST = SOURCES = ("Pad", "Picture", "MNIST")
ONE, NUMBER = READINGS = ("one digit", "a number")
WIDE = 2.5  # of the pad for a number: width for height
TYPES = ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff"]
LINKED = "digit"  # the link's name for a digit of MNIST: test-1234, train-17
SETS = {"test": "test", "train": "training"}  # as the link names them, and as pages do
_LINK = re.compile(r"(test|train|training)-(\d{1,7})")


@dataclass(frozen=True, eq=False)
class Subject:
    """What is looked at.

    Args:
        images: (28, 28) uint8 each, in reading order; empty while there is nothing.
        settled: the same as they were when the pen was last lifted.
        several: whether they are read as a number.
        label: what it is, where that is known.
        title: what to call it.
        own: whether it was drawn or photographed, and is no digit of MNIST.
        waiting: what to say while there is nothing.
    """

    images: Sequence[np.ndarray] = ()
    settled: Sequence[np.ndarray] = field(default=())
    several: bool = False
    label: int | None = None
    title: str = "the drawing"
    own: bool = True
    waiting: str = "Draw, and it answers while you do."


def choose() -> tuple[str, bool]:
    """The controls for where the digit comes from, and whether there are several; gives both choices."""
    _follow_link()
    kept = st.session_state
    kept["source"] = MNIST if kept.get("looked_at") else kept.get("own_source", DRAWING)
    with st.container(horizontal=True, gap="medium", key="sources"):
        source = st.segmented_control(
            "Look at",
            SOURCES,
            required=True,
            key="source",
            label_visibility="collapsed",
            on_change=_turn,
        )
        reading = ONE
        if source != MNIST:
            reading = st.segmented_control(
                "Read as",
                READINGS,
                default=ONE,
                required=True,
                key="read",
                label_visibility="collapsed",
                **KEPT,
            )
    return source, reading == NUMBER


def look(source: str, several: bool) -> Subject:
    """Show what is looked at, with what it takes to change it."""
    return {DRAWING: _drawing, PICTURE: _picture, MNIST: _mnist}[source](several)


def _follow_link() -> None:
    """A digit of MNIST in the link is looked at; without one, what was looked at before goes into the link."""
    if linked := st.query_params.get(LINKED):
        st.session_state["looked_at"] = linked
    elif kept := st.session_state.get("looked_at"):
        st.query_params[LINKED] = kept


def _turn() -> None:
    source = st.session_state["source"]
    _show_digit(st.session_state.get("last_digit", "test-0") if source == MNIST else "")
    if source != MNIST:
        st.session_state["own_source"] = source


def _show_digit(linked: str) -> None:
    """Turn to a digit of MNIST, or away from them."""
    st.session_state["looked_at"] = linked
    if linked:
        st.query_params[LINKED] = st.session_state["last_digit"] = linked
    else:
        st.query_params.pop(LINKED, None)


def show_training_digit(index: int) -> None:
    """Turn to a training image."""
    _show_digit(f"train-{index}")


def _drawing(several: bool) -> Subject:
    if several:
        drawing = show_digit_pad(
            "number",
            WIDE,
            "Write a number",
            "Drawing pad. Write a number with mouse, pen or finger, one digit beside the other.",
        )
        read = _cut_strokes
    else:
        drawing, read = show_digit_pad(), _one
    images = read(drawing.strokes)
    settled = images if drawing.settled == drawing.strokes else read(drawing.settled)
    return Subject(images, settled, several)


def _cut_strokes(strokes: Strokes) -> list[np.ndarray]:
    return segment_strokes(strokes, WIDE)


def _one(strokes: Strokes) -> list[np.ndarray]:
    return [to_mnist(strokes_to_ink(strokes))] if strokes else []


def _picture(several: bool) -> Subject:
    kept = st.session_state
    file = st.file_uploader(
        "A picture of a digit",
        TYPES,
        key="picture_file",
        max_upload_size=20,
        on_change=_changed,
        help="Dark on light or light on dark, drawn, scanned or photographed. It is read on this "
        "machine and not kept.",
    )
    with st.container(key="camera"):
        if st.toggle(
            "Use the camera",
            key="camera_on",
            on_change=_changed,
            help="Your browser asks before it lets this page see.",
        ):
            file = (
                st.camera_input(
                    "Photograph a digit",
                    key="photograph",
                    on_change=_changed,
                    label_visibility="collapsed",
                )
                or file
            )
    if file is not None and kept.get("picture_id") != file.file_id:
        kept["picture_id"], kept["picture"] = file.file_id, None
        try:
            kept["picture"] = picture_to_ink(open_picture(file.getvalue()))
        except UserError as error:
            kept["picture_error"] = str(error)
        else:
            kept.pop("picture_error", None)
    if said := kept.get("picture_error"):
        raise UserError(said)
    ink = kept.get("picture")
    if ink is None:
        return Subject(
            several=several, title="the picture", waiting="Choose a picture, and it answers."
        )
    if not ink.any():
        raise UserError(
            "nothing in this picture stands out from its background; take one of dark ink on light paper."
        )
    _found(ink)
    return Subject(*_read(ink, several), several, title="the picture")


def _read(ink: np.ndarray, several: bool) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The digits in a picture's ink, and the same again: nothing in it moves."""
    try:
        found = segment_ink(ink)
    except UserError:  # a page of text, say; as one digit it can be read all the same
        if several:
            raise
        found = []
    if not several:
        if len(found) > 1:
            st.caption(f"There seem to be {len(found)} digits in it: read it as a number.")
        found = [to_mnist(ink)]
    return found, found


def _changed() -> None:
    """Forget the picture when its file or photograph is taken away."""
    kept = st.session_state
    if kept["picture_file"] is None and not (kept["camera_on"] and kept.get("photograph")):
        for name in ("picture", "picture_id", "picture_error"):
            kept.pop(name, None)


def _found(ink: np.ndarray) -> None:
    """The ink of a picture, in the page's own."""
    height, width = ink.shape
    st.html(
        f'<div class="found" role="img" aria-label="The ink found in the picture" style="aspect-ratio: '
        f'{width} / {height}; mask-image: url({sheet(ink[None], 1).uri})"></div>'
    )


def _mnist(several: bool) -> Subject:
    sets = dataset.load_digits()
    if sets is None:
        return Subject(title="the digit", own=False)
    linked = str(st.session_state.get("looked_at", ""))
    match = _LINK.fullmatch(linked.strip().lower())
    name = {"training": "train"}.get(match[1], match[1]) if match else "test"
    some = sets[SETS[name]]
    index = int(match[2]) if match else 0
    known = match is not None and index < len(some.images)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.session_state["mnist_set"], st.session_state["mnist_index"] = (
            SETS[name],
            min(index, len(some.images) - 1),
        )
        st.segmented_control(
            "Images",
            list(SETS.values()),
            required=True,
            key="mnist_set",
            on_change=_pick,
            label_visibility="collapsed",
        )
        st.number_input(
            "Index",
            0,
            len(some.images) - 1,
            key="mnist_index",
            on_change=_pick,
            width=140,
            label_visibility="collapsed",
        )
    if match is None:
        _way_back()
        raise UserError(f"{linked[:40]!r} names no digit; write test-1234 or train-17.")
    if not known:
        _way_back()
        raise UserError(
            f"there is no {SETS[name]} image {index:,}; the last one is {len(some.images) - 1:,}."
        )
    image, label = some.images[index], int(some.labels[index])
    title = f"{SETS[name]} image {index:,}"
    draw_closeup(
        image,
        f"{title}, labelled {label}, 28 by 28 pixels; arrow keys read out their values",
        f"{capitalise(title)} is labelled {label}. Point at a pixel to read its value.",
    )
    _way_back()
    return Subject([image], [image], label=label, title=title, own=False)


def _way_back() -> None:
    st.button("Back to the pad", icon=":material/draw:", on_click=_back, type="tertiary")


def _pick() -> None:
    name = next(each for each, said in SETS.items() if said == st.session_state["mnist_set"])
    _show_digit(f"{name}-{int(st.session_state['mnist_index'])}")


def _back() -> None:
    st.session_state["own_source"] = DRAWING
    _show_digit("")
