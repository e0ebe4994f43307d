"""Worksheets on the chapters of the story: which questions each asks.

`questions` computes the answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from core.config import RunConfig
from core.errors import ConfigError, listed
from core.experiments.measurements import Measurements, read_measurements
from core.models.architectures import ARCHITECTURES, rows_of
from core.models.shapes import Layer, trace
from core.models.summary import summarise
from core.recipes import RECIPES
from core.reports import questions as ask
from core.reports import story
from core.reports.original import PRINTED
from core.reports.questions import Question
from core.reports.rungs import find_effect, list_steps, steps_to
from core.runs.run import Run
from core.schema import shown
from core.task import CLASSES, GOAL_ACCURACY, INPUT_SHAPE, MAX_ERRORS, TEST_IMAGES

MOST = 8  # questions on a page


@dataclass(frozen=True, slots=True)
class Worksheet:
    """Questions on a chapter, which fit one page."""

    title: str
    questions: tuple[Question, ...]


def build_worksheet(chapter: str) -> Worksheet:
    """The worksheet of a chapter.

    Args:
        chapter: one of CHAPTERS.

    Raises:
        ConfigError: there is no such chapter; the message lists them.
        RunError: a shipped run that it asks about is missing or damaged, or the measured figures
            cannot be read.
    """
    if chapter not in CHAPTERS:
        raise ConfigError(f"there is no chapter {shown(chapter)}; choose {listed(CHAPTERS)}.")
    title, write = CHAPTERS[chapter]
    return Worksheet(title, tuple(write()[:MOST]))


def _ask_goal() -> list[Question]:
    pixels = math.prod(INPUT_SHAPE)
    linear = ask.total_parameters(RunConfig(architecture="linear-7850"))
    return [
        Question(
            f"The goal is an accuracy of {GOAL_ACCURACY} % on {TEST_IMAGES:,} test images. How "
            "many may be misread at most?",
            f"{MAX_ERRORS}",
            f"{100 - GOAL_ACCURACY:.1f} % of {TEST_IMAGES:,}",
        ),
        Question(
            f"Someone guesses one of the {CLASSES} digits at random for each image. How many of "
            f"{TEST_IMAGES:,} guesses are correct on average?",
            f"{TEST_IMAGES // CLASSES:,}",
            f"one in {CLASSES}",
        ),
        Question(
            f"An image is {INPUT_SHAPE[2]} pixels wide and {INPUT_SHAPE[1]} pixels high. How many "
            "pixels does it have?",
            f"{pixels}",
            f"{INPUT_SHAPE[2]} × {INPUT_SHAPE[1]}",
        ),
        Question(
            f"The simplest network multiplies each of the {pixels} pixels by a weight of its own "
            f"for each of the {CLASSES} digits, and adds a bias for each digit. How many "
            "parameters does it have?",
            f"{linear:,}",
            f"{pixels} × {CLASSES} + {CLASSES}",
        ),
        ask.compare_with_budget(linear),
        ask.count_kernel_weights(4, 8),
        ask.count_steps(RECIPES["final-published"].config),
    ]


def _ask_initial() -> list[Question]:
    run = story.open_shipped_run("initial")
    first, second = _convolutions(run)[:2]
    return [
        ask.count_row_parameters(first),
        ask.count_output_values(first),
        ask.count_multiplications(second),
        ask.compare_with_budget(run.parameters),
        ask.count_steps(run.config),
        ask.find_epoch_below(run, 100),
        ask.error_to_accuracy(run),
        ask.measure_gap(run),
    ]


def _ask_intermediate() -> list[Question]:
    before, run = (story.open_shipped_run(name) for name in ("initial", "intermediate"))
    convolutions = _convolutions(run)
    wider = next(each for each in convolutions if each.row["channels"] != each.input_shape[0] > 1)
    pool = next(each for each in trace(rows_of(run.config)) if each.row["kind"] == "maxpool")
    third = convolutions[2]
    return [
        ask.shrink(before, run),
        ask.count_row_parameters(wider),
        ask.count_output_values(pool),
        Question(
            "A value after the first 3 × 3 convolution depends on 3 × 3 pixels, after the second "
            "on 5 × 5. On how many pixels does a value depend after the third?",
            f"{third.receptive_field} × {third.receptive_field}",
            "each 3 × 3 convolution adds a pixel on each side",
        ),
        ask.error_to_accuracy(run),
        ask.compare_errors(before, run),
        ask.measure_gap(run),
    ]


def _ask_published() -> list[Question]:
    before, run = (story.open_shipped_run(name) for name in ("intermediate", "final-published"))
    printed, measured = PRINTED["final-published"], read_measurements().find(run.config)
    images = round((max(printed.accuracies) - printed.last) / 100 * TEST_IMAGES)
    seeds = [ask.average_seeds(measured)] if measured else []
    return [
        ask.count_augmented(run.config),
        ask.read_rate(run, (2, 5, 8)),
        ask.compare_errors(before, run),
        ask.measure_gap(run),
        ask.reach_goal(run),
        Question(
            f"The original's best epoch had {max(printed.accuracies):.2f} %, its last one "
            f"{printed.last:.2f} %. How many of {TEST_IMAGES:,} images is the difference? Why does "
            "the last epoch count?",
            f"{images}; the best epoch was chosen on the test images, so its accuracy is biased "
            "upwards",
        ),
        *seeds,
    ]


def _ask_changes() -> list[Question]:
    path = list_steps(read_measurements())
    path = path[: steps_to(path, "final")]
    effects = [
        ask.judge_change(now.title, effect)
        for before, now in pairwise(path)
        if (effect := find_effect(before.measured, now.measured)) is not None
    ]
    whole = find_effect(path[0].measured, path[-1].measured)
    final = path[-1].config
    return [
        *effects,
        *([ask.judge_change("All changes together", whole)] if whole else []),
        ask.count_steps(final),
        ask.count_augmented(final),
        _average_span(final),
        ask.count_kernel_weights(8, 8),
        ask.count_steps(path[0].config),
    ][: max(5, len(effects) + 2)]


def _ask_final() -> list[Question]:
    before, run = (story.open_shipped_run(name) for name in ("final-published", "final"))
    without = ask.total_parameters(RunConfig(architecture="original-3702"))
    title = ARCHITECTURES["original-3702"].title
    return [
        ask.error_to_accuracy(run),
        ask.compare_errors(before, run),
        ask.reach_goal(run),
        *_ask_seeds(run, read_measurements()),
        ask.count_steps(run.config),
        _average_span(run.config),
        Question(
            f"Batch norm makes the biases of its convolutions redundant. “{title}” has "
            f"{without:,} parameters, this network {run.parameters:,}. How many biases is that?",
            f"{run.parameters - without}",
            f"{run.parameters:,} − {without:,}",
        ),
    ]


def _ask_taught() -> list[Question]:
    before, run = (story.open_shipped_run(name) for name in ("final", "taught"))
    config = run.config
    teacher = ask.total_parameters(RECIPES["teacher"].config)
    share, temperature = config.teacher_share, config.temperature
    hot, cold = (1 / (1 + math.exp(-4 / each)) for each in (temperature, 1.0))
    return [
        Question(
            f"The teacher has {teacher:,} parameters, its student {run.parameters:,}. How many "
            "times as large is the teacher?",
            f"{teacher / run.parameters:.1f} times",
            f"{teacher:,} ÷ {run.parameters:,}",
        ),
        Question(
            f"The loss is a weighted mean: the loss against the teacher's predictions has the "
            f"weight {share:g}, the loss against the label has the rest. The two losses are 0.2 "
            "and 0.5. What is their weighted mean?",
            f"{share * 0.2 + (1 - share) * 0.5:.3g}",
            f"{share:g} × 0.2 + {1 - share:.3g} × 0.5",
        ),
        Question(
            "Two digits have the logits 4 and 0. Softmax gives the first the probability "
            f"1 ÷ (1 + e⁻⁴). A temperature of {temperature:g} first divides both logits by "
            f"{temperature:g}. What is the probability without and with the temperature?",
            f"{100 * cold:.1f} % and {100 * hot:.1f} %",
            f"with it: 1 ÷ (1 + e^−{4 / temperature:g})",
        ),
        ask.count_augmented(config),
        ask.compare_errors(before, run),
        ask.reach_goal(run),
        *_ask_seeds(run, read_measurements()),
    ]


def _ask_end() -> list[Question]:
    runs = [story.open_shipped_run(name) for name in story.CHAPTERS]
    first, last = runs[0], runs[-1]
    errors = {story.chapter_title(run.name): run.epochs[-1].val_errors for run in runs}
    order = sorted(errors, key=errors.__getitem__)
    was, now = first.epochs[-1].val_errors, last.epochs[-1].val_errors
    deviation = math.sqrt(now)
    near = [
        title
        for title, count in errors.items()
        if title != story.chapter_title(last.name) and abs(count - now) < 2 * deviation
    ]
    summary = summarise(rows_of(last.config))
    size, weight = 4 * last.parameters, 4
    return [
        Question(
            "The runs misread this many test images: "
            + "; ".join(f"{title}: {count}" for title, count in errors.items())
            + ". Order them from best to worst.",
            "; ".join(order),
        ),
        Question(
            f"From {ask.quote_title(first)} to {ask.quote_title(last)} the number of errors went "
            f"from {was} to {now}. By what percentage did it fall?",
            f"{100 * (was - now) / was:.0f} %",
            f"100 × ({was} − {now}) ÷ {was}",
        ),
        ask.shrink(first, last),
        ask.reach_goal(last),
        Question(
            "On other test images a run would have another number of errors, with a standard "
            f"deviation of about its square root. What is it for {now} errors? Which of the other "
            "runs differ by less than two standard deviations?",
            f"{deviation:.1f}; {'; '.join(near) or 'none'}",
            f"the square root of {now}; less than {2 * deviation:.1f} errors",
        ),
        Question(
            f"A parameter takes {weight} bytes. How many bytes are {last.parameters:,} parameters?",
            f"{size:,}",
            f"{weight} × {last.parameters:,}",
        ),
        Question(
            f"The network needs {summary.multiply_adds:,} multiplications for one image. How many "
            "images per second can a processor read that does a billion multiplications per "
            "second?",
            f"about {10**9 // summary.multiply_adds:,}",
            f"1,000,000,000 ÷ {summary.multiply_adds:,}",
        ),
    ]


def _ask_seeds(run: Run, measurements: Measurements) -> list[Question]:
    measured = measurements.find(run.config)
    return [ask.average_seeds(measured)] if measured else []


def _average_span(config: RunConfig) -> Question:
    """Number of steps that an exponential moving average spans."""
    decay = config.ema_decay
    return Question(
        f"The weights are averaged: each step keeps {decay:g} of the average and adds "
        f"{1 - decay:.3g} of the new weights. Such an average spans about 1 ÷ {1 - decay:.3g} "
        "steps. How many steps is that?",
        f"{round(1 / (1 - decay)):,}",
    )


def _convolutions(run: Run) -> list[Layer]:
    return [each for each in trace(rows_of(run.config)) if each.row["kind"] == "conv"]


Write = Callable[[], list[Question]]
# By name, in the story's order: the title, and the function that returns the questions.
CHAPTERS: dict[str, tuple[str, Write]] = {
    "goal": (story.GOAL, _ask_goal),
    "initial": (story.chapter_title("initial"), _ask_initial),
    "intermediate": (story.chapter_title("intermediate"), _ask_intermediate),
    "final-published": (story.chapter_title("final-published"), _ask_published),
    "changes": (story.CHANGES, _ask_changes),
    "final": (story.chapter_title("final"), _ask_final),
    "taught": (story.chapter_title("taught"), _ask_taught),
    "end": (story.END, _ask_end),
}
NAMES = {title: name for name, (title, _) in CHAPTERS.items()}
