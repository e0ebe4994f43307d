"""The dataset: found where people put it, downloaded whole or not at all, and split."""

from __future__ import annotations

import gzip
import hashlib
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock

from core.data import dataset, sources
from core.errors import DataError

NAMES = tuple(dataset.FILES)


def idx(values: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">i4").tobytes()
    return header + values.astype(np.uint8).tobytes()


@pytest.fixture
def files(monkeypatch):
    """Four small IDX files that stand for the published ones."""
    generator = np.random.default_rng(0)
    contents = {}
    for name, count in zip(NAMES, (30, 30, 10, 10), strict=True):
        shape = (count, 28, 28) if "images" in name else (count,)
        contents[name] = idx(generator.integers(0, 10, shape))
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(dataset, "FILES", sums)
    return contents


@pytest.fixture
def offer(monkeypatch):
    """Replace the sources: `offer(("name", source), ...)`."""
    return lambda *offered: monkeypatch.setattr(sources, "all_sources", lambda: list(offered))


def giving(contents):
    def source(wanted, report):
        for name in wanted:
            report(name, 0.5)
            if name in contents:
                yield name, contents[name]

    return source


def refusing(reason):
    def source(wanted, report):
        raise sources.Unavailable(reason)
        yield

    return source


def place(folder: Path, contents, names=NAMES) -> None:
    for name in names:
        (folder / name).write_bytes(contents[name])


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".fetch.lock"}


def test_files_in_place_are_read_without_a_download(tmp_path, files, offer):
    offer(("nobody", refusing("must not be asked")))
    place(tmp_path, files)
    data = dataset.load(tmp_path)
    assert data.train.images.shape == (30, 28, 28)
    assert data.train.images.dtype == torch.uint8
    assert data.train.labels.dtype == data.test.labels.dtype == torch.int64
    assert idx(data.train.images.numpy()) == files[NAMES[0]]
    assert idx(data.test.labels.numpy()) == files[NAMES[3]]
    assert left_in(tmp_path) == set(NAMES)


def test_a_missing_dataset_is_downloaded_and_progress_reported(tmp_path, files, offer):
    messages = []
    offer(("a mirror", giving(files)))
    dataset.load(tmp_path / "new" / "folder", lambda text, share: messages.append((text, share)))
    assert left_in(tmp_path / "new" / "folder") == set(NAMES)
    assert "a mirror" in messages[0][0]
    shares = [share for _, share in messages]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] == 1


def test_sources_are_tried_in_turn_and_complement_each_other(tmp_path, files, offer):
    wrong = {NAMES[0]: b"a login page", NAMES[1]: files[NAMES[1]]}
    requested = []

    def last(wanted, report):
        requested.extend(wanted)
        return giving(files)(wanted, report)

    offer(("first", refusing("no route")), ("second", giving(wrong)), ("third", last))
    dataset.load(tmp_path)
    assert requested == [NAMES[0], NAMES[2], NAMES[3]]


def test_nothing_is_stored_when_no_source_has_all(tmp_path, files, offer):
    offer(("first", refusing("no route")), ("second", giving({**files, NAMES[2]: b"cut"})))
    with pytest.raises(DataError) as caught:
        dataset.load(tmp_path)
    assert left_in(tmp_path) == set()
    for words in ("first: no route", f"its {NAMES[2]} is not", *NAMES, str(tmp_path)):
        assert words in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_never_used(tmp_path, files, offer, name):
    place(tmp_path, files)
    changed = bytearray(files[name])
    changed[-1] ^= 1
    (tmp_path / name).write_bytes(changed)
    offer(("nobody", refusing("offline")))
    with pytest.raises(DataError, match="offline"):
        dataset.load(tmp_path)
    offer(("mirror", giving(files)))
    dataset.load(tmp_path)
    assert (tmp_path / name).read_bytes() == files[name]


