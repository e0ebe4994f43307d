"""TensorBoard's event files, read back by a parser of the format's specification."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from core.exports.tensorboard import _masked, crc32c, write_events
from tests.made import STEPS, made_run


def records(data: bytes) -> Iterator[bytes]:
    """The records of a TFRecord file, their checksums compared."""
    at = 0
    while at < len(data):
        length = data[at : at + 8]
        (checksum,) = struct.unpack("<I", data[at + 8 : at + 12])
        assert checksum == _masked(crc32c(length))
        (size,) = struct.unpack("<Q", length)
        record = data[at + 12 : at + 12 + size]
        (checksum,) = struct.unpack("<I", data[at + 12 + size : at + 16 + size])
        assert checksum == _masked(crc32c(record))
        yield record
        at += 16 + size
    assert at == len(data)


def fields(data: bytes) -> dict[int, list]:
    """The fields of a Protocol Buffers message: number -> values."""
    found: dict[int, list] = {}
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        number, kind = key >> 3, key & 7
        if kind == 0:
            value: object = varint()
        elif kind == 1:
            (value,) = struct.unpack("<d", data[at : at + 8])
            at += 8
        elif kind == 5:
            (value,) = struct.unpack("<f", data[at : at + 4])
            at += 4
        else:
            size = varint()
            value = data[at : at + size]
            at += size
        found.setdefault(number, []).append(value)
    return found


def scalars(data: bytes) -> dict[str, list[tuple[int, float]]]:
    """The scalars of an event file: tag -> (step, value)."""
    found: dict[str, list[tuple[int, float]]] = {}
    for record in list(records(data))[1:]:
        event = fields(record)
        value = fields(fields(event[5][0])[1][0])
        if 2 in value:
            found.setdefault(value[1][0].decode(), []).append((event[2][0], value[2][0]))
    return found


def test_the_checksum_is_that_of_the_standard():
    # RFC 3720, appendix B.4, and the check value of the CRC catalogue.
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43


def test_epochs_and_batches_are_scalars(folder):
    run = made_run(folder, "one", done=3)
    data = write_events(run)
    assert fields(next(records(data)))[3] == [b"brain.Event:2"]
    found = scalars(data)
    accuracy = found["accuracy/validation"]
    assert [step for step, _ in accuracy] == [1, 2, 3]
    assert [value for _, value in accuracy] == pytest.approx(
        [row.val_accuracy for row in run.epochs], rel=1e-6
    )
    assert [step for step, _ in found["batch/loss"]][:5] == [5, 10, 15, 20, STEPS + 5]
    assert set(found) == {
        "accuracy/train",
        "accuracy/validation",
        "loss/train",
        "loss/validation",
        "learning_rate",
        "seconds",
        "batch/loss",
        "batch/learning_rate",
    }


def test_a_run_without_an_epoch_has_a_file_with_its_config(folder):
    data = write_events(made_run(folder, "new", done=0, state="stopped"))
    assert b'"architecture": "linear-7850"' in data
    assert not scalars(data)
