"""One-line explanations of the field's terms, shown as help where a term first appears on a page.

A term that is also a field of `RunConfig` has the field's name, so that its control finds it.
"""

from __future__ import annotations

from core.config import FIELDS

TERMS = {
    "accuracy": "Percentage of images that are classified correctly.",
    "validation": "Images that measure the network but never train it, so this figure shows how "
    "well it generalises.",
    "loss": "Cross-entropy: the negative logarithm of the probability given to the correct digit, "
    "averaged over the images. 0 is perfect; 2.3 is guessing among ten digits.",
    "parameters": "Weights and biases that training adjusts.",
    "multiply_adds": "Multiply-add operations needed to classify one image.",
    "receptive_field": "Region of the input image that one output can depend on, in pixels.",
    "step": "One update of the parameters, computed from one batch of images.",
    "best": "Highest validation accuracy of any epoch. Choosing it by the validation images makes "
    "it optimistic: compare runs by their last epoch.",
    "baseline": "Run to compare with. Its curves are drawn in grey, and the figures show the "
    "difference from it. While this run trains, both are compared at the same epoch.",
    "architecture": "Sequence of layers that turns an image into ten scores, one for each digit.",
    "augmentation": "Random changes to the training images, different in every epoch. They reduce "
    "overfitting.",
    "schedule": "How the learning rate changes during training: usually large steps first, small "
    "ones at the end.",
    "lr": "Size of each update of the parameters. If it is too large, the loss does not settle; if "
    "it is too small, training is slow.",
    "max_lr": "Learning rate at the peak of the schedule.",
    "batch_size": "Number of images in one update of the parameters.",
    "epochs": "An epoch is one pass over all training images.",
    "dropout": "Probability that an activation is set to zero during training, which reduces "
    "overfitting. It applies to dropout layers without a rate of their own.",
    "optimizer": "Rule that updates the parameters from the gradients of the loss.",
    "momentum": "Fraction of the previous update that is carried over to the next one, which "
    "smooths the updates. For Adam: beta 1.",
    "weight_decay": "Shrinks the weights a little at every step, so that they stay small.",
    "label_smoothing": "Share of the target probability that is spread evenly over all ten digits. "
    "It makes the network less overconfident.",
    "teacher": "Trained run whose predictions are soft targets besides the labels (knowledge "
    "distillation). They also tell the network which digits resemble each other.",
    "teacher_share": "Weight of the teacher's soft targets in the loss; the labels have the rest.",
    "temperature": "Softens the teacher's probabilities, so that the less likely digits count "
    "more. 1: unchanged.",
    "clip_norm": "Gradients with a larger norm are scaled down to this norm. 0: no clipping.",
    "ema_decay": "Decay per step of an exponential moving average of the weights, which is "
    "validated and saved instead of the latest weights. 0: no averaging.",
    "holdout": "Training images that are reserved for validation. 0: validate on the test images, "
    "as in the original.",
    "seed": "Fixes every random choice: the same settings and seed repeat the run.",
}


# Terms that the glossary explains with a picture -> heading there.
_GLOSSARY = {
    "loss": "loss",
    "receptive_field": "receptive-field",
    "step": "batch",
    "architecture": "convolution",
    "schedule": "one-cycle",
    "lr": "learning-rate",
    "max_lr": "learning-rate",
    "batch_size": "batch",
    "epochs": "epoch",
    "holdout": "validation",
    "dropout": "overfitting",
}


def explain(name: str) -> str:
    """The explanation of a term, or the help of a config field, with a link to the glossary."""
    text = TERMS[name] if name in TERMS else FIELDS[name].help
    return f"{text} [With a picture](glossary#{_GLOSSARY[name]})" if name in _GLOSSARY else text
