"""Public networks for MNIST with few parameters, as their sources report them.

Only figures that were read in the source itself, and of which the source says the epoch; none is a
mean over several random seeds.
"""

from __future__ import annotations

from dataclasses import dataclass

BEST, LAST, VALIDATED = EPOCHS = (
    "best epoch on the test images",
    "last epoch",
    "epoch chosen on validation images",
)


@dataclass(frozen=True, slots=True)
class PublicNetwork:
    """A network with its accuracy on the test images in one run."""

    source: str
    """Repository on GitHub."""
    parameters: int
    accuracy: float
    """In percent."""
    epoch: str
    """One of EPOCHS: which epoch has that accuracy."""


PUBLIC_NETWORKS = (
    PublicNetwork("JoshWarn/Parameter-Efficient-MNIST", 697, 99.03, BEST),
    PublicNetwork("ruslangrimov/mnist-minimal-model", 1_936, 99.10, VALIDATED),
    PublicNetwork("parrotletml/era_session_seven (the original)", 3_762, 99.43, BEST),
    PublicNetwork("parrotletml/era_session_seven (the original)", 3_762, 99.35, LAST),
    PublicNetwork("woolly-of-cv/pytorch-examples", 3_762, 99.52, LAST),
    PublicNetwork("woolly-of-cv/pytorch-examples", 4_838, 99.41, LAST),
    PublicNetwork("woolly-of-cv/pytorch-examples", 5_760, 99.45, BEST),
    PublicNetwork("Shwethaamrutha/TSAI-S6", 6_260, 99.44, LAST),
)
