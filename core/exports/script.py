"""A run as one Python script that trains it anew: it imports torch, numpy and, if the run augments, albumentations.

The script does what the trainer does, in the same order and with the same random numbers, so on the same machine it
comes to the same epoch table but for rounding. It holds only what the run needs: a run without a hold-out gets no code
for one.
"""

from __future__ import annotations

import base64
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from core.config import RunConfig
from core.data.augmentations import KINDS
from core.data.presets import transforms_of
from core.errors import RunError
from core.exports import script_network, script_schedule
from core.exports import script_parts as parts
from core.models.architectures import rows_of
from core.models.shapes import count_parameters, trace
from core.runs.loading import load_teacher
from core.runs.run import Run

WIDTH = 110
# The fields of a config that a script follows; one of another value than usual that is not here must not be lost.
HELD = {
    "architecture",
    "layers",
    "dropout",
    "initialisation",
    "augmentation",
    "transforms",
    "augment_fraction",
    "schedule",
    "lr",
    "max_lr",
    "warmup",
    "anneal",
    "gamma",
    "momentum_cycle",
    "batch_size",
    "epochs",
    "optimizer",
    "momentum",
    "nesterov",
    "weight_decay",
    "label_smoothing",
    "clip_norm",
    "ema_decay",
    "seed",
    "holdout",
    "holdout_seed",
    "device",
    "precision",
    "threads",
    "teacher",
    "teacher_share",
    "temperature",
}
LARGEST_TEACHER = 600_000  # parameters that a script can carry: about 3 MB of text


def source(run: Run) -> str:
    """The script.

    Raises:
        RunError: the run has something that a script of its own cannot have.
    """
    config = run.config
    for name, (own, usual) in config.differences(RunConfig()).items():
        if name not in HELD:
            raise RunError(
                f"{run.name} has {name} {own} and not {usual}, which a script of its own cannot hold."
            )
    from core.data.batches import CHUNK, MEAN, STD
    from core.data.dataset import FILES

    rows, augmented = rows_of(config), bool(transforms_of(config))
    network = script_network.source(rows, config.dropout)
    listed = ",\n    ".join(f'"{name}": "{digest}"' for name, digest in FILES.items())
    data = _filled(parts.DATA, files=listed, mean=repr(MEAN), std=repr(STD))
    functions, constants = script_schedule.source(config)
    sections = [_constants(run, constants), network, *_teacher(run), _initialise(config), data]
    if config.holdout:
        sections.append(parts.SPLIT)
    if augmented:
        calls = ",\n".join(_call(row) for row in transforms_of(config))
        sections.append(_filled(parts.AUGMENT, transforms=calls))
    # The random numbers of an image depend on which others it is augmented with.
    sections += [
        parts.ORDER,
        _filled(parts.AUGMENTED_BATCHES, chunk=CHUNK) if augmented else parts.BATCHES,
        *functions,
        *([_filled(parts.ROUNDED, layout=_layout(run))] if _rounds(run) else []),
        _filled(parts.EVALUATE, logits=_asked(run, "model", "normalise(some.to(device))")),
    ]
    if config.ema_decay:
        sections.append(parts.AVERAGE)
    if config.optimizer == "muon":
        sections.append(_muon())
    body = "\n\n\n".join(section.strip("\n") for section in [*sections, _main(run)])
    return f"{_docstring(run, count_parameters(trace(rows)))}\n\n{_imports(body, augmented)}\n\n{body}\n"


def _docstring(run: Run, parameters: int) -> str:
    needs = "torch, numpy and albumentations" if transforms_of(run.config) else "torch and numpy"
    notes = []
    if run.config.teacher != "none":
        notes.append(
            f"It learns from the answers of {run.config.teacher} too, whose trained weights are in this file."
        )
    if run.parent:
        notes.append(
            "The run itself began with the weights of another run; this begins with fresh ones."
        )
    if any(event["kind"] == "rate" for event in run.read_events()):
        notes.append(
            "The run's learning rate was changed by hand on the way; this follows the plan."
        )
    return "\n".join(
        [
            f'"""Trains {run.name}, a network of {parameters:,} parameters, on MNIST. Needs {needs}.',
            "",
            f"    python {run.name}.py --data FOLDER",
            "",
            "FOLDER holds MNIST's four files as they are published, unpacked; what is not there is fetched.",
            "The epoch table is printed as it grows, and the weights are saved at the end.",
            *notes,
            '"""',
        ]
    )


