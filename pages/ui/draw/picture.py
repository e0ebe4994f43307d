"""A picture on the Draw page: uploaded or photographed, and turned into ink."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.charts.sprites import sprite_sheet
from core.drawing.pictures import open_picture, picture_to_ink
from core.drawing.preparation import to_mnist
from core.drawing.segmentation import segment_ink
from core.errors import UserError
from pages.ui.draw.subject import Subject

TYPES = ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff"]
MAX_MEGABYTES = 20
# Session keys: which file was read, its ink (H, W), and why it could not be read.
_ID, _INK, _ERROR = _STORED = ("draw_picture_id", "draw_picture_ink", "draw_picture_error")
_FILE, _CAMERA, _PHOTO = "draw_picture_file", "draw_camera_on", "draw_photo"


def show_picture(several: bool) -> Subject:
    """Show the controls for a picture, and the ink that was found in it.

    Raises:
        UserError: the picture cannot be read, or has no ink.
    """
    _read_upload()
    session = st.session_state
    if error := session.get(_ERROR):
        raise UserError(error)
    ink = session.get(_INK)
    if ink is None:
        return Subject(
            several=several,
            title="the picture",
            waiting="Choose a picture to see the prediction.",
        )
    if not ink.any():
        raise UserError(
            "found no digit: nothing in this picture stands out from its background. Take one of "
            "dark ink on light paper."
        )
    _draw_ink(ink)
    images = _read_ink(ink, several)
    return Subject(images, images, several, title="the picture")


def _read_upload() -> None:
    """Show the upload and the camera, and store the ink of a new picture."""
    session = st.session_state
    file = st.file_uploader(
        "A picture of a digit",
        TYPES,
        key=_FILE,
        max_upload_size=MAX_MEGABYTES,
        on_change=_forget_removed,
        help="Dark on light or light on dark; drawn, scanned or photographed. It is read on this "
        "machine and not stored.",
    )
    with st.container(key="draw_camera"):
        if st.toggle(
            "Use the camera",
            key=_CAMERA,
            on_change=_forget_removed,
            help="Your browser asks for permission first.",
        ):
            photo = st.camera_input(
                "Photograph a digit",
                key=_PHOTO,
                on_change=_forget_removed,
                label_visibility="collapsed",
            )
            file = photo or file
    if file is None or session.get(_ID) == file.file_id:
        return
    session[_ID], session[_INK] = file.file_id, None
    session.pop(_ERROR, None)
    try:
        session[_INK] = picture_to_ink(open_picture(file.getvalue()))
    except UserError as error:
        session[_ERROR] = str(error)


def _forget_removed() -> None:
    """Forget the picture when its file or photograph was removed."""
    session = st.session_state
    if session[_FILE] is None and not (session[_CAMERA] and session.get(_PHOTO)):
        for key in _STORED:
            session.pop(key, None)


def _read_ink(ink: np.ndarray, several: bool) -> list[np.ndarray]:
    """The 28x28 images of the digits in a picture's ink (H, W)."""
    try:
        digits = segment_ink(ink, touching=several)
    except UserError:  # such as a page of text, which can still be read as one digit
        if several:
            raise
        digits = []
    if several:
        return digits
    if len(digits) > 1:
        st.caption(
            f"The picture seems to have {len(digits)} digits. Choose “a number” to read all."
        )
    return [to_mnist(ink)]


def _draw_ink(ink: np.ndarray) -> None:
    """Draw the ink (H, W) of a picture in the text colour."""
    height, width = ink.shape
    mask = sprite_sheet(ink[None], 1).uri
    st.html(
        f'<div class="ink" role="img" aria-label="The ink found in the picture" '
        f'style="aspect-ratio: {width} / {height}; mask-image: url({mask})">'
        "</div>"
    )
