"""A run on Train, during training and afterwards: state, progress, metrics, curves, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import UserError
from core.experiments.settings import describe_setting, list_changes
from core.recipes import RECIPES
from core.runs import control, run_queue
from core.runs.progress import estimate_progress
from core.runs.run import DamagedRun, Run, describe_start
from core.runs.store import list_runs, open_run
from core.runs.waiting import Waiting, estimate_waiting
from pages.ui import access, words
from pages.ui.components.accessibility import announce
from pages.ui.controls import DEFAULT_RECIPE, field_label
from pages.ui.frame import heading
from pages.ui.polling import interval_while_visible, poll
from pages.ui.train import curves, figures
from pages.ui.train.actions import draw_action_buttons, draw_delete_button, rerun_page_after_action
from pages.ui.train.ending import describe_end, draw_ending
from pages.ui.train.inside import POLL as INSIDE_POLL
from pages.ui.train.inside import draw_inside
from pages.ui.words import escape_markdown

# Seconds between two updates of a run that trains, and of one that waits; each takes processor time
# from the training.
POLL, WAITING_POLL = 2.0, 4.0
CHANGES = 5  # the latest changes of the learning rate that are listed
ALWAYS_SHOWN = (  # settings listed even where they are the recipe's
    "architecture",
    "augmentation",
    "schedule",
    "optimizer",
    "batch_size",
    "teacher",
    "seed",
)
FACTORS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


def show_run(run: Run | DamagedRun, bar: DeltaGenerator, others: Sequence[Run]) -> None:
    """Show a run, and update it while it trains or is queued.

    Args:
        run: the run, or a damaged one.
        bar: container for its state and buttons.
        others: the runs that it can be compared with.
    """
    if isinstance(run, DamagedRun):
        _show_damaged(run, bar)
        return
    moving = _moves(run)
    every = POLL if run.is_live else WAITING_POLL
    poll(_draw_run, every if moving else None, key="train_run")(
        run.name, bar, others, run.state if moving else ""
    )
    every_inside = interval_while_visible(INSIDE_POLL if moving else None)
    st.fragment(draw_inside, run_every=every_inside, key="train_inside")(run.name, moving)


def _show_damaged(run: DamagedRun, bar: DeltaGenerator) -> None:
    with bar:
        st.badge("damaged", icon=":material/error:", color="red")
        st.space("stretch")
        draw_delete_button(run)
    st.error(escape_markdown(f"{run.name} cannot be read: {run.reason}"), icon=":material/error:")
    st.markdown(
        "Its files have not been changed. A run from a newer version of Inkling opens in that "
        "version. If a file is damaged, restore that file from a copy.",
        width=640,
    )
    st.page_link(
        "pages/train.py",
        label="Set up a new run",
        icon=":material/arrow_forward:",
        query_params={"start": DEFAULT_RECIPE},
    )


def _draw_run(name: str, bar: DeltaGenerator, others: Sequence[Run], moved: str) -> None:
    """Draw a run; `moved` is the state in which it will change, as the page was drawn."""
    rerun_page_after_action()
    run_queue.start_waiting()
    try:
        run = open_run(name)
    except UserError:  # deleted or damaged in the meantime: the whole page shows it
        st.rerun()
    if moved and (not _moves(run) or (run.state == "queued") != (moved == "queued")):
        st.rerun()  # the whole page, which then polls at another rate, or no longer
    baseline = _draw_head(run, bar, others)
    announce(describe_end(run))
    draw_ending(run, others)
    with st.container(key="curves"):
        _draw_curves(run, baseline, others)


def _moves(run: Run) -> bool:
    return run.is_live or run.state == "queued"


def _draw_curves(run: Run, baseline: Run | None, others: Sequence[Run]) -> None:
    whole = curves.draw_axes_control()
    left, right = st.columns(2, gap="large")
    with left:
        curves.draw_accuracy(run, baseline, whole)
    with right:
        curves.draw_loss(run, baseline, whole)
    left, right = st.columns(2, gap="large")
    with left:
        curves.draw_learning_rate(run)
    with right:
        if run.recipe in RECIPES:
            heading("Settings", "bold: changed from the recipe")
        else:
            st.markdown("## Settings")
        with st.container(key="settings"):
            _draw_settings(run, others)
        if run.is_live:
            _draw_rate_control(run)


def _draw_head(run: Run, bar: DeltaGenerator, others: Sequence[Run]) -> Run | None:
    """Draw state, buttons, progress and metrics. Returns the baseline, if one is chosen."""
    now = estimate_progress(run)
    colour, icon = words.state_badge(run.state)
    with bar:
        if run.title:
            st.markdown(f"**{escape_markdown(run.title)}**", width="content")
        st.badge(run.state, icon=icon, color=colour)
        if goal := words.describe_goal(run):
            st.badge(goal, icon=":material/flag:", color="gray", help=words.ONE_RUN)
        st.space("stretch")
        draw_action_buttons(run)
    st.progress(
        now.share if run.state != "finished" else 1.0,
        text=escape_markdown(words.describe_progress(run, now, _find_waiting(run))),
    )
    if run.state in ("failed", "diverged", "crashed"):
        st.error(escape_markdown(run.message or run.state), icon=":material/error:")
    with st.container(horizontal=True, horizontal_alignment="distribute", gap="small"):
        metrics = st.container(horizontal=True, gap="small", width="content")
        baseline = figures.draw_baseline_control(run, others)
    with metrics:
        figures.draw_figures(figures.run_figures(run, baseline), baseline.name if baseline else "")
    return baseline


def _find_waiting(run: Run) -> Waiting | None:
    """The place of a queued run in the queue."""
    if run.state != "queued":
        return None
    runs = [other for other in list_runs() if isinstance(other, Run)]
    return estimate_waiting(runs).get(run.name)


def _draw_rate_control(run: Run) -> None:
    now = next((factor for *_, factor in reversed(_rate_changes(run))), 1.0)
    key = f"train_multiplier_{run.name}"
    refusal = access.why_not_change(run.owner)
    st.select_slider(
        "Learning rate multiplier",
        sorted({*FACTORS, now}),
        now,
        key=key,
        on_change=_change_rate,
        args=(run.name, key),
        disabled=bool(refusal),
        help=refusal
        or "Multiplies the planned learning rate from now on. 1: as planned. The run records each "
        "change.",
    )


def _change_rate(name: str, key: str) -> None:
    try:
        access.check_change_runs([name])
        control.scale_lr(name, st.session_state[key])
    except UserError as error:
        st.toast(escape_markdown(str(error)), icon=":material/error:")


def _draw_settings(run: Run, others: Sequence[Run]) -> None:
    if run.parent:
        _draw_parent(run.parent, others)
    base = RECIPES[run.recipe].config if run.recipe in RECIPES else None
    changes = list_changes(run.config, base) if base else []
    changed = {change.field for change in changes}
    lines = [
        f":gray[Recipe] {escape_markdown(run.recipe or 'none')}"
        f"{'' if changes or not base else ', unchanged'}"
    ]
    lines += [
        f":gray[{field_label(name)}] {escape_markdown(describe_setting(run.config, name))}"
        for name in ALWAYS_SHOWN
        if name not in changed
    ]
    lines += [
        f"**{field_label(change.field)}** {escape_markdown(change.now)} "
        f":gray[instead of {escape_markdown(change.before)}]"
        for change in changes
    ]
    lines += [
        f"**Learning rate** × {factor:g} from epoch {epoch}, step {step:,}"
        for epoch, step, factor in _rate_changes(run)[-CHANGES:]
    ]
    if runtime := run.runtime:
        lines.append(
            f":gray[{escape_markdown(runtime.device)}, {escape_markdown(runtime.precision)}, "
            f"threads: {runtime.threads}, {runtime.train_images:,} images]"
        )
    st.markdown("  \n".join(lines))


def _rate_changes(run: Run) -> list[tuple[int, int, float]]:
    """Epoch, step and multiplier of each change of the learning rate."""
    return [
        (event["epoch"], event["step"], event["factor"])
        for event in run.read_events()
        if event["kind"] == "rate" and isinstance(event.get("factor"), float)
    ]


def _draw_parent(parent: Mapping[str, Any], others: Sequence[Run]) -> None:
    start = escape_markdown(describe_start(parent))
    text = f"Forked from **{escape_markdown(parent['name'])}**, {start}"
    if parent["name"] in [run.name for run in others]:
        st.page_link(
            "pages/train.py",
            label=text,
            icon=":material/fork_right:",
            query_params={"run": parent["name"]},
        )
    else:
        st.markdown(f":material/fork_right: {text} (no longer here)")
