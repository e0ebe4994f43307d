"""A run's curves as an event file that TensorBoard reads. Needs neither tensorboard nor torch.

An event file is a sequence of TFRecords, each an `Event` in Protocol Buffers' wire format. Only the
few fields that scalars and a text need are written, since the package `tensorboard` brings a server
and gRPC with it. Formats: tensorflow/core/lib/io/record_writer.h (records with a masked CRC-32C),
tensorflow/core/util/event.proto and tensorflow/core/framework/summary.proto (fields).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from functools import cache

from core.runs.run import Run

MARK = "tfevents"  # TensorBoard reads only files that have this in their name
EXTENSION = f".{MARK}"
_POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), bits reversed
_MASK_DELTA = 0xA282EAD8
_DT_STRING = 7


def write_events(run: Run) -> bytes:
    """Return the event file of a run.

    Scalars by epoch (step: the epoch) are `accuracy/...` in percent, `loss/...` in nats,
    `learning_rate` and `seconds`; those by batch (step: the optimizer step) are `batch/loss` and
    `batch/learning_rate`. The config is the text `config`.
    """
    created = run.created.timestamp()
    records = [_event(created, file_version="brain.Event:2")]
    config = json.dumps({"run": run.name, "recipe": run.recipe, **run.config.to_dict()}, indent=1)
    records.append(_event(created, value=_text("config/text_summary", f"```\n{config}\n```")))
    records += _epoch_events(run)
    records += _batch_events(run)
    return b"".join(map(_record, records))


def _epoch_events(run: Run) -> Iterator[bytes]:
    times = {each["epoch"]: each["time"] for each in run.read_events() if each["kind"] == "epoch"}
    time = run.created.timestamp()
    for row in run.epochs:
        time = times.get(row.epoch, time + row.seconds)
        for tag, value in (
            ("accuracy/train", row.train_accuracy),
            ("accuracy/validation", row.val_accuracy),
            ("loss/train", row.train_loss),
            ("loss/validation", row.val_loss),
            ("learning_rate", row.lr),
            ("seconds", row.seconds),
        ):
            yield _event(time, row.epoch, _scalar(tag, value))


def _batch_events(run: Run) -> Iterator[bytes]:
    for event in run.read_events():
        if event["kind"] == "batch":
            step = (event["epoch"] - 1) * run.steps_per_epoch + event["step"]
            for tag, name in (("batch/loss", "loss"), ("batch/learning_rate", "lr")):
                yield _event(event["time"], step, _scalar(tag, event[name]))


def _event(time: float, step: int = 0, value: bytes = b"", file_version: str = "") -> bytes:
    """An `Event`: wall_time = 1, step = 2, and file_version = 3 or summary = 5 with one value."""
    parts = [b"\x09", struct.pack("<d", time), b"\x10", _varint(step)]
    if file_version:
        parts.append(_bytes_field(3, file_version.encode()))
    if value:
        parts.append(_bytes_field(5, _bytes_field(1, value)))
    return b"".join(parts)


def _scalar(tag: str, value: float) -> bytes:
    """A `Summary.Value`: tag = 1, simple_value = 2."""
    return _bytes_field(1, tag.encode()) + b"\x15" + struct.pack("<f", value)


def _text(tag: str, text: str) -> bytes:
    """A `Summary.Value` of the text plugin: tag = 1, tensor = 8, metadata = 9."""
    shape = _bytes_field(2, _bytes_field(2, b"\x08" + _varint(1)))  # one dimension of size 1
    tensor = b"\x08" + _varint(_DT_STRING) + shape + _bytes_field(8, text.encode())
    plugin = _bytes_field(1, _bytes_field(1, b"text"))
    return _bytes_field(1, tag.encode()) + _bytes_field(8, tensor) + _bytes_field(9, plugin)


def _bytes_field(number: int, data: bytes) -> bytes:
    """A field of wire type 2: key, length, bytes."""
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def _record(data: bytes) -> bytes:
    """A TFRecord: length, its checksum, data, their checksum; all little-endian."""
    length = struct.pack("<Q", len(data))
    return (
        length
        + struct.pack("<I", _masked(crc32c(length)))
        + data
        + struct.pack("<I", _masked(crc32c(data)))
    )


def _masked(checksum: int) -> int:
    return ((checksum >> 15 | checksum << 17) + _MASK_DELTA) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of bytes (RFC 3720, section 12.1)."""
    table, value = _table(), 0xFFFFFFFF
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return tuple(table)
