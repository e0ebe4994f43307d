"""Drawings and pictures brought to MNIST's form, split into digits, and perturbed."""
