"""Several digits on the Draw page, read as a number."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.errors import UserError
from core.runs.run import Run
from pages.ui.components.gallery import draw_gallery
from pages.ui.draw.networks import format_percent, predict_images
from pages.ui.draw.subject import Subject
from pages.ui.words import escape_markdown

_SELECTED, _GALLERY = "draw_selected_digit", "draw_number_digits"


def show_number(run: Run, subject: Subject) -> int:
    """Show the digits and the number that a network predicts.

    Returns:
        The position of the selected digit.
    """
    images = list(subject.images)
    if not images:
        st.markdown("## No number yet :gray[:small[write digits side by side]]")
        st.caption(
            "Connected ink is one digit; a bar above a digit, as in a 5, belongs to it. "
            "Digits that touch are separated where the ink is thinnest."
        )
        return 0
    selected = min(st.session_state.get(_SELECTED, 0), len(images) - 1)
    probabilities = None
    try:
        probabilities = predict_images(run, np.stack(images))  # (N, 10)
    except UserError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
    digits = [""] * len(images)
    highest = np.zeros(len(images))
    if probabilities is not None:
        digits = [str(digit) for digit in probabilities.argmax(axis=1)]
        highest = probabilities.max(axis=1)
    st.html(
        f'<div class="number" role="status" aria-label="The number">{"".join(digits) or "–"}</div>'
    )
    if probabilities is not None:
        st.caption(
            f"Probability of the whole number: {format_percent(float(highest.prod()))}, the "
            "product of the probabilities of its digits."
        )
    draw_gallery(
        np.stack(images),
        "The separate digits",
        _GALLERY,
        tile=4.5,
        picked=selected,
        on_pick=_select,
        alts=[
            f"digit {place} of {len(images)}, prediction {digit or 'missing'}"
            for place, digit in enumerate(digits, 1)
        ],
        labels=digits,
        notes=[format_percent(float(share)) for share in highest]
        if probabilities is not None
        else (),
    )
    if len(images) > 1:
        st.caption("The rest of the page shows the selected digit. Click another one to select it.")
    return selected


def _select() -> None:
    st.session_state[_SELECTED] = int(st.session_state[_GALLERY].picked)
