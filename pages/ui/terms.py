"""The field's terms in a line each: the help that stands beside a term where it first appears on a page.

A term that is also a field of the config goes by the field's name, so that its control finds it.
"""

from __future__ import annotations

from core.config import FIELDS

TERMS = {
    "accuracy": "Share of the images that are named rightly.",
    "validation": "Images that are only asked about, never learnt from: what they say of the network is what counts.",
    "loss": "How surprised the network is by the right answers, on average: minus the logarithm of the probability it "
    "gave them. 0 is perfect, 2.3 is guessing among ten.",
    "parameters": "Numbers that the network learns.",
    "multiply_adds": "Multiplications, each with an addition, to read one image.",
    "receptive_field": "Square of the image that one score depends on, in theory, in pixels.",
    "step": "One change of the network's numbers, after it has seen one batch of images.",
    "best": "Chosen on the validation images, so it flatters: compare runs by their last epoch.",
    "baseline": "A run to compare with: its curves stand behind in grey, and the figures say how far this one is off. "
    "While this one trains, they compare the same epoch.",
    "architecture": "The layers through which an image becomes ten scores, one for each digit.",
    "augmentation": "Small random changes of the training images, anew in every epoch, so that the network cannot "
    "learn them by heart.",
    "schedule": "How the learning rate moves during the run: large steps to get near, small ones to settle.",
    "lr": "How far each step moves the network's numbers: too far and it never settles, too little and it crawls.",
    "max_lr": "The rate at the top of the schedule's climb.",
    "batch_size": "Images that the network sees before each change of its numbers.",
    "epochs": "An epoch is one pass over all training images.",
    "dropout": "Share of the values inside the network that are set to zero at random while it trains, so that it "
    "relies on no single one. Only where the network has a dropout row without a share of its own.",
    "optimizer": "Rule that makes a step out of the slopes of the loss.",
    "momentum": "How much of the last step the next one keeps, so that steps in one direction add up (for Adam: its "
    "first beta).",
    "weight_decay": "Pull of the network's numbers towards zero, so that none grows without need.",
    "label_smoothing": "Share of the target that is spread over all ten digits, so that the network does not learn to "
    "be surer than it can be.",
    "teacher": "A trained run whose answers this one learns along with the labels (distillation): how sure a good "
    "network is of each digit says more than the label alone.",
    "teacher_share": "How much of the loss the teacher's answers make up; the labels make up the rest.",
    "temperature": "How much the teacher's answers are softened, so that the digits it holds possible count too; "
    "1: not at all.",
    "clip_norm": "Steps that would be longer are shortened to this; 0: none is.",
    "ema_decay": "Validate and save a running mean of the network's numbers instead of the last ones: how much of the old "
    "mean each step keeps; 0: none.",
    "holdout": "Training images kept back to validate on; 0: validate on the test images, as the seed does.",
    "seed": "Number that fixes every random choice: the same one gives the same run.",
}


def explain(name: str) -> str:
    """What to say of a term, or of a config's field."""
    return TERMS[name] if name in TERMS else FIELDS[name].help
