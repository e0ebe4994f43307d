"""A run to look at while it trains and afterwards: progress, curves, epoch table, and what can be done with it."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import charts
from core.errors import UserError
from core.recipes import RECIPES
from core.runs import control, queue
from core.runs.progress import progress
from core.runs.run import Damaged, Run
from core.runs.store import open_run
from core.training import schedules
from pages.ui import tables, words
from pages.ui.controls import START_RECIPE, label
from pages.ui.run_files import downloads
from pages.ui.train_actions import buttons, delete_button, finish

POLL = 1.0  # seconds
HELP = {"Validation accuracy": "After the last epoch. {interval}",
        "Best epoch": "Chosen on the validation images, so it flatters: compare runs by their last epoch."}
FACTORS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


def look(run: Run | Damaged, bar: DeltaGenerator) -> None:
    """Show a run; while it trains or waits, once a second.

    Args:
        run: the run, or what cannot be read as one.
        bar: where its state and its buttons go.
    """
    if isinstance(run, Damaged):
        _damaged(run, bar)
        return
    moving = run.is_live or run.state == "queued"
    st.fragment(_show, run_every=POLL if moving else None, key="live")(run.name, bar, moving)


def _damaged(run: Damaged, bar: DeltaGenerator) -> None:
    with bar:
        st.badge("damaged", icon=":material/error:", color="red")
        st.space("stretch")
        delete_button(run)
    st.error(f"{run.name} cannot be read: {run.reason}", icon=":material/error:")
    st.markdown("Nothing in it was changed. If it was written by a newer version of the app, that version opens it. "
                "If one of its files was damaged, putting that file back brings the run back.", width=640)
    st.page_link("pages/train.py", label="Set up a new run", icon=":material/arrow_forward:",
                 query_params={"start": START_RECIPE})


def _show(name: str, bar: DeltaGenerator, moving: bool) -> None:
    finish()
    queue.pump()
    try:
        run = open_run(name)
    except UserError:  # deleted, or damaged meanwhile: for the whole page to say
        st.rerun()
    if moving and not (run.is_live or run.state == "queued"):
        st.rerun()  # the whole page, which then asks no more
    _head(run, bar)
    left, right = st.columns(2, gap="large")
    with left:
        _heading("Accuracy", "full: validation, dashed: training")
        accuracies = _epochs(run, "accuracy", "train_accuracy", "val_accuracy")
        st.altair_chart(charts.accuracy(accuracies, run.config.epochs, name), key="accuracy", alt=_said(run))
    with right:
        _heading("Loss", "thin: batches, as they are and smoothed")
        losses = _epochs(run, "loss", "train_loss", "val_loss")
        st.altair_chart(charts.loss(losses, run.config.epochs, name, _batches(run, "loss", "loss")), key="loss",
                        alt=f"Training and validation loss of {name} over its epochs.")
    left, right = st.columns(2, gap="large")
    with left:
        _heading("Learning rate", "full: so far, dashed: planned")
        st.altair_chart(charts.rate(planned(run), run.config.epochs, name, _batches(run, "lr", "rate")), key="rate",
                        alt=f"Learning rate of {name} over its epochs.")
    with right:
        _heading("Settings", "what differs from the recipe")
        _settings(run)
        if run.is_live:
            _rate_control(run)
    _heading("Epochs", _validated(run))
    tables.epoch_table(run.epochs, schedules.epoch_rates(run.config, steps_per_epoch(run)))
    if run.epochs:
        downloads(run)


def _head(run: Run, bar: DeltaGenerator) -> None:
    now = progress(run)
    colour, icon = words.badge(run.state)
    with bar:
        st.badge(run.state, icon=icon, color=colour)
        if words.reaches_goal(run):
            st.badge("goal reached", icon=":material/flag:", color="green")
        st.space("stretch")
        buttons(run)
    st.progress(now.share if run.state != "finished" else 1.0, text=words.standing(run, now))
    if run.state in ("failed", "diverged", "crashed"):
        st.error(run.message or run.state, icon=":material/error:")
    figures = {"Validation accuracy": words.accuracy(run),
               "Best epoch": f"{run.best.val_accuracy:.2f} %" if run.best else "–",
               "Parameters": f"{words.parameters(run):,}",
               "Seconds per epoch": f"{run.last.seconds:.1f}" if run.last else "–"}
    tables.figures(figures)


def _heading(title: str, quiet: str) -> None:
    st.markdown(f"##### {title} :gray[:small[{quiet}]]")


def _rate_control(run: Run) -> None:
    now = next((event["factor"] for event in reversed(run.events()) if event["kind"] == "rate"), 1.0)
    key = f"factor_{run.name}"
    st.select_slider("Learning rate, times", sorted({*FACTORS, now}), now, key=key, on_change=_change_rate,
                     args=(run.name, key), help="Multiplies the planned rate from now on, while it trains. The run "
                                                "writes down when, and 1 goes back to the plan.")


def _change_rate(name: str, key: str) -> None:
    try:
        control.change_rate(name, st.session_state[key])
    except UserError as error:
        st.toast(str(error), icon=":material/error:")


def _settings(run: Run) -> None:
    base = RECIPES[run.recipe].config if run.recipe in RECIPES else None
    lines = [f"**Recipe** {run.recipe or 'none'}"]
    if run.parent:
        lines.insert(0, f"**Forked** from {run.parent['name']}, {run.parent['which']} weights, "
                        f"after epoch {run.parent['epoch']}")
    for name, (own, usual) in (run.config.differences(base) if base else {}).items():
        lines.append(f"**{label(name)}** {_brief(own)} :gray[instead of {_brief(usual)}]")
    if base and len(lines) == 1:
        lines.append(":gray[Nothing: exactly as the recipe says.]")
    facts = run.facts
    if facts:
        lines.append(f":gray[{facts.get('device')}, {facts.get('precision')}, threads: {facts.get('threads')}, "
                     f"{facts.get('train_images', 0):,} images]")
    st.markdown("  \n".join(lines))


def _brief(value: object) -> str:
    return "own rows" if isinstance(value, list) else f"{value:g}" if isinstance(value, float) else str(value)


def _validated(run: Run) -> str:
    if run.config.holdout:
        return f"validated on {run.config.holdout:,} training images held out"
    return "validated on the 10,000 test images, as the seed does"


def _said(run: Run) -> str:
    if not run.last:
        return f"Accuracy of {run.name}: no epoch is done yet."
    return (f"Accuracy of {run.name}: {run.last.val_accuracy:.2f} % on the validation images and "
            f"{run.last.train_accuracy:.2f} % on the training images after epoch {run.last.epoch}.")


def steps_per_epoch(run: Run) -> int:
    """Steps in an epoch of a run, also before it has begun."""
    return int(run.facts.get("steps_per_epoch") or schedules.steps_per_epoch(60_000 - run.config.holdout,
                                                                             run.config.batch_size))


def planned(run: Run) -> pd.DataFrame:
    """The rates that a run's schedule plans."""
    return charts.plan(run.config, steps_per_epoch(run))


def _epochs(run: Run, measure: str, train: str, validation: str) -> pd.DataFrame:
    rows = [{"epoch": row.epoch, "part": part, measure: getattr(row, field)} for row in run.epochs
            for part, field in ((charts.TRAIN, train), (charts.VALIDATION, validation))]
    return pd.DataFrame(rows, columns=["epoch", "part", measure])


def _batches(run: Run, field: str, name: str) -> pd.DataFrame:
    steps = steps_per_epoch(run)
    rows = [(event["epoch"] - 1 + event["step"] / steps, event[field]) for event in run.events()
            if event["kind"] == "batch"]
    return charts.thinned(pd.DataFrame(rows, columns=["epoch", name]))
