"""The memory of a training step is estimated within a factor of two of what torch keeps."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from core.config import RunConfig
from core.models.architectures import ARCHITECTURES, rows_of
from core.models.memory import step_bytes
from core.models.network import build
from core.models.shapes import trace

BATCH = 16


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_estimate_is_within_a_factor_of_two_of_what_is_kept(name):
    config = RunConfig(architecture=name, dropout=0.1)
    model = build(rows_of(config), config).train()
    weights = {tensor.untyped_storage().data_ptr() for tensor in model.state_dict().values()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        F.cross_entropy(model(torch.rand(BATCH, 1, 28, 28)), torch.zeros(BATCH, dtype=torch.long))
    measured = sum(storage.nbytes() for storage in kept.values())
    assert measured <= step_bytes(trace(rows_of(config)), BATCH) <= 2 * measured


def test_memory_grows_with_the_batch():
    layers = trace(ARCHITECTURES["original-3762"].rows)
    assert step_bytes(layers, 64) == 64 * step_bytes(layers, 1)
