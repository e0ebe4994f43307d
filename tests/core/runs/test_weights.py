"""Weights files: checked by their header at bounded cost; what is checked is loaded."""

import json
import os
import pickle
import time
import tracemalloc

import pytest
import torch
from safetensors.torch import load_file

from core.errors import RunError
from core.models.architectures import ARCHITECTURES
from core.runs import weights
from core.runs.weights import TensorSpec

SPECS = {"w": TensorSpec("F32", (2, 3)), "n": TensorSpec("I64", ())}
TENSORS = {"w": torch.arange(6.0).view(2, 3), "n": torch.tensor(7)}


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def pack(header, values=bytes(32)):
    """A safetensors file by hand, from a header as JSON value or text."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + values


VALID = {"n": entry([], 0, 8, "I64"), "w": entry([2, 3], 8, 32)}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_expected_tensors_are_those_of_the_network(name):
    from core.config import RunConfig
    from tests.networks import build_model

    dtypes = {torch.float32: "F32", torch.int64: "I64"}
    assert weights.expected_tensors(ARCHITECTURES[name].rows) == {
        key: TensorSpec(dtypes[tensor.dtype], tuple(tensor.shape))
        for key, tensor in build_model(RunConfig(architecture=name)).state_dict().items()
    }


def test_what_is_saved_is_loaded(tmp_path):
    path = tmp_path / "last.safetensors"
    weights.save_tensors(path, TENSORS)
    weights.check_file(path, SPECS)
    for loaded in (weights.load_tensors(path, SPECS), load_file(path)):
        assert {name: tensor.tolist() for name, tensor in loaded.items()} == {
            name: tensor.tolist() for name, tensor in TENSORS.items()
        }
    assert weights.to_bytes(TENSORS) == weights.to_bytes(dict(reversed(TENSORS.items())))


def test_any_memory_layout_is_saved(tmp_path):
    images = torch.arange(48.0).view(2, 3, 4, 2).contiguous(memory_format=torch.channels_last)
    weights.save_tensors(tmp_path / "a", {"w": images, "t": torch.arange(6.0).view(2, 3).T})
    assert torch.equal(load_file(tmp_path / "a")["w"], images)


def test_a_file_made_by_hand_is_read(tmp_path):
    weights.parse_tensors(pack(VALID), SPECS, "a")
    weights.parse_tensors(pack({**VALID, "__metadata__": {"format": "pt"}}), SPECS, "a")


@pytest.mark.parametrize(
    "header",
    [
        {},
        [],
        None,
        3,
        b"",
        b"{",
        b"\xff" * 40,
        b"[" * 100_000,
        b'{"w":' * 50_000,
        b"1" * 400_000,
        {"w": VALID["w"]},
        {**VALID, "extra": entry([1], 32, 36)},
        {**VALID, "w": 3},
        {**VALID, "w": {}},
        {**VALID, "w": entry([3, 2], 8, 32)},
        {**VALID, "w": entry([6], 8, 32)},
        {**VALID, "w": entry([2, 3], 8, 32, "F64")},
        {**VALID, "w": entry([2, 3], 8, 32, 3)},
        {**VALID, "w": entry([2, 3.0], 8, 32)},
        {**VALID, "w": entry([2, True], 8, 32)},
        {**VALID, "w": entry([-2, -3], 8, 32)},
        {**VALID, "w": entry("23", 8, 32)},
        {**VALID, "w": entry([2, 10**4_000], 8, 32)},
        {**VALID, "w": entry([1] * 100_000, 8, 32)},
        {**VALID, "w": entry([2, 3], 0, 24)},
        {**VALID, "w": entry([2, 3], 8, 10**18)},
        {**VALID, "w": entry([2, 3], -8, 16)},
        {**VALID, "w": {"dtype": "F32", "shape": [2, 3]}},
        # Two entries of one name: Python takes the last, another parser may take the first.
        f'{{"n": {json.dumps(VALID["n"])}, "w": {json.dumps(entry([6], 8, 32))}, '
        f'"w": {json.dumps(entry([3, 2], 8, 32))}}}'.encode(),
    ],
    ids=lambda header: str(header)[:40],
)
def test_a_wrong_header_is_refused_at_once(header):
    began = time.process_time()
    with pytest.raises(RunError):
        weights.parse_tensors(pack(header), SPECS, "last.safetensors")
    assert time.process_time() - began < 1


@pytest.mark.parametrize("length", [0, 9, 2**31, 2**63, 2**64 - 1])
def test_a_header_length_that_is_not_true_is_refused(length, tmp_path):
    data = length.to_bytes(8, "little") + pack(VALID)[8:]
    (tmp_path / "a").write_bytes(data)
    for read in (
        lambda: weights.parse_tensors(data, SPECS, "a"),
        lambda: weights.check_file(tmp_path / "a", SPECS),
        lambda: weights.load_tensors(tmp_path / "a", SPECS),
    ):
        with pytest.raises(RunError):
            read()


def test_a_huge_file_costs_no_more_than_its_header(tmp_path):
    path = tmp_path / "a"
    for header in (pack(VALID), (2**40).to_bytes(8, "little")):
        with open(path, "wb") as file:
            file.write(header)
            file.truncate(5_000_000_000)
        tracemalloc.start()
        try:
            for check in (weights.check_file, weights.load_tensors):
                with pytest.raises(RunError):
                    check(path, SPECS)
            assert tracemalloc.get_traced_memory()[1] < 5_000_000
        finally:
            tracemalloc.stop()


class MakesFolder:
    """A pickle of this makes a folder when it is loaded without care."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_a_pickle_is_not_read(kind, tmp_path):
    path, marker = tmp_path / "a", tmp_path / "ran"
    if kind == "pickle":
        path.write_bytes(pickle.dumps({"w": MakesFolder(marker)}))
    else:
        torch.save({"w": MakesFolder(marker)}, path)
    for read in (weights.check_file, weights.load_tensors):
        with pytest.raises(RunError, match=r"not a safetensors file|damaged"):
            read(path, SPECS)
    assert not marker.exists()
    pickle.loads(pickle.dumps(MakesFolder(marker)))
    assert marker.exists(), "this test would have noticed"


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 9, 100, -1, -20])
def test_a_truncated_file_is_refused(tmp_path, cut):
    path = tmp_path / "a"
    path.write_bytes(weights.to_bytes(TENSORS)[:cut])
    for read in (weights.check_file, weights.load_tensors):
        with pytest.raises(RunError):
            read(path, SPECS)


def test_flipped_bytes_are_refused_or_only_change_values():
    data = weights.to_bytes(TENSORS)
    refused = 0
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 0x41]) + data[place + 1 :]
        try:
            tensors = weights.parse_tensors(changed, SPECS, "a")
        except RunError:
            refused += 1
        else:
            assert tensors["w"].shape == (2, 3)
    assert refused > 50


def test_a_file_is_checked_again_when_it_changes(tmp_path):
    path = tmp_path / "a"
    weights.save_tensors(path, {"w": torch.zeros(2)})
    weights.check_file(path, {"w": TensorSpec("F32", (2,))})
    with pytest.raises(RunError, match=r"w should have the shape \(3,\)"):
        weights.check_file(path, {"w": TensorSpec("F32", (3,))})
    weights.save_tensors(path, {"w": torch.zeros(3)})
    weights.check_file(path, {"w": TensorSpec("F32", (3,))})
    path.unlink()
    with pytest.raises(RunError, match="is missing"):
        weights.check_file(path, {"w": TensorSpec("F32", (3,))})
    path.mkdir()
    with pytest.raises(RunError, match="cannot be read"):
        weights.check_file(path, {"w": TensorSpec("F32", (3,))})
