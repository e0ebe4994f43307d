"""Several digits in a line, read as a number."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.errors import UserError
from core.runs.run import Run
from pages.ui.components.gallery import draw_gallery
from pages.ui.draw.networks import answers, percent
from pages.ui.draw.subject import Subject


def read(run: Run, subject: Subject) -> int:
    """Show the digits that were cut apart and the number that a network reads in them; gives the one picked."""
    images = list(subject.images)
    if not images:
        st.markdown("##### Nothing to read yet :gray[:small[write digits beside each other]]")
        st.caption(
            "Ink that hangs together is a digit; a bar above one, as in a 5, belongs to it. "
            "Digits that touch are cut where the ink is thinnest."
        )
        return 0
    picked = min(st.session_state.get("picked_digit", 0), len(images) - 1)
    try:
        found = answers(run, np.stack(images))  # (N, 10)
    except UserError as error:
        found = None
        st.error(str(error), icon=":material/error:")
    names = (
        [str(each) for each in found.argmax(axis=1)] if found is not None else [""] * len(images)
    )
    sure = found.max(axis=1) if found is not None else np.zeros(len(images))
    st.html(
        f'<div class="number" role="status" aria-label="The number">{"".join(names) or "–"}</div>'
    )
    if found is not None:
        st.caption(
            f"{run.name} is {percent(float(sure.prod()))} sure of the whole number: the product of how sure it "
            "is of each digit."
        )
    draw_gallery(
        np.stack(images),
        "The digits, cut apart",
        "cut",
        tile=4.5,
        picked=picked,
        on_pick=_pick,
        alts=[
            f"digit {at} of {len(images)}, read as {name or 'nothing'}"
            for at, name in enumerate(names, 1)
        ],
        labels=names,
        notes=[percent(float(each)) for each in sure] if found is not None else (),
    )
    if len(images) > 1:
        st.caption(
            "What stands beside and below is about the marked digit; click another one to turn to it."
        )
    return picked


def _pick() -> None:
    st.session_state["picked_digit"] = int(st.session_state["cut"].picked)
