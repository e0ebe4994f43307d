# ruff: noqa
# mypy: ignore-errors
"""RUN_DESCRIPTION

Prints the epoch table and saves the weights. MNIST is downloaded if the folder doesn't hold it.
"""

from __future__ import annotations

import argparse
import base64
import copy
import math
import os
import random
from collections.abc import Callable, Iterable, Mapping, Sequence  # noqa: F401
from time import perf_counter
from types import SimpleNamespace
from typing import Any  # noqa: F401

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.datasets import MNIST


class RunConfig:
    """Settings of the run; change any of them to train differently."""

    RUN_SETTINGS


config = RunConfig()


def layers():
    return [RUN_LAYERS]


def transforms():
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else it looks for a newer version online
    import albumentations as A  # noqa: F401
    import cv2

    cv2.setNumThreads(0)  # threads only slow down 28x28 images
    return [RUN_TRANSFORMS]


def teachers():
    return [RUN_TEACHERS]


RUN_SHARED


class Shared(int):
    """Stands for the convolution of an earlier row, counted from 1."""


class Network(nn.Module):
    """Rows of layers, applied one after the other: (B, 1, 28, 28) -> logits (B, 10).

    A whole number in place of a layer adds the output of that row, counted from 1.
    """

    def __init__(self, rows):
        super().__init__()
        self.layers = nn.ModuleList(x for row in rows for x in row if isinstance(x, nn.Module))
        self.rows = [[rows[x - 1][0] if isinstance(x, Shared) else x for x in r] for r in rows]

    def forward(self, x):
        outputs = []
        for row in self.rows:
            for layer in row:
                x = x + outputs[layer - 1] if isinstance(layer, int) else layer(x)
            outputs.append(x)
        return x.flatten(1)


def load_teacher(device):
    """The trained networks whose mean logits are the soft targets."""
    model, content = Ensemble(teachers()), bytearray(base64.b64decode(TEACHER_WEIGHTS))
    tensors = [tensor for tensor in model.state_dict().values() if tensor.is_floating_point()]
    for tensor in tensors:
        size = 4 * tensor.numel()
        tensor.copy_(torch.frombuffer(content[:size], dtype=torch.float32).view_as(tensor))
        content = content[size:]
    return model.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)


def augment(images, *key):
    """The transformed images, (N, 28, 28) uint8; seed and key determine every random number."""
    images = images.copy()
    for child, transform in enumerate(transforms()):
        numbers, words = np.random.SeedSequence([config.seed, *key, child]).spawn(2)
        generator = random.Random(int(words.generate_state(1, np.uint64)[0]))
        transform.set_random_state(np.random.default_rng(numbers), generator)
        for index, image in enumerate(images):
            images[index] = transform(image=image)["image"]
    return images


def batches(images, labels, epoch):
    """An epoch's batches, shuffled, and augmented in the first `augment_fraction` of the epochs."""
    size = config.batch_size * max(1, CHUNK // config.batch_size)  # images augmented together
    for number, indices in enumerate(epoch_order(config.seed, epoch, len(images)).split(size)):
        chunk = images[indices]
        if epoch < round(config.augment_fraction * config.epochs):
            chunk = torch.from_numpy(augment(chunk.numpy(), epoch, number))
        yield from zip(
            chunk.split(config.batch_size), labels[indices].split(config.batch_size), strict=True
        )


def predict(model, x, precision, memory_format):
    """Logits (B, 10) in float32 of normalised images, computed in "fp32" or "bf16"."""
    with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bf16"):
        return model(x.to(memory_format=memory_format)).float()


@torch.inference_mode()
def evaluate(model, images, labels, device):
    """Mean loss and number of correct predictions."""
    model.eval()
    batches = (normalise(part, device) for part in images.split(1_000))
    logits = torch.cat([predict(model, x, config.precision, config.memory_format) for x in batches])
    model.train()
    labels = labels.to(device)
    return F.cross_entropy(logits, labels).item(), int((logits.argmax(1) == labels).sum())


def with_average(model, average):
    """A copy of the model with the averaged weights and statistics."""
    model = copy.deepcopy(model)
    tensors = [tensor for tensor in model.state_dict().values() if tensor.is_floating_point()]
    torch._foreach_copy_(tensors, average.tensors)
    return model


def train(data, device):
    """Train, print the epoch table and return the network."""
    train_set, test_set = (MNIST(data, train, download=True) for train in (True, False))
    indices, held_out = split(train_set.targets, config.holdout, config.holdout_seed)
    images, labels = train_set.data[indices], train_set.targets[indices]
    test = test_set.data, test_set.targets
    validation = (train_set.data[held_out], train_set.targets[held_out]) if config.holdout else test
    total, steps = len(images), -(-len(images) // config.batch_size)
    model, teacher = Network(layers()), load_teacher(device)
    initialise(model, config.initialisation, torch.Generator().manual_seed(config.seed))
    model.to(device, memory_format=config.memory_format)
    optimizer, rate = build_optimizer(config, model), SCHEDULES[config.schedule]
    average = Average(model.state_dict(keep_vars=True).values(), config.ema_decay)
    smoothing, share = config.label_smoothing, config.teacher_share
    torch.manual_seed(config.seed)
    print(HEADER)
    for epoch in range(config.epochs):
        start, train_loss, train_correct = perf_counter(), 0.0, 0
        for step, (x, y) in enumerate(batches(images, labels, epoch), epoch * steps):
            set_rate(optimizer, rate(config, step, steps), momentum(config, step, steps))
            x, y = normalise(x, device), y.to(device)
            logits = predict(model, x, config.precision, config.memory_format)
            log_probabilities = F.log_softmax(logits, 1)
            nll = F.nll_loss(log_probabilities, y)
            loss = (1 - smoothing) * nll - smoothing * log_probabilities.mean()
            if teacher.members:
                with torch.no_grad():
                    targets = predict(teacher, x, config.teacher_precision, torch.channels_last)
                distilled = distillation_loss(
                    log_probabilities, logits, targets, config.temperature
                )
                loss = (1 - share) * loss + share * distilled
            optimizer.zero_grad()
            loss.backward()
            if config.clip_norm:
                nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            optimizer.step()
            average.advance()
            average.update()
            train_loss += nll.item() * len(y)
            train_correct += int((logits.argmax(1) == y).sum())
        result = with_average(model, average) if config.ema_decay else model
        val_loss, val_correct = evaluate(result, *validation, device)
        row = SimpleNamespace(epoch=epoch + 1, seconds=perf_counter() - start)
        row.lr, row.train_loss = rate(config, epoch * steps, steps), train_loss / total
        row.train_correct, row.train_accuracy = train_correct, 100 * train_correct / total
        row.val_loss, row.val_correct = val_loss, val_correct
        row.val_accuracy = 100 * val_correct / len(validation[0])
        print(format_row(row), flush=True)
    if config.holdout:
        loss, correct = evaluate(result, *test, device)
        print(f"Test images: {correct:,} of {len(test_set):,} correct, mean loss {loss:.6f}")
    return result


TEACHER_WEIGHTS = "RUN_WEIGHTS"

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="data", help="folder of the dataset")
    parser.add_argument("--save", default="weights.pt", help="file of the trained weights")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    torch.set_num_threads(config.threads)
    torch.save(train(options.data, options.device).state_dict(), options.save)