def _imports(body: str, augmented: bool) -> str:
    standard = [
        name
        for name in (
            "argparse",
            "base64",
            "copy",
            "gzip",
            "hashlib",
            "math",
            "os",
            "random",
            "time",
        )
        if re.search(rf"(?<![\w.]){name}\.", body) or (name == "os" and augmented)
    ]
    lines = [
        *(f"import {name}" for name in standard),
        "import urllib.request",
        "from pathlib import Path",
        "",
        *(
            [
                'os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else it asks the network for its newest version',
                "",
                "import albumentations as A",
                "import cv2",
            ]
            if augmented
            else []
        ),
        "import numpy as np",
        "import torch",
        "import torch.nn.functional as F",
        "from torch import nn",
    ]
    # Threads cost more than they bring at 28x28.
    return "\n".join([*lines, *(["", "cv2.setNumThreads(0)"] if augmented else [])])


def _constants(run: Run, constants: Mapping[str, Any]) -> str:
    config = run.config
    values: dict[str, Any] = {
        "EPOCHS": config.epochs,
        "BATCH_SIZE": config.batch_size,
        "SEED": config.seed,
        **constants,
    }
    if transforms_of(config):
        values["AUGMENTED_EPOCHS"] = config.augmented_epochs
    if config.ema_decay:
        values["EMA"] = config.ema_decay
    if config.holdout:
        values |= {"HOLDOUT": config.holdout, "HOLDOUT_SEED": config.holdout_seed}
    if config.teacher != "none":
        values |= {"TEACHER_SHARE": config.teacher_share, "TEMPERATURE": config.temperature}
    lines = [f"{name} = {value!r}" for name, value in values.items()]
    if run.runtime is not None:
        lines += [
            "",
            f"torch.set_num_threads({run.runtime.threads})  # as in the run: small networks gain nothing from more",
        ]
    return "\n".join(lines)


def _initialise(config: RunConfig) -> str:
    how = config.initialisation
    return _filled(
        parts.INITIALISE, weights=parts.WEIGHTS[how], bound=parts.BOUNDS.get(how, parts.NO_BOUND)
    )


def _teacher(run: Run) -> list[str]:
    """The networks that the run learnt from, with their weights; none for a run that learnt from labels only."""
    model = load_teacher(run.config, run.folder.parent)
    if model is None:
        return []
    count = sum(parameter.numel() for parameter in model.parameters())
    if count > LARGEST_TEACHER:
        raise RunError(
            f"{run.name} learnt from {run.config.teacher}, whose {count:,} parameters are more than a "
            f"script can hold ({LARGEST_TEACHER:,})."
        )
    values = [
        tensor.numpy().astype("<f4").tobytes()
        for tensor in model.state_dict().values()
        if tensor.is_floating_point()
    ]
    lines = textwrap.wrap(base64.b64encode(b"".join(values)).decode(), WIDTH)
    return [*_teaching_networks(model), _filled(parts.TEACHER, weights="\n".join(lines))]


def _teaching_networks(model: Any) -> list[str]:
    """Classes of which the last, Teacher, has its weights in the same order as the model."""
    if hasattr(model, "rows"):
        return [script_network.source(model.rows, 0.0, "Teacher")]
    names = [f"Teacher{number}" for number, _ in enumerate(model.members, 1)]
    return [
        *(
            script_network.source(member.rows, 0.0, name)
            for member, name in zip(model.members, names, strict=True)
        ),
        _filled(parts.ENSEMBLE, members=", ".join(f"{name}()" for name in names)),
    ]


def _muon() -> str:
    """The optimizer that torch does not have, as it stands here, less its imports."""
    from core.training import muon

    text = inspect.getsource(muon)
    return re.sub(r"  # type: ignore\[.*]", "", text[text.index("TURN = ") :])


def _rounds(run: Run) -> bool:
    """Whether the run computed in bfloat16."""
    return (run.runtime.precision if run.runtime else run.config.precision) == "bf16"


def _layout(run: Run) -> str:
    """The memory layout that the run computed in, which decides how bfloat16 rounds."""
    plain = run.runtime is not None and run.runtime.layout in ("contiguous", "batch_last")
    return "" if plain else ".to(memory_format=torch.channels_last)"


