"""How runs are described in words: state, accuracy, time, progress."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from core.experiments import overview
from core.experiments.overview import Entry
from core.experiments.repeats import Group
from core.experiments.scores import TEST_IMAGES, score_run
from core.experiments.statistics import wilson_interval
from core.runs.progress import Progress
from core.runs.run import Run
from core.runs.waiting import Waiting
from core.wording import plural
from pages.ui.run_boxes import run_titles

# Help of the badge of a single run that reaches the goal.
ONE_RUN = (
    "A single run may be lucky. Train it with several seeds: a mean that reaches the goal gets a "
    "green badge."
)
Colour = Literal["blue", "gray", "orange", "green", "red"]
_BADGES: dict[str, tuple[Colour, str]] = {
    "running": ("blue", "autorenew"),
    "pausing": ("blue", "autorenew"),
    "queued": ("gray", "hourglass_empty"),
    "paused": ("orange", "pause"),
    "stopped": ("gray", "stop"),
    "finished": ("green", "check"),
}

# Streamlit replaces addresses, :icons: and, between spaces, <-, ->, <->, --, >=, <= and ~= in spite
# of escapes. These are the positions at which a word joiner prevents that.
_JOINER_POSITIONS = re.compile(
    r"(?<=:)(?=[\w/])|(?<=@)(?=\w)|(?<=www)(?=\.)"
    r"|(?<=[<>~])(?=[-=])|(?<=-)(?=>)|(?<=(?<!\S)-)(?=-(?!\S))",
    re.I,
)


def capitalise(words: str) -> str:
    """The words with a capital first letter. Not for text that begins with a name."""
    return words[:1].upper() + words[1:]


def list_titles(entries: Iterable[Entry]) -> dict[str, str]:
    """What pages call entries that stand side by side: name -> title, unique among the runs."""
    entries = list(entries)
    runs = [entry for entry in entries if isinstance(entry, Run)]
    return {entry.name: entry.name for entry in entries} | run_titles(runs)


def format_accuracy(run: Run) -> str:
    """Validation accuracy after the last epoch, or a dash before the first.

    It is measured on the test images where the config has no validation hold-out.
    """
    return f"{run.last.val_accuracy:.2f}\u00a0%" if run.last else "–"


def describe_accuracy(run: Run) -> str:
    """The accuracy of a run's last weights with what it was measured on; a dash before there is.

    It is measured on the test images where that is known, else on the hold-out.
    """
    score = score_run(run)
    return f"{format_score(run)} of the {score.measured_on}" if score else "–"


def format_score(run: Run) -> str:
    """The accuracy of `describe_accuracy` alone, for where the images are named already."""
    score = score_run(run)
    return f"{score.accuracy:.2f}\u00a0%" if score else "–"


def accuracy_title(run: Run) -> str:
    """The title of a run's accuracy by epoch, after the images that it is measured on."""
    return "Validation accuracy" if run.config.holdout else "Test accuracy"


def describe_interval(run: Run) -> str:
    """The 95 % confidence interval of the validation accuracy; empty before the first epoch.

    Names the images too: the test images where the config has no validation hold-out.
    """
    if run.last is None:
        return ""
    low, high = wilson_interval(run.last.val_correct, run.last.val_total)
    images = "validation (hold-out) images" if run.config.holdout else TEST_IMAGES
    return (
        f"Measured on {run.last.val_total:,} {images}; "
        f"95\u00a0% confidence interval: {low:.2f} to {high:.2f}\u00a0%."
    )


def describe_test(run: Run) -> str:
    """Test accuracy of a run with a validation hold-out; empty where there is none."""
    if run.test is None:
        return ""
    low, high = wilson_interval(run.test.correct, run.test.total)
    return (
        f"Measured once, after training, on the {run.test.total:,} {TEST_IMAGES}: "
        f"{run.test.accuracy:.2f}\u00a0% "
        f"(95\u00a0% confidence interval: {low:.2f} to {high:.2f}\u00a0%)."
    )


def describe_goal(entry: Run | Group) -> str:
    """Whether the goal is reached, and by how many seeds; empty where it is not."""
    if not overview.reaches_goal(entry):
        return ""
    return (
        f"goal reached, mean of {plural(len(entry.finished), 'seed')}"
        if isinstance(entry, Group)
        else "goal reached, one run"
    )


def state_badge(state: str) -> tuple[Colour, str]:
    """Colour and icon of a run's state."""
    colour, icon = _BADGES.get(state, ("red", "error"))
    return colour, f":material/{icon}:"


def format_duration(seconds: float) -> str:
    """A duration: `45 s`, `3 min 20 s`, `2 h 5 min`."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3_600:
        minutes, rest = divmod(seconds, 60)
        return f"{minutes} min {rest} s" if minutes < 10 and rest else f"{minutes} min"
    hours, rest = divmod(seconds // 60, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def format_remaining(seconds: float | None) -> str:
    """The remaining time, to append to a description of progress; empty while it is unknown."""
    return "" if seconds is None else f", about {format_duration(seconds)} left"


def describe_waiting(waiting: Waiting) -> str:
    """The place of a run in the queue, and when it will start: `Queued, 2 of 5, ...`."""
    place = f"Queued, {waiting.place} of {waiting.total}"
    if waiting.seconds is None:
        return place
    return f"{place}, starts in about {format_duration(waiting.seconds)}"


def describe_progress(run: Run, progress: Progress, waiting: Waiting | None = None) -> str:
    """State or epoch of a run, with the remaining time, in one line.

    Args:
        run: the run.
        progress: how far it is.
        waiting: of a queued run, its place in the queue, if that is known.
    """
    if run.state == "queued":
        return "Queued" if waiting is None else describe_waiting(waiting)
    if run.is_live and not progress.step and not run.epochs:
        return capitalise(run.message or "starting")
    line = f"Epoch {min(max(progress.epoch, 1), progress.epochs)} of {progress.epochs}"
    if run.is_live:
        return f"{line}{format_remaining(progress.seconds_left)}" + (
            f", {run.message}" if run.message else ""
        )
    return line


def format_setting(value: object) -> str:
    """The value of a config field, escaped for Markdown."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return "custom" if value else "none"
    return f"{value:g}" if isinstance(value, float) else escape_markdown(str(value))


def escape_markdown(text: str) -> str:
    """Escape text from outside, such as a name, so that Markdown shows it as it is, in one line.

    Titles, labels, help texts, captions, messages and values of metrics are Markdown in Streamlit.
    Streamlit replaces addresses, icon names, arrows and relations even where they are escaped, so a
    word joiner is inserted in them.
    """
    line = " ".join(text.split())
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", _JOINER_POSITIONS.sub("\u2060", line))
