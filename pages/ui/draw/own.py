"""Digits of one's own on the drawing page: kept with their labels, and how networks fare on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from core.errors import UserError
from core.experiments.statistics import wilson_interval
from core.library import digits as own_digits
from core.library.digits import SavedDigit
from core.runs.run import Run
from pages.ui import checkpoints
from pages.ui.components.chart import draw_chart
from pages.ui.components.gallery import draw_gallery
from pages.ui.draw import networks as draw_networks
from pages.ui.draw.networks import Runs
from pages.ui.draw.subject import Subject

PAGE = 60  # digits shown at a time, the latest


def own(runs: Runs, run: Run, image: np.ndarray, subject: Subject) -> None:
    """Keep the digit that is looked at, see those kept, and each network's accuracy on them."""
    st.caption(
        "A test set in your own hand: say what each digit was meant to be, and see which network reads you "
        "best. They are kept beside the runs, for everybody who uses this app, until they are deleted."
    )
    _keep(image, subject)
    try:
        digits = own_digits.list_digits()
    except UserError as error:
        st.error(
            f"{error} Nothing is lost while it is left alone; begin anew to put it away.",
            icon=":material/error:",
        )
        st.button("Begin anew", on_click=_try, args=(own_digits.clear,))
        return
    left, right = st.columns([6, 5], gap="large")
    with left:
        st.markdown(
            f"##### Kept :gray[:small[{len(digits):,} {'digit' if len(digits) == 1 else 'digits'}]]"
        )
        _shown(digits)
        _files(digits)
    with right:
        place = st.container()
        shown = draw_networks.beside(runs, run)
    with place:
        if digits:
            _accuracy(shown, digits)
        else:
            st.markdown("##### Accuracy")
            st.markdown(":gray[Keep some digits, and the networks are measured on them.]")


def _keep(image: np.ndarray, subject: Subject) -> None:
    if not subject.own:
        st.markdown(
            f":gray[What is looked at is {subject.title}; digits of your own come from the pad or a picture.]"
        )
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="labels"):
        st.markdown("That was a", width="content")
        for digit in range(10):
            st.button(
                str(digit),
                key=f"was_{digit}",
                disabled=not image.any(),
                on_click=_try,
                args=(own_digits.save_digit, image, digit),
                help=f"Keep it as a {digit}.",
            )


def _try(act, *arguments) -> None:  # type: ignore[no-untyped-def]
    """Do what a button says, and say in words why it could not be done."""
    try:
        act(*arguments)
    except UserError as error:
        st.toast(str(error), icon=":material/error:")


def _shown(digits: Sequence[SavedDigit]) -> None:
    if not digits:
        st.markdown(":gray[None yet. Draw one, and press what it is.]")
        return
    some = list(digits)[::-1][:PAGE]
    picked = next(
        (at for at, digit in enumerate(some) if digit.key == st.session_state.get("own_picked")),
        None,
    )
    images, labels = own_digits.to_arrays(some)
    draw_gallery(
        images,
        "Digits of your own",
        "own",
        picked=picked,
        labels=[str(label) for label in labels],
        alts=[
            f"{label}, kept {digit.saved:%d %B %Y}"
            for label, digit in zip(labels, some, strict=True)
        ],
        on_pick=lambda: _mark(some),
    )
    if len(digits) > PAGE:
        st.caption(f"The latest {PAGE} of {len(digits):,}.")
    st.button(
        "Delete the marked one",
        icon=":material/delete:",
        type="tertiary",
        disabled=picked is None,
        on_click=_try,
        args=(own_digits.delete, some[picked].key if picked is not None else ""),
    )


def _mark(some: Sequence[SavedDigit]) -> None:
    at = int(st.session_state["own"].picked)
    st.session_state["own_picked"] = some[at].key if at < len(some) else None


def _files(digits: Sequence[SavedDigit]) -> None:
    with st.container(horizontal=True, gap="small"):
        if digits:
            st.download_button(
                "Save as a file",
                own_digits.export_digits,
                "my-digits.json",
                "application/json",
                on_click="ignore",
                type="tertiary",
                icon=":material/download:",
            )
        with st.popover("Add from a file", type="tertiary", icon=":material/upload:"):
            file = st.file_uploader(
                "A file that was saved here", "json", key="own_file", max_upload_size=4
            )
            if file is not None and st.session_state.get("own_file_id") != file.file_id:
                st.session_state["own_file_id"] = file.file_id
                _take_in(file.getvalue())
            if said := st.session_state.get("own_file_said"):
                st.caption(said)
        if digits:
            with st.popover("Clear all", type="tertiary", icon=":material/delete_sweep:"):
                st.markdown(f"Forget all {len(digits):,} of them? They cannot be brought back.")
                st.button("Forget them", type="primary", on_click=_try, args=(own_digits.clear,))


def _take_in(data: bytes) -> None:
    try:
        held, new = own_digits.import_digits(data)
    except UserError as error:
        st.session_state["own_file_said"] = f":red[{error}]"
        return
    st.session_state["own_file_said"] = (
        f"{new} of its {held} digits are new." if held else "It holds no digits."
    )
    st.rerun()  # those shown were read before


def _accuracy(runs: Sequence[Run], digits: Sequence[SavedDigit]) -> None:
    from core.charts import draw as charts_draw

    key = "".join(digit.key for digit in digits)
    rows, silent = [], []
    for run in runs:
        try:
            right = _right(run.name, checkpoints.weights_time(run), key, run, digits)
        except UserError as error:
            silent.append(str(error))
            continue
        low, high = wilson_interval(right, len(digits))
        rows.append(
            {
                "run": run.name,
                "right": right,
                "total": len(digits),
                "accuracy": 100 * right / len(digits),
                "low": low,
                "high": high,
            }
        )
    if rows:
        frame = pd.DataFrame(rows)
        words = [
            f"{row['run']} {row['right']} of {row['total']}, {row['accuracy']:.1f} % (from {row['low']:.1f} to "
            f"{row['high']:.1f})"
            for row in rows
        ]
        draw_chart(
            charts_draw.intervals(frame),
            "accuracy",
            title="Accuracy",
            subtitle="bars: 95 % intervals",
            alt="; ".join(words),
            filename="-".join(frame["run"])[:100] + "-own-digits",
            subject="Own digits",
            make_table=lambda: frame,
        )
        st.caption("  \n".join(words).replace(" %", "\u00a0%"))
        if len(digits) < 100:
            st.caption(
                "Few digits say little: the intervals are Wilson's, and where they overlap much, the networks "
                "cannot be told apart yet."
            )
    for said in silent:
        st.caption(said)


@st.cache_data(max_entries=128, show_spinner=False)
def _right(name: str, changed: int, key: str, _run: Run, _digits: Sequence[SavedDigit]) -> int:
    images, labels = own_digits.to_arrays(_digits)
    return int((draw_networks.answers(_run, images).argmax(axis=1) == labels).sum())