def _asked(run: Run, model: str, images: str) -> str:
    """The call that asks a network, in the run's number format."""
    return f"ask({model}, {images})" if _rounds(run) else f"{model}({images})"


def _filled(part: str, **values: Any) -> str:
    for name, value in values.items():
        part = part.replace(f"{{{name}}}", str(value))
    return part


def _optimizer(config: RunConfig) -> list[str]:
    parameters = "model.parameters()"
    lines = []
    if config.weight_decay and config.optimizer != "muon":
        lines = [
            "# Weight decay pulls on weights of convolutions and linear layers, not on biases and norms.",
            "parameters = [",
            f'    {{"params": [p for p in model.parameters() if p.ndim > 1], '
            f'"weight_decay": {config.weight_decay!r}}},',
            '    {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0}]',
        ]
        parameters = "parameters"
    if config.optimizer not in (*_OPTIMIZERS, "muon"):
        raise RunError(f"the optimizer {config.optimizer} has no form in a script here.")
    if config.optimizer == "muon":
        return [
            f"optimizer = Muon(muon_groups(model, {config.weight_decay!r}), rate(0, steps), {config.momentum!r})"
        ]
    kind, more = _OPTIMIZERS[config.optimizer](config)
    return [*lines, f"optimizer = torch.optim.{kind}({parameters}, lr=rate(0, steps), {more})"]


def _sgd(config: RunConfig) -> tuple[str, str]:
    nesterov = ", nesterov=True" if config.nesterov and config.momentum > 0 else ""
    return "SGD", f"momentum={config.momentum!r}{nesterov}"


_OPTIMIZERS: Mapping[str, Callable[[RunConfig], tuple[str, str]]] = {
    "sgd": _sgd,
    "adam": lambda config: ("Adam", f"betas=({config.momentum!r}, 0.999)"),
    # Without being told otherwise it decays the weights.
    "adamw": lambda config: (
        "AdamW",
        f"betas=({config.momentum!r}, 0.999)"
        + ("" if config.weight_decay else ", weight_decay=0.0"),
    ),
    "adadelta": lambda config: ("Adadelta", "rho=0.9"),
}
_MOMENTA = {
    **dict.fromkeys(("sgd", "muon"), 'group["momentum"] = momentum(epoch * steps + step, steps)'),
    "adam": 'group["betas"] = (momentum(epoch * steps + step, steps), 0.999)',
    "adamw": 'group["betas"] = (momentum(epoch * steps + step, steps), 0.999)',
}


