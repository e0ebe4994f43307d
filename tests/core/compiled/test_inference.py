"""The compiled forward pass computes torch's logits, for any number of threads."""

from __future__ import annotations

import pytest
import torch

from core.compiled.inference import ForwardPass
from core.compiler import is_available
from core.data.batches import normalise
from core.models.architectures import ARCHITECTURES
from core.models.network import Network
from core.training.evaluation import evaluate

pytestmark = pytest.mark.skipif(not is_available(), reason="no C compiler works here")


def make_network(name: str) -> Network:
    torch.manual_seed(1)
    model = Network(ARCHITECTURES[name].rows, dropout=0.3)
    for buffer in model.buffers():  # running statistics unlike those of a new network
        if buffer.is_floating_point():
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    return model.eval()


def make_images(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (count, 28, 28), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_logits_are_torchs(name):
    model, images = make_network(name), make_images(21)
    with torch.no_grad():
        expected = model(normalise(images, "cpu"))
    state = [tensor.numpy() for tensor in model.state_dict().values()]
    logits = torch.from_numpy(ForwardPass(model.rows)(images.numpy(), state))
    scale = expected.abs().max().item()
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5 * scale)


def test_logits_do_not_depend_on_threads_or_neighbours():
    model, images = make_network("original-3762"), make_images(700)
    compute = ForwardPass(model.rows)
    state = [tensor.numpy() for tensor in model.state_dict().values()]
    whole = compute(images.numpy(), state)
    assert (compute(images.numpy(), state, threads=3) == whole).all()
    assert (compute(images[3:4].numpy(), state) == whole[3:4]).all()


def test_an_evaluation_counts_as_torch_does():
    model, images = make_network("original-3762"), make_images(500)
    labels = torch.randint(0, 10, (500,), generator=torch.Generator().manual_seed(3))
    cpu = torch.device("cpu")
    loss, correct = evaluate(model, images, labels, cpu)
    compiled_loss, compiled_correct = evaluate(model, images, labels, cpu, layout="compiled")
    assert compiled_loss == pytest.approx(loss, rel=1e-5)
    assert compiled_correct == correct