@pytest.mark.parametrize("dot", [False, True], ids=["", "dot"])
@pytest.mark.parametrize("layout", ["{}", "{}.gz", "MNIST/raw/{}", "MNIST/raw/{}.gz"])
def test_files_are_read_in_place_as_people_download_them(tmp_path, files, offer, layout, dot):
    for name in NAMES:
        path = tmp_path / layout.format(name.replace("-idx", ".idx") if dot else name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(files[name]) if path.suffix == ".gz" else files[name])
    offer(("nobody", refusing("must not be asked")))
    before = sorted(tmp_path.rglob("*"))
    assert dataset.is_present(tmp_path)
    assert len(dataset.load(tmp_path).test) == 10
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions don't apply")
def test_a_read_only_folder_is_read_in_place(tmp_path, files, offer):
    offer(("nobody", refusing("must not be asked")))
    place(tmp_path, files)
    tmp_path.chmod(0o500)
    try:
        assert len(dataset.load(tmp_path).test) == 10
        dataset.fetch(tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_a_complete_folder_is_never_written_to(tmp_path, files, offer, monkeypatch):
    """What a read-only folder needs, also where the tests run as root."""
    place(tmp_path, files)
    offer(("nobody", refusing("must not be asked")))
    for function in ("mkdir", "write_bytes", "touch"):
        monkeypatch.setattr(Path, function, lambda *_, **__: pytest.fail("written to"))
    dataset.fetch(tmp_path)
    assert len(dataset.load(tmp_path).test) == 10
    assert not (tmp_path / ".fetch.lock").exists()


def test_a_wrong_file_does_not_hide_a_right_one(tmp_path, files, offer):
    offer(("nobody", refusing("must not be asked")))
    place(tmp_path, files)
    (tmp_path / NAMES[0]).write_bytes(b"damaged")
    (tmp_path / f"{NAMES[0]}.gz").write_bytes(gzip.compress(files[NAMES[0]]))
    assert len(dataset.load(tmp_path).train) == 30


def test_an_interrupted_download_leaves_nothing(tmp_path, files, offer, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    offer(("mirror", giving(files)))
    monkeypatch.setattr(dataset.os, "fsync", full)
    with pytest.raises(DataError, match="No space left"):
        dataset.load(tmp_path)
    assert left_in(tmp_path) == set()


def test_the_remains_of_a_killed_download_are_removed(tmp_path, files, offer):
    (tmp_path / ".fetch-killed").mkdir()
    offer(("mirror", giving(files)))
    dataset.load(tmp_path)
    assert left_in(tmp_path) == set(NAMES)


def test_a_second_process_waits_for_the_first_and_downloads_nothing(tmp_path, files, offer):
    messages = []
    offer(("nobody", refusing("must not be asked")))
    lock = FileLock(tmp_path / ".fetch.lock", thread_local=False)
    lock.acquire()

    def first():
        while not messages:
            time.sleep(0.01)
        place(tmp_path, files)
        lock.release()

    thread = threading.Thread(target=first)
    thread.start()
    dataset.fetch(tmp_path, lambda text, share: messages.append(text))
    thread.join()
    assert "Waiting" in messages[0]


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(DataError, match="INKLING_DATA"):
        dataset.load(tmp_path / "data")


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("INKLING_DATA", str(tmp_path))
    assert dataset.data_folder() == tmp_path
    monkeypatch.setenv("INKLING_DATA", "~/digits")
    assert dataset.data_folder() == Path.home() / "digits"
    monkeypatch.delenv("INKLING_DATA")
    assert dataset.data_folder() == Path(dataset.__file__).parents[2] / "data"


@pytest.mark.mnist
def test_the_real_digits():
    data = dataset.load()
    assert data.train.images.shape == (60_000, 28, 28)
    assert data.test.images.shape == (10_000, 28, 28)
    assert data.train.labels.bincount().tolist() == [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]
    assert data.test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    pixels = data.train.images.double() / 255
    assert (round(pixels.mean().item(), 4), round(pixels.std().item(), 4)) == (0.1307, 0.3081)


@pytest.mark.parametrize("holdout", [0, 1, 7, 100, 599])
def test_split_is_stratified(holdout):
    labels = torch.cat([torch.full((count,), value) for value, count in enumerate((50, 150, 400))])
    train, validation = dataset.split(labels, holdout, 3)
    assert (len(train), len(validation)) == (600 - holdout, holdout)
    assert torch.equal(torch.cat([train, validation]).sort().values, torch.arange(600))
    assert torch.equal(train, train.sort().values)
    assert torch.equal(validation, validation.sort().values)
    for value, count in enumerate((50, 150, 400)):
        assert abs((labels[validation] == value).sum().item() - count * holdout / 600) <= 1


def test_split_follows_its_seed():
    labels = torch.arange(600) % 10
    first, again, other = (dataset.split(labels, 60, seed)[1] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


class OnDevice(torch.Tensor):
    """Refuses what a tensor on a GPU refuses."""

    def numpy(self):
        raise TypeError("can't convert cuda:0 device type tensor to numpy.")

    def cpu(self):
        return self.as_subclass(torch.Tensor)


def test_labels_on_a_gpu_are_split_as_on_the_cpu():
    labels = torch.arange(600) % 10
    expected = dataset.split(labels, 60, 1)
    found = dataset.split(labels.as_subclass(OnDevice), 60, 1)
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


@pytest.mark.parametrize("holdout", [600, 601, -1])
def test_split_leaves_an_image_to_train_on(holdout):
    with pytest.raises(DataError, match="holdout"):
        dataset.split(torch.arange(600) % 10, holdout, 1)


def test_synthetic_digits_can_be_learnt():
    data = dataset.synthetic(train=300, test=100, seed=2)
    assert data.train.images.shape == (300, 28, 28)
    assert data.train.images.dtype == torch.uint8
    assert data.test.labels.bincount().tolist() == [10] * 10
    assert torch.equal(
        data.train.images, dataset.synthetic(train=300, test=100, seed=2).train.images
    )
    # The nearest training image tells the digit: there is something to learn, and it carries over.
    distances = torch.cdist(
        data.test.images.flatten(1).float(), data.train.images.flatten(1).float()
    )
    guessed = data.train.labels[distances.argmin(1)]
    assert (guessed == data.test.labels).float().mean() > 0.9
