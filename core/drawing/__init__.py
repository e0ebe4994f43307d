"""Drawings and pictures: read, converted to MNIST's form, split into digits, and perturbed."""
