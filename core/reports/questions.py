"""Questions of worksheets whose answers are computed: from rows, configs, runs and measurements.

What a worksheet asks of each chapter stands in `worksheets`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.config import RunConfig
from core.experiments.measurements import Measurement
from core.experiments.statistics import wilson_interval
from core.models.architectures import rows_of
from core.models.shapes import Layer, count_parameters, iter_layers, trace
from core.reports import story
from core.reports.analysis import MIN_DIFFERENCE
from core.reports.rungs import Effect
from core.runs.run import Run
from core.task import GOAL_ACCURACY, MAX_ERRORS, PARAMETER_BUDGET, TEST_IMAGES
from core.training.schedules import rate, steps_per_epoch
from core.wording import plural


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its answer.

    Args:
        text: the question; all figures that it needs are in it.
        answer: the result.
        working: how it is computed; may be empty.
    """

    text: str
    answer: str
    working: str = ""


def count_kernel_weights(inputs: int, outputs: int, kernel: int = 3) -> Question:
    """Weights of a convolution without bias, between so many channels."""
    rows = [
        {"kind": "conv", "channels": inputs, "kernel": 1},
        {"kind": "conv", "channels": outputs, "kernel": kernel, "bias": False},
    ]
    *_, layer = iter_layers(rows)
    return Question(
        f"How many parameters does a {kernel} × {kernel} convolution from {inputs} to {outputs} "
        "channels have without bias?",
        f"{layer.parameters:,}",
        f"{kernel} × {kernel} × {inputs} × {outputs}",
    )


def count_row_parameters(layer: Layer) -> Question:
    """Parameters of a convolution of a network, with its bias and batch norm."""
    row, inputs = layer.row, layer.input_shape[0]
    outputs, kernel = row["channels"], row["kernel"]
    parts, terms = [], [f"{kernel} × {kernel} × {inputs // row['groups']} × {outputs}"]
    if row["bias"]:
        parts.append("a bias for each output channel")
        terms.append(f"{outputs}")
    if row["norm"] == "batch":
        parts.append("batch norm with a scale and a shift for each output channel")
        terms.append(f"2 × {outputs}")
    with_ = f", with {' and '.join(parts)}" if parts else ""
    return Question(
        f"Row {layer.number} of the network is a {kernel} × {kernel} convolution from "
        f"{plural(inputs, 'channel')} to {outputs}{with_}. How many parameters does it have?",
        f"{layer.parameters:,}",
        " + ".join(terms),
    )


def count_output_values(layer: Layer) -> Question:
    """Number of values that a row puts out for one image."""
    channels, height, width = layer.output_shape
    return Question(
        f"For each image, row {layer.number} outputs {channels} channels of {height} × {width} "
        "values. How many values is that?",
        f"{math.prod(layer.output_shape):,}",
        f"{channels} × {height} × {width}",
    )


def count_multiplications(layer: Layer) -> Question:
    """Multiplications of a convolution for one image."""
    row, (outputs, height, width) = layer.row, layer.output_shape
    kernel, inputs = row["kernel"], layer.input_shape[0] // row["groups"]
    return Question(
        f"Row {layer.number}, a {kernel} × {kernel} convolution from {inputs} to {outputs} "
        f"channels, outputs {height} × {width} values per channel. How many multiplications does "
        "it need for one image?",
        f"{layer.multiply_adds:,}",
        f"{kernel} × {kernel} × {inputs} for each of {outputs} × {height} × {width} values",
    )


def compare_with_budget(parameters: int) -> Question:
    """Distance of a network's size from the limit."""
    spare = PARAMETER_BUDGET - parameters
    return Question(
        f"The network has {parameters:,} parameters; the goal allows fewer than "
        f"{PARAMETER_BUDGET:,}. How far is it from this limit?",
        f"{abs(spare):,} {'below' if spare > 0 else 'above'}",
    )


def shrink(before: Run, run: Run) -> Question:
    """Percentage of the parameters that is left."""
    return Question(
        f"{quote_title(before)} has {before.parameters:,} parameters, {quote_title(run)} "
        f"{run.parameters:,}. What percentage is left?",
        f"{100 * run.parameters / before.parameters:.1f} %",
        f"100 × {run.parameters:,} ÷ {before.parameters:,}",
    )


def count_steps(config: RunConfig) -> Question:
    """Steps of training."""
    steps = steps_per_epoch(config.training_images, config.batch_size)
    return Question(
        f"An epoch goes through all {config.training_images:,} training images in batches of "
        f"{config.batch_size}; each batch is one step. How many steps are there in "
        f"{plural(config.epochs, 'epoch')}?",
        f"{config.epochs * steps:,}",
        f"{config.training_images:,} ÷ {config.batch_size}, rounded up, is {steps:,}; times "
        f"{config.epochs}",
    )


def count_augmented(config: RunConfig) -> Question:
    """Transformed images that the augmented epochs show on average."""
    epochs, images = story.augmented_epochs(config), config.training_images
    fraction = story.transformed_fraction(config)
    return Question(
        f"In {epochs} of {config.epochs} epochs each of the {images:,} training images is "
        f"transformed at random with a probability of {100 * fraction:.4g} %. How many transformed "
        "images do these epochs show on average?",
        f"{round(epochs * images * fraction):,}",
        f"{epochs} × {images:,} × {fraction:.4g}",
    )


