"""Teaching a network the own digits of a set, and its accuracy before and after."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from core.errors import UserError
from core.experiments.statistics import wilson_interval
from core.library import teaching
from core.library.teaching import Comparison
from core.runs import run_names, run_queue, store
from core.runs.digit_file import Drawing, SavedDigit
from core.runs.run import Run
from core.training.results import TestResult
from core.wording import plural
from pages.ui import access, checkpoints, dataset
from pages.ui.components.gallery import draw_gallery
from pages.ui.frame import heading
from pages.ui.polling import poll
from pages.ui.run_boxes import run_titles
from pages.ui.words import escape_markdown

POLL = 2.0  # seconds
FEW = 20  # digits to learn from, below which little is gained
# Session keys: the share for testing, the new run's name, and the taught run that is shown.
_SHARE, _NAME, _SHOWN = "draw_teach_share", "draw_teach_name", "draw_teach_run"
_ERROR = "draw_teach_error"


def show_teaching(
    run: Run, digits: Sequence[SavedDigit], name: str, image: np.ndarray | None
) -> None:
    """Show the button that teaches a network a set of digits, and the networks that learned it.

    Args:
        run: the network to start from.
        digits: of the set.
        name: of the set.
        image: (28, 28) uint8, the drawing on the page; None: it is not the user's own.
    """
    taught = [
        other
        for other in store.list_runs()
        if isinstance(other, Run) and teaching.is_taught(other) and other.config.digits == name
    ]
    if not digits and not taught:
        return
    st.space("small")
    heading("Teach", f"{run.name} learns this handwriting")
    if digits:
        _show_controls(run, digits, name, image)
    else:
        st.markdown(":gray[This set has no digits any more.]")
    if taught:
        _show_taught(taught)


def _show_controls(
    run: Run, digits: Sequence[SavedDigit], name: str, image: np.ndarray | None
) -> None:
    share = (
        st.slider(
            "Kept for testing",
            10,
            90,
            50,
            10,
            format="%d %%",
            key=_SHARE,
            width=320,
            persist_state="session",
            help="The new run never trains on these digits. They measure what it has learned.",
        )
        / 100
    )
    kept = run.config.changed(digits_test_share=share).count_test_digits(len(digits))
    st.caption(
        f"A new run starts from the weights of {escape_markdown(run.name)} and learns from MNIST "
        f"and {len(digits) - kept} of these {len(digits)} digits together. The others test it."
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.text_input(
            "Name of the new run",
            key=_NAME,
            placeholder=run_names.find_free_name(f"{run.name}-{name}"),
            max_chars=60,
            width=220,
            label_visibility="collapsed",
        )
        refusal = access.why_not_create() or access.why_not_change(run.owner)
        st.button(
            "Teach",
            key="draw_teach",
            type="primary",
            icon=":material/school:",
            disabled=bool(refusal),
            help=refusal or None,
            on_click=_teach,
            args=(run.name, name, share, _drawing(image, digits)),
        )
    if error := st.session_state.pop(_ERROR, ""):
        st.error(escape_markdown(error), icon=":material/error:")
    if len(digits) - kept < FEW:
        st.caption("With so few digits the network learns little; 20 of each class are plenty.")


def _drawing(image: np.ndarray | None, digits: Sequence[SavedDigit]) -> Drawing | None:
    """Return the drawing on the page, with its label where it is saved; None: there is none."""
    if image is None or not image.any():
        return None
    pixels = image.tobytes()
    label = next((digit.label for digit in reversed(digits) if digit.pixels == pixels), None)
    return Drawing(pixels, label)


def _teach(parent: str, name: str, share: float, drawing: Drawing | None) -> None:
    session = st.session_state
    try:
        access.check_create()
        access.check_change_runs([parent])
        text = session.get(_NAME, "").strip()
        wanted = run_names.find_free_name(f"{parent}-{name}")
        to, title = run_names.name_and_title(text) if text else (wanted, None)
        run = teaching.teach(
            parent,
            name,
            to,
            {"digits_test_share": share},
            drawing=drawing,
            owner=access.owner_name(),
            title=title,
            number_if_taken=not text,
        )
        run_queue.submit(run.name)
    except UserError as error:
        session[_ERROR] = str(error)
        return
    session[_NAME] = ""
    session[_SHOWN] = run.name


def _show_taught(taught: Sequence[Run]) -> None:
    names = [run.name for run in taught]
    if st.session_state.get(_SHOWN) not in names:
        st.session_state[_SHOWN] = names[0]
    st.space("small")
    heading("Before and after", "in percent, with 95 % intervals")
    if len(names) > 1:
        titles = run_titles(taught)
        st.selectbox(
            "Taught run",
            names,
            key=_SHOWN,
            format_func=titles.__getitem__,
            width=240,
            label_visibility="collapsed",
        )
    run = taught[names.index(st.session_state[_SHOWN])]
    moving = run.is_live or run.state == "queued"
    # A key for each run, so that nothing stays of the one that was shown before.
    poll(_watch, POLL if moving else None, key=f"draw_teach_{run.name}")(run.name, moving)


def _watch(name: str, moving: bool) -> None:
    try:
        run = store.open_run(name)
    except UserError as error:
        st.caption(escape_markdown(str(error)))
        return
    if moving and not (run.is_live or run.state == "queued"):
        st.rerun()  # the whole page, which then stops polling and lists the new network
    if moving:
        done = len(run.epochs) / run.config.epochs
        state = "waits in the queue" if run.state == "queued" else "is training"
        st.progress(
            done,
            f"{escape_markdown(name)} {state}: {len(run.epochs)} of "
            f"{plural(run.config.epochs, 'epoch')}",
        )
    elif not run.epochs:
        reason = f": {run.message}" if run.message else "."
        st.caption(escape_markdown(f"{name} is {run.state}{reason}"))
    else:
        _show_comparison(run)
    st.page_link(
        "pages/train.py",
        label="Its training",
        icon=":material/show_chart:",
        query_params={"run": name},
    )


def _show_comparison(run: Run) -> None:
    sets = dataset.load_digits()
    try:
        compared = _compare(run.name, checkpoints.weights_time(run), sets is not None, run)
    except UserError as error:
        st.caption(escape_markdown(str(error)))
        return
    rows = []
    if compared.own is not None:
        rows.append((plural(compared.own[0].total, "own test digit"), compared.own))
    if compared.mnist is not None:
        rows.append((f"{compared.mnist[0].total:,} test images of MNIST", compared.mnist))
    lines = ["| | before | after |", "|---|---:|---:|"]
    for title, (before, after) in rows:
        lines.append(f"| {title} | {_describe(before)} | {_describe(after)} |")
    st.markdown("\n".join(lines))
    if compared.left_out:
        st.caption(
            f"Left out of the test: {plural(compared.left_out, 'digit')} that the networks before "
            "this one trained on."
        )
    _show_drawing(compared)


def _show_drawing(compared: Comparison) -> None:
    if compared.drawing is None or compared.guesses is None:
        return
    before, after = compared.guesses
    label = "" if compared.drawing.label is None else f", labelled {compared.drawing.label}"
    words = [f"{item.digit} ({100 * item.probability:.0f} %)" for item in (before, after)]
    draw_gallery(
        np.frombuffer(compared.drawing.pixels, np.uint8).reshape(1, 28, 28),
        "The drawing that prompted the run",
        "draw_teach_drawing",
        alts=[f"The drawing{label}"],
    )
    st.caption(
        f"Your drawing{label}: {words[0]} before, {words[1]} after.".replace(" %", "\u00a0%")
    )


def _describe(result: TestResult) -> str:
    low, high = wilson_interval(result.correct, result.total)
    # A narrow column breaks between the figure and its interval.
    interval = f"({low:.1f} to {high:.1f})".replace(" ", "\u00a0")
    return f"{result.accuracy:.2f} {interval}"


@st.cache_data(max_entries=32, show_spinner="Comparing before and after")
def _compare(name: str, weights_time: int, has_mnist: bool, _run: Run) -> Comparison:
    sets = dataset.load_digits() if has_mnist else None
    return teaching.compare(_run, sets["test"] if sets else None)
