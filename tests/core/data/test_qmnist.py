"""QMNIST's further test digits, read from files that the tests write in the published format."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from core.data import qmnist, sources
from core.data.test_sets import load_test_set
from core.errors import DataError

IMAGES, LABELS = qmnist.FILES


def idx(values: np.ndarray) -> bytes:
    """An IDX file: bytes for images, big-endian 32-bit integers for the extended labels."""
    code = 8 if values.dtype == np.uint8 else 12
    header = bytes([0, 0, code, values.ndim]) + np.array(values.shape, ">i4").tobytes()
    return header + values.astype(values.dtype.newbyteorder(">")).tobytes()


def write(folder: Path, monkeypatch, images: np.ndarray, labels: np.ndarray) -> dict[str, bytes]:
    """Write both files, and let their checksums be the published ones."""
    contents = {IMAGES: gzip.compress(idx(images)), LABELS: gzip.compress(idx(labels))}
    publish(monkeypatch, contents)
    (folder / qmnist.FOLDER).mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / qmnist.FOLDER / name).write_bytes(content)
    return contents


def publish(monkeypatch, contents: dict[str, bytes]) -> None:
    sums = {name: hashlib.md5(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(qmnist, "FILES", sums)


@pytest.fixture
def arrays(monkeypatch) -> tuple[np.ndarray, np.ndarray]:
    """Ten images, of which the first four stand for MNIST's."""
    monkeypatch.setattr(qmnist, "IN_MNIST", 4)
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 70_000, (10, 8)).astype(np.int32)
    labels[:, 0] = np.arange(10)
    return generator.integers(0, 256, (10, 28, 28)).astype(np.uint8), labels


def test_the_images_that_are_not_in_mnist_are_read_with_their_class(tmp_path, arrays, monkeypatch):
    write(tmp_path, monkeypatch, *arrays)
    assert qmnist.is_present(tmp_path)
    data = qmnist.load(tmp_path)
    np.testing.assert_array_equal(data.images, arrays[0][4:])
    assert data.labels.tolist() == [4, 5, 6, 7, 8, 9]
    assert (str(data.images.dtype), str(data.labels.dtype)) == ("torch.uint8", "torch.int64")
    assert data.name == "qmnist"


def test_torchvision_reads_the_same_from_these_files(tmp_path, arrays, monkeypatch):
    from torchvision.datasets import QMNIST

    write(tmp_path, monkeypatch, *arrays)
    for path in (tmp_path / qmnist.FOLDER).iterdir():
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
    theirs = QMNIST(tmp_path, what="test")
    data = qmnist.load(tmp_path)
    np.testing.assert_array_equal(theirs.data[4:], data.images)
    np.testing.assert_array_equal(theirs.targets[4:, 0], data.labels)


def test_names_and_checksums_are_those_of_torchvision():
    from torchvision.datasets import QMNIST

    theirs = {url.rpartition("/")[2]: md5 for url, md5 in QMNIST.resources["test"]}
    assert theirs == qmnist.FILES
    assert all(url.startswith(qmnist.URL) for url, _ in QMNIST.resources["test"])


def test_missing_and_damaged_files_are_named_in_one_sentence(tmp_path, arrays, monkeypatch):
    with pytest.raises(DataError, match=f"{IMAGES} and {LABELS} are not in .*--on qmnist"):
        qmnist.load(tmp_path)
    write(tmp_path, monkeypatch, *arrays)
    path = tmp_path / qmnist.FOLDER / IMAGES
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=f"{IMAGES} is not in"):
        qmnist.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda images, labels: (images[:, :27], labels), "27, 28"),
        (lambda images, labels: (images, labels[:9]), "9, 8"),
        (lambda images, labels: (images, labels[:, :1]), "10, 1"),
        (lambda images, labels: (images, labels + 1), "labels from 1 to 10"),
        (lambda images, labels: (images[:4], labels[:4]), "4 images"),
        (lambda images, labels: (images, labels.astype(np.int64)), "not an IDX file"),
    ],
)
def test_files_of_another_form_are_refused(tmp_path, arrays, monkeypatch, change, reason):
    write(tmp_path, monkeypatch, *change(*arrays))
    with pytest.raises(DataError, match=reason):
        qmnist.load(tmp_path)


def test_a_file_that_is_no_idx_file_is_refused(tmp_path, arrays, monkeypatch):
    contents = write(tmp_path, monkeypatch, *arrays)
    path = tmp_path / qmnist.FOLDER / LABELS
    for content in (b"no gzip", gzip.compress(b""), gzip.compress(b"\0\0\7\2" + bytes(40))):
        path.write_bytes(content)
        publish(monkeypatch, {**contents, LABELS: content})
        with pytest.raises(DataError, match=f"{LABELS} is not an IDX file"):
            qmnist.load(tmp_path)


def test_missing_files_are_downloaded_and_checked(tmp_path, arrays, monkeypatch):
    contents = write(tmp_path / "there", monkeypatch, *arrays)
    asked = []

    def download(url, report):
        asked.append(url.removeprefix(qmnist.URL))
        return contents[asked[-1]]

    monkeypatch.setattr(sources, "download", download)
    data = load_test_set("qmnist", tmp_path)
    assert (len(data), asked) == (6, list(contents))
    load_test_set("qmnist", tmp_path)
    assert len(asked) == 2, "what is there is not downloaded again"
    monkeypatch.setattr(sources, "download", lambda url, report: b"something else")
    with pytest.raises(DataError, match="checksum"):
        load_test_set("qmnist", tmp_path / "other")
    assert not qmnist.is_present(tmp_path / "other")


def test_without_internet_one_sentence_says_what_to_do(tmp_path, monkeypatch):
    def refuse(url, report):
        raise sources.Unavailable("no answer within 5 s")

    monkeypatch.setattr(sources, "download", refuse)
    with pytest.raises(DataError) as raised:
        load_test_set("qmnist", tmp_path)
    text = str(raised.value)
    assert "no answer within 5 s" in text
    assert all(name in text for name in qmnist.FILES)
    assert text.count(". ") == 0


def test_an_unknown_set_is_refused_with_the_known_ones():
    with pytest.raises(DataError, match="mnist or qmnist"):
        load_test_set("emnist")
