import io
import os
import pickle
import zipfile
from collections import OrderedDict

import pytest
import torch

from core.errors import RunError
from core.runs import torch_file, weights


class Runs:
    """A pickle of this makes a folder when it is loaded without care."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def _zip(path, data, compression=zipfile.ZIP_STORED, storage=b"", name="archive/data.pkl"):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(name, data)
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/version", "3\n")
        if storage:
            archive.writestr("archive/data/0", storage)
    return path


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]
)
def test_names_and_shapes_are_read_without_torch(tmp_path, dtype):
    path = tmp_path / "a.pt"
    whole = torch.zeros(4, 3, 2, 2, dtype=dtype)
    tensors = {
        "a": whole,
        "b": torch.zeros((), dtype=dtype),
        "c": whole[1:, :2],
        "d": torch.zeros(0, 3, dtype=dtype),
        "e": whole.contiguous(memory_format=torch.channels_last),
    }
    torch_file.save(path, tensors)
    assert weights.shapes_in(path) == {
        name: tuple(tensor.shape) for name, tensor in tensors.items()
    }
    torch_file.save(path, OrderedDict(tensors))
    assert set(weights.load_tensors(path)) == set(tensors)


def test_equal_weights_give_equal_bytes(tmp_path):
    for name in ("a.pt", "b.pt"):
        torch_file.save(tmp_path / name, {"w": torch.arange(6.0), "n": torch.tensor(3)})
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()


def test_the_evil_pickle_would_run(tmp_path):
    """The tests below would notice: loaded without care, the pickle does what it says."""
    pickle.loads(pickle.dumps({"w": Runs(tmp_path / "ran")}))
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("where", ["value", "key", "whole", "state", "old format", "bare pickle"])
def test_a_pickle_that_would_run_something_is_refused_and_does_not_run(tmp_path, where):
    path, marker = tmp_path / "last.pt", tmp_path / "ran"
    evil = Runs(marker)
    if where == "old format":
        torch.save({"w": evil}, path, _use_new_zipfile_serialization=False)
    elif where == "bare pickle":
        path.write_bytes(pickle.dumps({"w": evil}))
    else:
        value = {
            "value": {"w": evil},
            "key": {("x", evil): 1},
            "whole": evil,
            "state": OrderedDict(w=[evil]),
        }[where]
        _zip(path, pickle.dumps(value, protocol=2))
    for load in (weights.shapes_in, weights.load_tensors, weights.load_state):
        with pytest.raises(
            RunError, match=r"last\.pt (is refused: it would run|is no zip file|is damaged)"
        ):
            load(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "module", ["os", "builtins", "torch", "torch._utils", "collections", "core.runs.weights"]
)
@pytest.mark.parametrize(
    "name",
    [
        "system",
        "eval",
        "load",
        "_rebuild_tensor",
        "defaultdict",
        "shapes_in",
        "_rebuild_tensor_v2.__globals__",
        "FloatStorage.from_buffer",
    ],
)
def test_no_name_but_those_of_tensors_is_known(tmp_path, module, name):
    _zip(tmp_path / "a.pt", b"\x80\x02c" + f"{module}\n{name}\n".encode() + b".")
    with pytest.raises(RunError, match=r"refused: it would run|something other"):
        weights.shapes_in(tmp_path / "a.pt")


def _tensor_pickle(numel, offset, shape, stride):
    out = io.BytesIO()

    class Storage:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return (
                ("storage", torch.FloatStorage, "0", "cpu", numel)
                if isinstance(value, Storage)
                else None
            )

    class Tensor:
        def __reduce__(self):
            return torch._utils._rebuild_tensor_v2, (
                Storage(),
                offset,
                shape,
                stride,
                False,
                OrderedDict(),
            )

    Pickler(out, protocol=2).dump({"w": Tensor()})
    return out.getvalue()


@pytest.mark.parametrize(
    ("numel", "offset", "shape", "stride"),
    [
        (4, 0, (5,), (1,)),
        (4, 1, (4,), (1,)),
        (4, 0, (2, 2), (4, 1)),
        (4, 0, (10**9,), (0,)),
        (4, -1, (1,), (1,)),
        (4, 0, (-1,), (1,)),
        (4, 0, (2,), (1, 1)),
        ("4", 0, (2,), (1,)),
        (4, 0, [2], [1]),
        (4, 0, (2.0,), (1,)),
        (4, "0", (2,), (1,)),
        (4, 0, (10**30,), (10**30,)),
        (4, 5, (1,), (1,)),
    ],
)
def test_a_tensor_that_reaches_beyond_its_data_is_refused(tmp_path, numel, offset, shape, stride):
    _zip(tmp_path / "a.pt", _tensor_pickle(numel, offset, shape, stride), storage=bytes(16))
    with pytest.raises(RunError, match=r"refused: (a tensor in it|it refers)"):
        weights.shapes_in(tmp_path / "a.pt")


def test_a_tensor_as_torch_writes_it_is_not_refused(tmp_path):
    _zip(tmp_path / "a.pt", _tensor_pickle(4, 0, (2, 2), (2, 1)), storage=bytes(16))
    assert weights.shapes_in(tmp_path / "a.pt") == {"w": (2, 2)}


@pytest.mark.parametrize(
    "value", [[1], {"w": 3}, {3: torch.zeros(1)}, {"w": [torch.zeros(1)]}, torch.zeros(3), None]
)
def test_anything_but_named_tensors_is_refused(tmp_path, value):
    torch_file.save(tmp_path / "a.pt", value)
    with pytest.raises(RunError, match="something other than named tensors"):
        weights.shapes_in(tmp_path / "a.pt")


def test_a_packed_file_of_weights_is_refused(tmp_path):
    """torch never packs; a packed tensor of zeros could fill the memory."""
    path = tmp_path / "a.pt"
    torch_file.save(path, {"w": torch.zeros(1_000_000)})
    with (
        zipfile.ZipFile(path) as source,
        zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in source.infolist():
            packed.writestr(entry.filename, source.read(entry))
    assert (tmp_path / "b.pt").stat().st_size < 20_000
    with pytest.raises(RunError, match="packed in a way"):
        weights.shapes_in(tmp_path / "b.pt")


def test_a_zip_of_endless_entries_is_refused_before_it_is_listed(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        for number in range(20_000):
            archive.writestr(f"{number}", b"")
    monkeypatch.setattr(zipfile.ZipFile, "__init__", lambda *rest: pytest.fail("it was listed"))
    with pytest.raises(RunError, match="far more than it should"):
        weights.shapes_in(tmp_path / "a.pt")


@pytest.mark.parametrize("cut", [0, 1, 21, 22, 100, 1_000])
def test_a_truncated_file_is_refused(tmp_path, cut):
    path = tmp_path / "a.pt"
    torch_file.save(path, {"w": torch.zeros(1000)})
    data = path.read_bytes()
    path.write_bytes(data[:cut] if cut < 100 else data[:-cut])
    with pytest.raises(RunError):
        weights.shapes_in(path)


def test_flipped_bytes_are_refused_or_harmless(tmp_path):
    path = tmp_path / "a.pt"
    torch_file.save(path, {"layers.0.weight": torch.arange(8.0).view(2, 4)})
    data = path.read_bytes()
    refused = 0
    for place in range(0, len(data), 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x41]) + data[place + 1 :])
        try:
            assert all(isinstance(name, str) for name in weights.load_tensors(path))
        except RunError:
            refused += 1
    assert refused > 20


def test_check_looks_again_when_the_file_changes(tmp_path):
    path = tmp_path / "a.pt"
    torch_file.save(path, {"w": torch.zeros(2)})
    weights.check(path, {"w": (2,)})
    with pytest.raises(RunError, match=r"w has the shape \(2,\) instead of \(3,\)"):
        weights.check(path, {"w": (3,)})
    torch_file.save(path, {"w": torch.zeros(3)})
    weights.check(path, {"w": (3,)})
    with pytest.raises(RunError, match="holds 1 tensors, not the 2"):
        weights.check(path, {"w": (3,), "b": (3,)})