def _main(run: Run) -> str:
    config = run.config
    held, averaged, taught = config.holdout > 0, config.ema_decay > 0, config.teacher != "none"
    smoothing = f", label_smoothing={config.label_smoothing!r}" if config.label_smoothing else ""
    scored = "average.model" if averaged else "model"
    batch = "normalise(images.to(device))"
    logits = _asked(run, "model", "x" if taught else batch)
    setting = ['group["lr"] = rate(epoch * steps + step, steps)']
    if script_schedule.moves_momentum(config) and config.optimizer in _MOMENTA:
        setting.append(_MOMENTA[config.optimizer])
    return _indented(
        [
            "def main():",
            (1, "options = argparse.ArgumentParser()"),
            (
                1,
                'options.add_argument("--data", type=Path, default=Path("data"), help="folder of MNIST\'s four files")',
            ),
            (
                1,
                'options.add_argument("--save", type=Path, default=Path("weights.pt"), help="file for the weights")',
            ),
            (
                1,
                'options.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")',
            ),
            (1, "options = options.parse_args()"),
            (1, "device = torch.device(options.device)"),
            (
                1,
                "train_images, train_labels, test_images, test_labels = (load(options.data, name) for name in FILES)",
            ),
            (1, "train_labels, test_labels = train_labels.long(), test_labels.long()"),
            *(
                [
                    (1, "train, held = split(train_labels)"),
                    (1, "validation = train_images[held], train_labels[held]"),
                    (1, "train_images, train_labels = train_images[train], train_labels[train]"),
                ]
                if held
                else [(1, "validation = test_images, test_labels")]
            ),
            (1, "model = Network()"),
            (1, "initialise(model)"),
            (1, f"model.to(device){_layout(run) if _rounds(run) else ''}"),
            (1, "steps = -(-len(train_images) // BATCH_SIZE)  # in an epoch"),
            *((1, line) for line in _optimizer(config)),
            *([(1, "average = Average(model)")] if averaged else []),
            *([(1, "teacher = trained_teacher().to(device)")] if taught else []),
            (1, "torch.manual_seed(SEED)"),
            (
                1,
                'print("| Epoch | LR       | Time    | TrainLoss | TrainCorrect | TrainAcc | ValLoss  | ValCorrect '
                '| ValAcc |")',
            ),
            (1, "for epoch in range(EPOCHS):"),
            (
                2,
                "begun, loss_sum, correct, first = time.perf_counter(), 0.0, 0, rate(epoch * steps, steps)",
            ),
            (
                2,
                "for step, (images, labels) in enumerate(batches(train_images, train_labels, epoch)):",
            ),
            (3, "for group in optimizer.param_groups:"),
            *((4, line) for line in setting),
            (3, "labels = labels.to(device)"),
            *([(3, f"x = {batch}")] if taught else []),
            (3, f"logits = {logits}  # (B, 10)"),
            (3, f"loss = F.cross_entropy(logits, labels{smoothing})"),
            *(
                [
                    (3, f"taught = distillation(logits, {_asked(run, 'teacher', 'x')})"),
                    (3, "loss = (1 - TEACHER_SHARE) * loss + TEACHER_SHARE * taught"),
                ]
                if taught
                else []
            ),
            (3, "optimizer.zero_grad()"),
            (3, "loss.backward()"),
            *(
                [(3, f"nn.utils.clip_grad_norm_(model.parameters(), {config.clip_norm!r})")]
                if config.clip_norm
                else []
            ),
            (3, "optimizer.step()"),
            *([(3, "average.update()")] if averaged else []),
            (3, "with torch.no_grad():"),
            (
                4,
                'loss_sum += F.cross_entropy(logits, labels, reduction="sum").item()'
                if smoothing or taught
                else "loss_sum += loss.item() * len(labels)",
            ),
            (4, "correct += int((logits.argmax(1) == labels).sum())"),
            (2, "count = len(train_images)"),
            (2, f"val_loss, val_correct = evaluate({scored}, *validation, device)"),
            (2, "minutes, seconds = divmod(round(time.perf_counter() - begun), 60)"),
            (
                2,
                'print(f"| {epoch + 1:5d} | {first:.6f} | {minutes:02d}m {seconds:02d}s | '
                '{round(loss_sum / count, 6):<9} "',
            ),
            (
                2,
                '      f"| {correct:12d} | {round(100 * correct / count, 2):<7}% | {val_loss:.6f} | {val_correct:10d} "',
            ),
            (2, '      f"| {round(100 * val_correct / len(validation[0]), 2):<5}% |", flush=True)'),
            *(
                [
                    (1, f"loss, correct = evaluate({scored}, test_images, test_labels, device)"),
                    (
                        1,
                        'print(f"On the test images, once: {correct:,} of {len(test_images):,} right, '
                        'mean loss {loss:.6f}")',
                    ),
                ]
                if held
                else []
            ),
            (1, f"torch.save({scored}.state_dict(), options.save)"),
            "",
            "",
            'if __name__ == "__main__":',
            (1, "main()"),
        ]
    )


def _indented(lines: list[Any]) -> str:
    return "\n".join(
        line if isinstance(line, str) else f"{'    ' * line[0]}{line[1]}" for line in lines
    )


class _Recorded:
    """Stands in for albumentations and cv2, and notes what it is asked for as source."""

    BORDER_CONSTANT, BORDER_REFLECT_101 = 0, 4

    def __getattr__(self, name: str) -> Any:
        return lambda **settings: (
            f"A.{name}({', '.join(f'{key}={value!r}' for key, value in settings.items())})"
        )


def _call(row: Mapping[str, Any]) -> str:
    """A transform as the call that makes it, broken into lines."""
    call = KINDS[row["kind"]].build(_Recorded(), _Recorded(), row)
    if not isinstance(call, str):
        raise RunError(f"transforms of the kind {row['kind']} have no form in a script here.")
    return textwrap.fill(
        call.replace(", strict=True", ""),
        WIDTH,
        initial_indent=" " * 8,
        subsequent_indent=" " * 12,
        break_long_words=False,
    )
