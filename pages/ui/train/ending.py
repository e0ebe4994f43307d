"""The end of a run on Train: what it reached, in words, and the next steps."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.errors import UserError
from core.experiments.scores import TEST_IMAGES, Score, score_run
from core.recipes import RECIPES
from core.runs.run import Run
from core.runs.store import open_run
from core.task import CLASSES, GOAL_ACCURACY
from core.wording import plural
from pages.ui import access
from pages.ui.words import escape_markdown


def draw_ending(run: Run, others: Sequence[Run]) -> None:
    """Draw the result of a finished run in words, with links to what comes next.

    Args:
        run: the run; nothing is drawn while it has no result or goes on.
        others: the runs that it can be compared with.
    """
    score = score_run(run)
    if run.state != "finished" or score is None:
        return
    reference = find_recipe_run(run)
    with st.container(key="train_ending", border=True, gap="small"):
        result = describe_result(run, score, reference).replace(" %", "\u00a0%")
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
            other = reference or next((each for each in others if each.name != run.name), None)
            if other:
                _link(
                    f"Compare with {other.label}",
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


def describe_result(run: Run, score: Score, reference: Run | None) -> str:
    """What a finished run reached, in sentences that take their figures from the runs.

    Args:
        run: the run.
        score: its accuracy.
        reference: the run of its recipe; None: no comparison.
    """
    wrong = score.total - score.correct
    sentences = [
        f"{wrong:,} of {score.total:,} {score.measured_on.removeprefix(f'{score.total:,} ')} "
        f"wrong after {plural(len(run.epochs), 'epoch')}: an accuracy of {score.accuracy:.2f} %.",
        f"Guessing among {CLASSES} digits gets about {100 * (CLASSES - 1) // CLASSES} % wrong.",
    ]
    other = score_run(reference) if reference else None
    if reference and other and other.measured_on == score.measured_on:
        sentences.append(
            f"The recipe's own run leaves {other.total - other.correct:,} after "
            f"{plural(len(reference.epochs), 'epoch')}."
        )
    if score.measured_on == TEST_IMAGES:
        allowed = round(score.total * (100 - GOAL_ACCURACY) / 100)
        sentences.append(
            f"The goal of {GOAL_ACCURACY} % allows {allowed:,}"
            + (": it is reached." if wrong <= allowed else ".")
        )
    return " ".join(sentences)


def describe_end(run: Run) -> str:
    """What a screen reader says when a run ends; empty before, and while it is paused."""
    if run.is_live or run.state in ("queued", "paused"):
        return ""
    if run.state not in ("finished", "stopped"):
        return f"The training of {run.name} has failed: {run.message or run.state}"
    score = score_run(run)
    result = f" with an accuracy of {score.accuracy:.2f} %" if score else ""
    return f"The training of {run.name} has ended{result}."
