"""How a network may be quantised. Must not import torch."""

from __future__ import annotations

SCHEMES = ("int8", "int4")  # bits of a weight; activations have 8 bits
