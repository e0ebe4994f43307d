"""Batches: every image once per epoch, reproducible, and the same with any number of workers."""

import gc
import multiprocessing
import os
import pickle
import signal
import time

import psutil
import pytest
import torch

from core.data import batches as module
from core.data import dataset
from core.data.batches import Batches, epoch_order, normalise
from core.data.presets import PRESETS
from core.errors import DataError


def mean_ink(images):
    """A teacher whose logits of an image depend on its pixels alone."""
    return images.float().mean((1, 2)).unsqueeze(1).repeat(1, 10)


DATA = dataset.synthetic(train=100, test=1)
FINAL = PRESETS["final"].transforms


@pytest.fixture(autouse=True)
def one_thread():
    # The tensors are tiny; on a busy machine, a second thread would wait for seconds.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 32)


def make(transforms=FINAL, workers=0, batch_size=16, indices=None, seed=4):
    indices = torch.arange(10, 90) if indices is None else indices
    return Batches(DATA.train[indices], batch_size, transforms, seed, workers)


def same(first, second):
    return len(first) == len(second) and all(
        a[:2] == b[:2] and torch.equal(a[2], b[2]) and torch.equal(a[3], b[3])
        for a, b in zip(first, second, strict=True)
    )


@pytest.fixture(autouse=True)
def _no_worker_survives():
    yield
    if multiprocessing.active_children():
        gc.collect()  # closes a stream that a test did not exhaust
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("transforms", [(), FINAL], ids=["plain", "augmented"])
@pytest.mark.parametrize("batch_size", [1, 7, 16, 79, 80, 5_000])
def test_an_epoch_visits_every_image_once(transforms, batch_size):
    made = make(transforms, batch_size=batch_size)
    rows = list(made.stream(2))
    assert [row[:2] for row in rows] == [
        (epoch, step) for epoch in (0, 1) for step in range(made.steps_per_epoch)
    ]
    assert made.steps_per_epoch == -(-80 // batch_size)
    for epoch in (0, 1):
        sizes = [len(labels) for number, _, _, labels, _ in rows if number == epoch]
        assert sizes[:-1] == [min(batch_size, 80)] * (len(sizes) - 1)
        assert sum(sizes) == 80
        seen = torch.cat([labels for number, _, _, labels, _ in rows if number == epoch])
        assert torch.equal(
            seen.bincount(minlength=10), DATA.train.labels[10:90].bincount(minlength=10)
        )
    assert rows[0][2].dtype == torch.uint8
    assert rows[0][3].dtype == torch.int64


def test_plain_images_keep_their_labels():
    for _, _, images, labels, _ in make(()).stream(1):
        for image, label in zip(images, labels, strict=True):
            places = (DATA.train.images == image).all(-1).all(-1).nonzero()
            assert label in DATA.train.labels[places]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_workers_change_nothing(workers, monkeypatch):
    monkeypatch.setattr(module, "available_cpus", lambda: 2)
    assert same(list(make(workers=0).stream(2)), list(make(workers=workers).stream(2)))


@pytest.mark.parametrize("transforms", [(), FINAL], ids=["plain", "augmented"])
def test_a_stream_can_start_at_any_step(transforms):
    made = make(transforms)
    whole = list(made.stream(3))
    for place, (epoch, step, *_) in enumerate(whole):
        assert same(list(made.stream(3, epoch, step)), whole[place:])
    assert same(list(made.stream(3, 0, made.steps_per_epoch)), whole[made.steps_per_epoch :])
    assert list(made.stream(3, 3, 0)) == []
    assert list(made.stream(3, 2, made.steps_per_epoch)) == []


def test_a_stream_with_a_worker_can_start_inside_a_chunk():
    made = make(workers=1)
    assert same(list(made.stream(2, 0, 3)), list(make().stream(2))[3:])


@pytest.mark.parametrize("workers", [0, 1])
def test_augmentation_ends_after_the_given_epochs(workers):
    def batches(transforms, workers=0, **options):
        return Batches(DATA.train[:80], 16, transforms, 4, workers, **options)

    plain, whole = list(batches(()).stream(3)), list(batches(FINAL).stream(3))
    made = batches(FINAL, workers, augmented_epochs=2)
    mixed = list(made.stream(3))
    assert same(mixed[:10], whole[:10])
    assert same(mixed[10:], plain[10:])
    assert not same(mixed[5:10], plain[5:10])
    for place in (3, 9, 10, 12):
        assert same(list(made.stream(3, *mixed[place][:2])), mixed[place:])
    assert same(list(batches(FINAL, augmented_epochs=0).stream(3)), plain)
    assert same(list(batches(FINAL, augmented_epochs=9).stream(3)), whole)


def test_seed_and_epoch_change_order_and_images():
    whole = list(make().stream(2))
    assert not same(whole, list(make(seed=5).stream(2)))
    first, second = ([row[2:] for row in whole if row[0] == epoch] for epoch in (0, 1))
    assert not torch.equal(
        torch.cat([row[0] for row in first]), torch.cat([row[0] for row in second])
    )


@pytest.mark.parametrize("workers", [0, 1])
def test_the_global_generator_does_not_advance(workers):
    # Dropout draws from it, so a resumed run, which starts a stream more often, would differ.
    before = torch.get_rng_state()
    for _ in make(workers=workers).stream(1):
        pass
    epoch_order(1, 1, 10)
    assert torch.equal(before, torch.get_rng_state())


def test_closing_a_stream_ends_its_workers():
    stream = make(workers=1).stream(1_000)
    next(stream)
    workers = multiprocessing.active_children()
    assert len(workers) == 1
    started = time.monotonic()
    stream.close()
    assert time.monotonic() - started < 5
    assert not psutil.pid_exists(workers[0].pid)


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_worker_leaves_signals_to_its_parent():
    stream = make(workers=1).stream(2)
    rows = [next(stream)]
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(multiprocessing.active_children()[0].pid, number)
    rows.extend(stream)
    assert same(rows, list(make().stream(2)))


def test_the_dataset_of_a_worker_can_be_pickled():
    chunks = module.AugmentedChunks(make(), 32)
    images, labels = pickle.loads(pickle.dumps(chunks)).get((1, 2))
    assert torch.equal(images, chunks.get((1, 2))[0])
    assert torch.equal(labels, chunks.get((1, 2))[1])


def test_no_images_are_refused():
    with pytest.raises(DataError, match="no images to train on"):
        make(indices=torch.arange(0))


def test_epoch_order_is_a_function_of_its_arguments():
    first = epoch_order(1, 0, 1_000)
    assert torch.equal(first, epoch_order(1, 0, 1_000))
    assert torch.equal(first.sort().values, torch.arange(1_000))
    orders = {
        tuple(epoch_order(seed, epoch, 1_000).tolist()) for seed in range(10) for epoch in range(10)
    }
    assert len(orders) == 100
    # fixed, since runs of earlier versions must resume exactly
    assert epoch_order(0, 0, 8).tolist() == [2, 3, 0, 4, 7, 5, 6, 1]


def test_normalise_gives_the_networks_input():
    images = torch.arange(256, dtype=torch.uint8).repeat(49).view(16, 28, 28)
    floats = normalise(images, "cpu")
    assert floats.shape == (16, 1, 28, 28)
    assert floats.dtype == torch.float32
    torch.testing.assert_close(
        floats, ((images.double() / 255 - 0.1307) / 0.3081).float().unsqueeze(1)
    )
    assert normalise(images, "cpu", torch.bfloat16).dtype == torch.bfloat16
    assert images[0, 0, :3].tolist() == [0, 1, 2]


@pytest.mark.parametrize("workers", [0, 1])
def test_every_image_comes_with_the_teachers_logits(workers):
    made = Batches(DATA.train[:80], 16, FINAL, 4, workers, augmented_epochs=1, teacher=mean_ink)
    whole = list(made.stream(3))
    assert len(whole) == 15
    for batch in whole:
        assert torch.equal(batch.teacher_logits, mean_ink(batch.images))
    rest = list(made.stream(3, 0, 2))
    assert all(
        torch.equal(a.teacher_logits, b.teacher_logits)
        for a, b in zip(rest, whole[2:], strict=True)
    )


@pytest.mark.parametrize("teacher", [None, mean_ink])
def test_a_device_that_augments_gives_the_same_batches(teacher):
    """Up to rounding; here on the CPU, with the code that a GPU runs."""
    options = {"augmented_epochs": 2, "teacher": teacher}
    expected = list(Batches(DATA.train[:80], 16, FINAL, 4, 0, **options).stream(3))
    made = Batches(DATA.train[:80], 16, FINAL, 4, 0, **options)
    made.augments_on_device = True
    batches = list(made.stream(3))
    assert [batch[:2] for batch in batches] == [batch[:2] for batch in expected]
    for batch, other in zip(batches, expected, strict=True):
        assert torch.equal(batch.labels, other.labels)
        assert (batch.images.float() - other.images.float()).abs().mean() < 0.25
        if teacher is not None:
            torch.testing.assert_close(batch.teacher_logits, teacher(batch.images))
    left = list(made.stream(3, 0, 7))
    assert same(left, batches[7:])
