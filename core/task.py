"""The task: MNIST's images, and the goal that the original set for a network."""

from __future__ import annotations

TRAINING_IMAGES = 60_000
TEST_IMAGES = 10_000
# Sets of images that a run can be scored on, by name, in words.
TEST_SETS = {"mnist": "test images", "qmnist": "further test images of QMNIST"}
CLASSES = 10  # the digits 0 to 9
INPUT_SHAPE = (1, 28, 28)  # channels, height, width of one image
MEAN, STD = 0.1307, 0.3081  # of the pixels of all training images; white is 1

# The goal: this accuracy on the test images, in at most so many epochs, with fewer parameters.
GOAL_ACCURACY = 99.4  # percent
GOAL_EPOCHS = 15
MAX_ERRORS = round(TEST_IMAGES * (100 - GOAL_ACCURACY) / 100)  # on the test images
PARAMETER_BUDGET = 8_000
