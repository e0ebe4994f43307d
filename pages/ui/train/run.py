"""A run to look at while it trains and afterwards: progress, curves, epoch table, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import UserError
from core.experiments import overview
from core.recipes import RECIPES
from core.runs import control, run_queue
from core.runs.progress import estimate_progress
from core.runs.run import DamagedRun, Run
from core.runs.store import open_run
from pages.ui import words
from pages.ui.controls import DEFAULT_RECIPE, field_label
from pages.ui.frame import heading
from pages.ui.train import curves as train_curves
from pages.ui.train import figures as train_figures
from pages.ui.train.actions import draw_action_buttons, draw_delete_button, rerun_page_after_action
from pages.ui.train.inside import POLL as INSIDE_POLL
from pages.ui.train.inside import draw_inside

POLL = 2.0  # seconds; each look costs the training beside it a part of a core
CHANGES = 5  # of the learning rate, the latest that are told
TOLD = (
    "architecture",
    "augmentation",
    "schedule",
    "optimizer",
    "batch_size",
    "teacher",
    "seed",
)  # in any case
FACTORS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


def show_run(run: Run | DamagedRun, bar: DeltaGenerator, others: Sequence[str]) -> None:
    """Show a run; while it trains or waits, again and again.

    Args:
        run: the run, or what cannot be read as one.
        bar: where its state and its buttons go.
        others: names of the runs that it can be compared with.
    """
    if isinstance(run, DamagedRun):
        _damaged(run, bar)
        return
    moving = run.is_live or run.state == "queued"
    st.fragment(_show, run_every=POLL if moving else None, key="live")(
        run.name, bar, others, moving
    )
    st.fragment(draw_inside, run_every=INSIDE_POLL if moving else None, key="inside_run")(
        run.name, moving
    )


def _damaged(run: DamagedRun, bar: DeltaGenerator) -> None:
    with bar:
        st.badge("damaged", icon=":material/error:", color="red")
        st.space("stretch")
        draw_delete_button(run)
    st.error(f"{run.name} cannot be read: {run.reason}", icon=":material/error:")
    st.markdown(
        "Nothing in it was changed. If it was written by a newer version of the app, that version opens it. "
        "If one of its files was damaged, putting that file back brings the run back.",
        width=640,
    )
    st.page_link(
        "pages/train.py",
        label="Set up a new run",
        icon=":material/arrow_forward:",
        query_params={"start": DEFAULT_RECIPE},
    )


def _show(name: str, bar: DeltaGenerator, others: Sequence[str], moving: bool) -> None:
    rerun_page_after_action()
    run_queue.start_waiting()
    try:
        run = open_run(name)
    except UserError:  # deleted, or damaged meanwhile: for the whole page to say
        st.rerun()
    if moving and not (run.is_live or run.state == "queued"):
        st.rerun()  # the whole page, which then asks no more
    baseline = _head(run, bar, others)
    with st.container(key="curves"):
        _curves(run, baseline, others)


def _curves(run: Run, baseline: Run | None, others: Sequence[str]) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        train_curves.draw_accuracy(run, baseline)
    with right:
        train_curves.draw_loss(run, baseline)
    left, right = st.columns(2, gap="large")
    with left:
        train_curves.draw_learning_rate(run)
    with right:
        heading("Settings", "bold: not as the recipe says")
        with st.container(key="settings"):
            _settings(run, others)
        if run.is_live:
            _rate_control(run)


def _head(run: Run, bar: DeltaGenerator, others: Sequence[str]) -> Run | None:
    """State, buttons, progress and figures; gives the run to compare with, if there is one."""
    now = estimate_progress(run)
    colour, icon = words.state_badge(run.state)
    with bar:
        st.badge(run.state, icon=icon, color=colour)
        if overview.reaches_goal(run):
            st.badge("goal reached", icon=":material/flag:", color="green")
        st.space("stretch")
        draw_action_buttons(run)
    st.progress(
        now.share if run.state != "finished" else 1.0, text=words.describe_progress(run, now)
    )
    if run.state in ("failed", "diverged", "crashed"):
        st.error(run.message or run.state, icon=":material/error:")
    with st.container(horizontal=True, horizontal_alignment="distribute", gap="small"):
        places = st.container(horizontal=True, gap="small", width="content")
        baseline = train_figures.draw_baseline_control(run, others)
    with places:
        train_figures.draw_figures(
            train_figures.run_figures(run, baseline), baseline.name if baseline else ""
        )
    return baseline


def _rate_control(run: Run) -> None:
    now = next((factor for *_, factor in reversed(_rates(run))), 1.0)
    key = f"factor_{run.name}"
    st.select_slider(
        "Learning rate, times",
        sorted({*FACTORS, now}),
        now,
        key=key,
        on_change=_change_rate,
        args=(run.name, key),
        help="Multiplies the planned rate from now on, while it trains. The run "
        "writes down when, and 1 goes back to the plan.",
    )


def _change_rate(name: str, key: str) -> None:
    try:
        control.scale_lr(name, st.session_state[key])
    except UserError as error:
        st.toast(str(error), icon=":material/error:")


def _settings(run: Run, others: Sequence[str]) -> None:
    if run.parent:
        _parent(run.parent, others)
    base = RECIPES[run.recipe].config if run.recipe in RECIPES else None
    changes = run.config.differences(base) if base else {}
    lines = [
        f":gray[Recipe] {run.recipe or 'none'}{'' if changes or not base else ', nothing changed'}"
    ]
    lines += [
        f":gray[{field_label(name)}] {_brief(getattr(run.config, name))}"
        for name in TOLD
        if name not in changes
    ]
    for name, (own, usual) in changes.items():
        lines.append(f"**{field_label(name)}** {_brief(own)} :gray[instead of {_brief(usual)}]")
    lines += [
        f"**Learning rate** × {factor:g} from epoch {epoch}, step {step:,}"
        for epoch, step, factor in _rates(run)[-CHANGES:]
    ]
    if runtime := run.runtime:
        lines.append(
            f":gray[{runtime.device}, {runtime.precision}, threads: {runtime.threads}, "
            f"{runtime.train_images:,} images]"
        )
    st.markdown("  \n".join(lines))


def _rates(run: Run) -> list[tuple[int, int, float]]:
    """Epoch, step and factor of each change of the learning rate."""
    return [
        (event["epoch"], event["step"], event["factor"])
        for event in run.read_events()
        if event["kind"] == "rate" and isinstance(event.get("factor"), float)
    ]


def _parent(parent: Mapping[str, Any], others: Sequence[str]) -> None:
    words = f"Forked from **{parent['name']}**, {parent['which']} weights, after epoch {parent['epoch']}"
    if parent["name"] in others:
        st.page_link(
            "pages/train.py",
            label=words,
            icon=":material/fork_right:",
            query_params={"run": parent["name"]},
        )
    else:
        st.markdown(f":material/fork_right: {words}, which is not here any more")


def _brief(value: object) -> str:
    return (
        "own rows"
        if isinstance(value, list)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
