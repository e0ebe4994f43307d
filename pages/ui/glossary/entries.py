"""The entries of the glossary: what each term means, and where the app shows it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Entry:
    """A term.

    Args:
        text: what it means, in a few sentences.
        picture: what its picture shows, for those who cannot see it.
        link: title of the link to where the app shows it.
        page: file of that page.
        query: query parameters of the link.
    """

    text: str
    picture: str
    link: str
    page: str
    query: dict[str, str] = field(default_factory=dict)


# The order is that of a first reading; the keys are those of `core.charts.glossary.PICTURES`.
ENTRIES: dict[str, Entry] = {
    "convolution": Entry(
        "A small window slides over the image. At each position its pixels are multiplied by the "
        "weights of a kernel and added up; the sums make a new image, a feature map. The same few "
        "weights are used everywhere, so a stroke is recognised wherever it is.",
        "A 4 with a window of 3 by 3 pixels, and the map that a kernel for upright edges makes.",
        "See the maps of a network",
        "draw",
        {"digit": "test-4", "view": "Layers"},
    ),
    "kernel": Entry(
        "The weights of a convolution, here 3 by 3. Training finds them. These respond to vertical "
        "edges: the sum is positive where there is more ink on the left than on the right, and "
        "negative the other way round.",
        "Nine weights: 1, 2, 1 on the left, 0 in the middle, and -1, -2, -1 on the right.",
        "Change the kernels of a network",
        "model",
    ),
    "batch norm": Entry(
        "Each channel of a layer is shifted and scaled so that its values in a batch have the mean "
        "0 and the standard deviation 1. Then the layers after it see values of one size, and "
        "larger learning rates work.",
        "Two histograms: before, the values are off centre and wide; after, they surround 0.",
        "See where a network has it",
        "model",
    ),
    "pooling": Entry(
        "Of each 2 by 2 values only the largest is kept. The image becomes half as wide and half "
        "as high: later layers cost less and see more of the image, and a shift by a pixel "
        "matters less.",
        "A block of 4 by 4 values, and the 2 by 2 maxima of its quarters.",
        "See how the shapes shrink",
        "model",
    ),
    "receptive field": Entry(
        "The part of the image that one value of a layer depends on. Each convolution and each "
        "pooling widens it. Only a layer whose receptive field covers the digit can recognise it "
        "as a whole.",
        "A 4 with the square of pixels that one value of the sixth row depends on.",
        "See the field of each row",
        "model",
    ),
    "batch": Entry(
        "The images of one step. The network predicts all of them, and their average loss "
        "determines one update of the weights. Larger batches give steadier, but fewer updates.",
        "Eight digits in two groups of four, each group one update.",
        "See a batch as the network received it",
        "train",
        {"run": "sprint", "inside": "Batch"},
    ),
    "epoch": Entry(
        "One pass over all training images, batch by batch. Most runs here take 15 epochs; in each "
        "of them the order of the images is another one.",
        "Ten digits in two rows, each row in another order.",
        "See a run epoch by epoch",
        "train",
        {"run": "sprint", "inside": "Epochs"},
    ),
    "loss": Entry(
        "How wrong a prediction is: the negative logarithm of the probability that the network "
        "gives to the correct digit. Guessing among ten digits costs 2.3, certainty of the correct "
        "digit 0. Training makes the average loss small.",
        "A curve that falls from a high loss at a low probability to 0 at the probability 1.",
        "See a loss fall",
        "train",
        {"run": "sprint"},
    ),
    "learning rate": Entry(
        "The size of the updates. The weights move downhill on the loss: with small steps this "
        "takes long, with large ones they jump across the valley and even climb.",
        "Three valleys: small steps that have not arrived, steps that arrive, steps that climb.",
        "Find a good one by a range test",
        "experiments",
        {"experiment": "Rate finder"},
    ),
    "one-cycle": Entry(
        "A schedule of the learning rate: it rises to a peak early in the run and falls almost to "
        "0 at the end. Large steps come first and find a good region, small ones settle in it.",
        "A learning rate that rises, then falls slowly to almost 0.",
        "Set up a run with this schedule",
        "train",
        {"recipe": "initial", "run": "new run"},
    ),
    "validation": Entry(
        "Measuring the network on images that it was not trained with. Settings are compared on "
        "validation images, taken from the training set; the test images are kept for the final "
        "figure. A figure that settings were chosen by is optimistic.",
        "A bar of 55,000 training images and 5,000 validation images, and 10,000 test images.",
        "See which images are in which set",
        "data",
    ),
    "overfitting": Entry(
        "The network learns the training images by heart: its loss there still falls, while in "
        "validation it rises again. Fewer parameters, augmentation or fewer epochs help.",
        "The loss in training falls throughout; in validation it falls first and then rises.",
        "See a network that overfits",
        "story",
        {"chapter": "Initial", "step": "Analysis"},
    ),
}
