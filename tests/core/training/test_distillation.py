"""Distillation: the loss is Hinton's, and a student learns from soft targets alone."""

from __future__ import annotations

import pickle

import pytest
import torch
import torch.nn.functional as F

from core.config import RunConfig
from core.data.dataset import Mnist
from core.data.labelled_images import LabelledImages
from core.errors import RunError
from core.training.distillation import Ensemble, Teacher, distillation_loss
from core.training.results import EpochResult
from core.training.trainer import Training, fit
from tests.networks import build_model

ROWS = (
    {"kind": "conv", "channels": 4, "kernel": 3, "stride": 2, "norm": "batch"},
    {"kind": "conv", "channels": 8, "kernel": 3, "stride": 2, "norm": "batch"},
    {"kind": "global_avgpool"},
    {"kind": "linear", "channels": 10, "activation": "none"},
)
BASE = RunConfig(
    layers=ROWS,
    lr=0.1,
    max_lr=0.3,
    batch_size=20,
    epochs=6,
    device="cpu",
    precision="fp32",
    threads=1,
)
TAUGHT = BASE.changed(
    teacher="big", teacher_share=1.0, epochs=4, augmentation="final", augment_fraction=0.5
)


@pytest.fixture(scope="module")
def teacher(digits):
    training = Training(BASE, digits)
    rows = [row for row in training.run() if isinstance(row, EpochResult)]
    assert rows[-1].val_accuracy > 50
    return training.model


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_the_loss_is_the_softened_divergence_plus_the_teachers_entropy(temperature):
    logits, teacher_logits = torch.randn(2, 6, 10, generator=torch.Generator().manual_seed(0))
    soft = F.softmax(teacher_logits / temperature, 1)
    divergence = F.kl_div(F.log_softmax(logits / temperature, 1), soft, reduction="batchmean")
    entropy = -(soft * soft.log()).sum(1).mean()
    loss = distillation_loss(F.log_softmax(logits, 1), logits, teacher_logits, temperature)
    assert loss.item() == pytest.approx(temperature**2 * (divergence + entropy).item(), rel=1e-5)


def test_a_teacher_computes_logits_and_can_be_pickled(teacher, digits):
    images = digits.test.images[:50]
    teacher_network = Teacher(teacher, torch.device("cpu"))
    teacher_logits = teacher_network(images)
    assert teacher_logits.shape == (50, 10)
    assert (teacher_logits.argmax(1) == digits.test.labels[:50]).float().mean() > 0.5
    assert torch.equal(pickle.loads(pickle.dumps(teacher_network))(images), teacher_logits)
    assert not any(parameter.requires_grad for parameter in teacher_network.model.parameters())


def test_an_ensemble_is_the_mean_of_its_members_logits_and_can_be_pickled(teacher, digits):
    fresh = build_model(BASE.changed(seed=2)).eval()
    teacher_network = pickle.loads(
        pickle.dumps(Teacher(Ensemble([teacher, fresh]), torch.device("cpu")))
    )
    images = digits.test.images[:7]
    alone = [Teacher(member, torch.device("cpu"))(images) for member in (teacher, fresh)]
    assert torch.allclose(teacher_network(images), (alone[0] + alone[1]) / 2, atol=1e-6)
    assert not any(parameter.requires_grad for parameter in teacher_network.model.parameters())


def test_a_student_learns_from_the_answers_alone(teacher, digits):
    # All labels are 0, so whatever the student learns comes from the teacher.
    zeros = LabelledImages(digits.train.images, torch.zeros_like(digits.train.labels))
    blank = Mnist(zeros, digits.test)
    rows = list(fit(TAUGHT, blank, teacher))
    assert rows[-1].val_accuracy > 40  # chance: 10


@pytest.mark.parametrize("left_after", [7, 65, 91])
def test_a_resumed_run_with_a_teacher_ends_as_an_uninterrupted_one(left_after, teacher, digits):
    whole = Training(TAUGHT, digits, teacher=teacher)
    list(whole.run())
    first = Training(TAUGHT, digits, teacher=teacher)
    for number, _ in enumerate(first.run(), 1):
        if number == left_after:
            break
    second = Training(TAUGHT, digits, first.state_dict(), first.runtime, teacher=teacher)
    list(second.run())
    mine, theirs = second.weights(), whole.weights()
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_a_missing_or_superfluous_teacher_is_refused(teacher, digits):
    with pytest.raises(RunError, match="teacher is big"):
        Training(TAUGHT, digits)
    with pytest.raises(RunError, match="teacher is none"):
        Training(BASE, digits, teacher=teacher)