def find_epoch_below(run: Run, errors: int) -> Question:
    """First epoch with fewer errors."""
    counts = _errors_by_epoch(run)
    first = next((epoch for epoch, count in enumerate(counts, 1) if count < errors), None)
    return Question(
        f"After each epoch, this many of {TEST_IMAGES:,} test images were misread: "
        f"{_list(counts)}. After which epoch were there fewer than {errors} for the first time?",
        "never" if first is None else f"epoch {first}",
    )


def error_to_accuracy(run: Run) -> Question:
    """Accuracy from a number of errors."""
    last = run.epochs[-1]
    return Question(
        f"After {plural(len(run.epochs), 'epoch')}, {last.val_errors} of {last.val_total:,} test "
        "images are misread. What is the accuracy in percent?",
        f"{last.val_accuracy:.2f} %",
        f"100 × {last.val_correct:,} ÷ {last.val_total:,}",
    )


def compare_errors(before: Run, run: Run) -> Question:
    """Difference of the errors of two runs."""
    was, now = (each.epochs[-1].val_errors for each in (before, run))
    names = [quote_title(each) for each in (before, run)]
    points = f"{100 * (was - now) / TEST_IMAGES:+.2f} points"
    return Question(
        f"{names[0]} misreads {was} of {TEST_IMAGES:,} test images, {names[1]} {now}. How many "
        "errors fewer or more is that, and how many percentage points of accuracy?",
        f"{abs(was - now)} {'fewer' if was >= now else 'more'}, {points}",
        f"{was} − {now}",
    )


def measure_gap(run: Run) -> Question:
    """Gap between training and test accuracy, and whether it is overfitting."""
    last = run.epochs[-1]
    gap = story.accuracy_gap(last)
    limit = f"{MIN_DIFFERENCE:g} points"
    return Question(
        f"In the last epoch the accuracy is {last.train_accuracy:.2f} % on training images and "
        f"{last.val_accuracy:.2f} % on test images. Inkling says that a network overfits where the "
        f"first is more than {limit} higher. How large is the difference, and does this network "
        "overfit?",
        f"{gap:+.2f} points; {'yes' if gap > MIN_DIFFERENCE else 'no'}",
        f"{last.train_accuracy:.2f} − {last.val_accuracy:.2f}",
    )


def reach_goal(run: Run) -> Question:
    """Distance from the goal, and whether the confidence interval contains the goal."""
    last = run.epochs[-1]
    wrong = last.val_errors
    low, high = wilson_interval(last.val_correct, last.val_total)
    spare = MAX_ERRORS - wrong
    kind = "fewer" if spare >= 0 else "more"
    contains_goal = low < GOAL_ACCURACY < high
    shown = "no, it contains the goal" if contains_goal else "yes, it does not contain the goal"
    return Question(
        f"The run misreads {wrong} of {last.val_total:,} test images; its accuracy has a 95 % "
        f"confidence interval from {low:.2f} to {high:.2f} %. How many errors fewer or more than "
        f"the goal of {GOAL_ACCURACY} % allows is that? Does the interval show on which side of "
        "the goal the network is?",
        f"{abs(spare)} {kind}; {shown}",
        f"the goal allows {MAX_ERRORS}",
    )


def average_seeds(measured: Measurement) -> Question:
    """Mean accuracy over seeds, and how many of them reach the goal."""
    errors = [run.errors for run in measured.runs]
    reached = sum(count <= MAX_ERRORS for count in errors)
    return Question(
        f"{plural(len(errors), 'run')} with different random seeds misread {_list(errors)} of "
        f"{TEST_IMAGES:,} test images. What is their mean accuracy, and how many of them reach "
        f"{GOAL_ACCURACY} %?",
        f"{measured.accuracy.mean:.3f} %; {reached} of {len(errors)}",
        f"the mean is {sum(errors) / len(errors):.1f} images",
    )


def judge_change(title: str, effect: Effect) -> Question:
    """Whether a change has a significant effect, from its confidence interval."""
    low, high = effect.interval
    images = effect.difference / 100 * TEST_IMAGES
    return Question(
        f"“{title}”: the mean accuracy over {plural(effect.seeds, 'seed')} went from "
        f"{effect.means[0]:.3f} to {effect.means[1]:.3f} %. The 95 % confidence interval of the "
        f"difference is {low:+.3f} to {high:+.3f} points. How many of {TEST_IMAGES:,} images is "
        "the difference, and is it significant?",
        f"{images:+.1f} images; "
        + (
            "yes, the interval does not contain 0"
            if effect.is_significant
            else "no, the interval contains 0: chance may explain it"
        ),
    )


def read_rate(run: Run, epochs: tuple[int, int, int]) -> Question:
    """Learning rate between two epochs of a schedule that is straight there.

    Args:
        run: the run.
        epochs: finished epochs at the start, at the point that is asked for, and at the end.
    """
    steps = run.steps_per_epoch
    start, middle, end = (rate(run.config, epoch * steps, steps) for epoch in epochs)
    first, asked, last = epochs
    return Question(
        f"The learning rate falls in a straight line from {start:g} after {first} epochs to "
        f"{end:g} after {last}. What is it after {asked}?",
        f"{middle:.4g}",
        f"{start:g} − {asked - first} ÷ {last - first} × ({start:g} − {end:g})",
    )


def quote_title(run: Run) -> str:
    """The title of a run's chapter in quotation marks, since it may hold a comma."""
    return f"“{story.chapter_title(run.name)}”"


def total_parameters(config: RunConfig) -> int:
    """Number of a network's parameters."""
    return count_parameters(trace(rows_of(config)))


def _errors_by_epoch(run: Run) -> list[int]:
    return [row.val_errors for row in run.epochs]


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
