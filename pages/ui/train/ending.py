"""The end of a run on Train: what it reached, in words, and the next steps."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.errors import UserError
from core.experiments.scores import TEST_IMAGES, Score, count_epochs, meets_goal, score_run
from core.models.architectures import rows_of
from core.recipes import RECIPES
from core.runs.run import Run
from core.runs.store import open_run
from core.task import CLASSES, GOAL_ACCURACY, GOAL_EPOCHS, PARAMETER_BUDGET
from core.wording import plural
from pages.ui import access
from pages.ui.words import escape_markdown, list_titles


def draw_ending(run: Run, others: Sequence[Run]) -> None:
    """Draw the result of a finished run in words, with links to what comes next.

    Args:
        run: the run; nothing is drawn while it has no result or goes on.
        others: the runs that it can be compared with.
    """
    score = score_run(run)
    if run.state != "finished" or score is None:
        return
    reference, parent = find_recipe_run(run), find_parent(run)
    with st.container(key="train_ending", border=True, gap="small"):
        result = describe_result(run, score, reference, parent).replace(" %", "\u00a0%")
        st.markdown(escape_markdown(result))
        with st.container(horizontal=True, gap="small"):
            _link("See its mistakes", "mistakes", "rule", run=run.name)
            _link("Draw with it", "draw", "draw", network=run.name)
            _link(
                "Train longer",
                "train",
                "fork_right",
                refusal=access.why_not_change(run.owner),
                fork=run.name,
            )
            other = (
                parent
                or reference
                or next((each for each in others if each.name != run.name), None)
            )
            if other:
                _link(
                    f"Compare with {list_titles([run, other])[other.name]}",
                    "experiments",
                    "compare_arrows",
                    experiment="Compare",
                    first=other.name,
                    second=run.name,
                )
            for tag in run.tags[:1]:
                _link(f"Board of {tag}", "board", "leaderboard", board=tag)


def _link(title: str, page: str, icon: str, refusal: str = "", **query: str) -> None:
    st.page_link(
        f"pages/{page}.py",
        label=escape_markdown(title),
        icon=f":material/{icon}:",
        query_params=query,
        disabled=bool(refusal),
        help=refusal or None,
    )


def find_recipe_run(run: Run) -> Run | None:
    """The run that ships with a run's recipe; None for that run itself, and where there is none."""
    name = run.recipe or ""
    if name == run.name or name not in RECIPES or not RECIPES[name].shipped:
        return None
    try:
        reference = open_run(name)
    except UserError:
        return None
    return reference if reference.epochs else None


def find_parent(run: Run) -> Run | None:
    """The run whose weights a fork started from; None for other runs, and where it is gone."""
    if run.parent is None:
        return None
    try:
        parent = open_run(run.parent["name"])
    except UserError:
        return None
    return parent if parent.epochs else None


def describe_result(
    run: Run, score: Score, reference: Run | None, parent: Run | None = None
) -> str:
    """What a finished run reached, in sentences that take their figures from the runs.

    Args:
        run: the run.
        score: its accuracy.
        reference: the run of its recipe; None: no comparison.
        parent: the run that it was forked from; None: no comparison.
    """
    wrong = score.total - score.correct
    epochs = plural(len(run.epochs), "epoch")
    if run.parent:
        more = plural(len(run.epochs), "more epoch")
        epochs = f"{more} from the weights of {parent.label if parent else run.parent['name']}"
    sentences = [
        f"{wrong:,} of {score.total:,} {score.measured_on.removeprefix(f'{score.total:,} ')} "
        f"wrong after {epochs}: an accuracy of "
        f"{score.accuracy:.2f} %.",
        f"Guessing among {CLASSES} digits gets about {100 * (CLASSES - 1) // CLASSES} % wrong.",
    ]
    before = score_run(parent) if parent else None
    if (
        run.parent
        and parent
        and parent.last
        and before
        and (before.measured_on == score.measured_on and parent.last.epoch == run.parent["epoch"])
    ):
        sentences.insert(1, f"Before, {before.total - before.correct:,} were wrong.")
    other = score_run(reference) if reference else None
    if reference and other and other.measured_on == score.measured_on:
        network = "" if rows_of(run.config) == rows_of(reference.config) else ", another network,"
        sentences.append(
            f"The recipe's own run{network} leaves {other.total - other.correct:,} after "
            f"{plural(len(reference.epochs), 'epoch')}."
        )
    if score.measured_on == TEST_IMAGES:
        allowed = round(score.total * (100 - GOAL_ACCURACY) / 100)
        sentences.append(
            f"The goal of {GOAL_ACCURACY} % allows {allowed:,}{_describe_goal(run, score)}."
        )
    return " ".join(sentences)


def _describe_goal(run: Run, score: Score) -> str:
    """Whether the goal is reached, as the end of a sentence; empty: too many errors."""
    if meets_goal(score.accuracy, score.measured_on, run):
        return ": it is reached"
    if score.accuracy < GOAL_ACCURACY:
        return ""
    limits = []
    if run.parameters >= PARAMETER_BUDGET:
        limits.append(
            f"fewer than {PARAMETER_BUDGET:,} parameters, and this network has {run.parameters:,}"
        )
    if (epochs := count_epochs(run)) > GOAL_EPOCHS:
        limits.append(f"at most {GOAL_EPOCHS} epochs, and this network has had {epochs}")
    return f", but asks for {' and for '.join(limits)}"


def describe_end(run: Run) -> str:
    """What a screen reader says when a run ends; empty before, and while it is paused."""
    if run.is_live or run.state in ("queued", "paused"):
        return ""
    if run.state not in ("finished", "stopped"):
        return f"The training of {run.label} has failed: {run.message or run.state}"
    score = score_run(run)
    result = f" with an accuracy of {score.accuracy:.2f} %" if score else ""
    return f"The training of {run.label} has ended{result}."
