"""The outputs of all rows of a network, and how one value of them arises, back to the pixels.

The explanation is computed in the browser where it can hold the network's numbers, so that it
follows a click at once, and by `core.insight.forward_pass` for a larger network.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from core.charts.diagrams import format_shape, name_operation
from core.charts.sprites import sprite_sheet
from core.insight.cells import Cell
from core.insight.explanations import FeatureMaps, select_maps
from core.insight.forward_pass import ForwardPass
from core.models.receptive_field import receptive_fields
from core.models.shapes import Layer
from pages.ui.components.component import register_component
from pages.ui.components.maps import MapRow, map_row_data

# Weights and values that are sent to the browser, in 4 bytes each: enough for 8,000 parameters.
MAX_NUMBERS = 120_000
# Widths in rem: of a single value, of a digit's logit, of maps with few pixels, of other maps.
VALUE, LOGIT, SMALL, LARGE = 1.75, 2.5, 3.0, 5.25
FEW_PIXELS = 14  # across

_mount = register_component(
    "layers",
    "layers/layers",
    "tiles/map_rows",
    *(f"layers/{name}" for name in ("explain", "numbers", "words", "panel", "pictures")),
)


def draw_layers(forward: ForwardPass, key: str) -> None:
    """Draw the maps of all rows, and beside them the explanation of the chosen cell.

    Args:
        forward: an image on its way through the network.
        key: key of the component.
    """
    maps = select_maps(forward.values[1:])
    data = {
        "maps": [
            _map_data(layer, row, len(maps))
            for layer, row in zip(forward.layers, maps, strict=True)
        ],
        "rows": _describe_rows(forward),
        "scales": [float(np.abs(values).max()) or 1.0 for values in forward.values],
        "pixels": forward.image.ravel().tolist(),
        "digit": sprite_sheet(forward.image[None], 1).uri,
        "scores": forward.values[-1].ravel().tolist(),
        "network": _network_data(forward) if forward.size <= MAX_NUMBERS else None,
    }
    _mount_and_answer(forward, data, key)


@st.fragment
def _mount_and_answer(forward: ForwardPass, data: dict[str, Any], key: str) -> None:
    """Mount the component; only this runs again when it asks for a cell of a large network."""
    asked = None if data["network"] else _asked_cell(forward, key)
    start = asked or forward.predicted
    explained = None if data["network"] else forward.explain(start).to_dict()
    _mount(
        key=key,
        on_asked_change=lambda: _store_cell(key),
        data={**data, "start": list(start), "explained": explained},
    )


def _store_cell(key: str) -> None:
    st.session_state[f"{key}_cell"] = st.session_state[key].asked


def _asked_cell(forward: ForwardPass, key: str) -> Cell | None:
    """The cell that the browser asked for last, if this network has it."""
    asked = st.session_state.get(f"{key}_cell")
    if not isinstance(asked, list | tuple) or len(asked) != len(Cell._fields):
        return None
    if not all(isinstance(place, int) for place in asked):
        return None
    cell = Cell(*asked)
    return cell if forward.contains(cell) else None


def _describe_rows(forward: ForwardPass) -> list[dict[str, Any]]:
    """Name, shape and receptive field of the image and of each row."""
    described = [{"name": "image", "field": {"start": 0, "jump": 1, "side": 1}}]
    for layer in forward.layers:
        first = receptive_fields(forward.layers, layer.number)[0][0]
        described.append(
            {
                "name": name_operation(layer.row),
                "field": {"start": first.left, "jump": layer.jump, "side": first.side},
            }
        )
    return [
        {**row, "shape": list(values.shape)}
        for row, values in zip(described, forward.values, strict=True)
    ]


def _network_data(forward: ForwardPass) -> dict[str, Any]:
    """All numbers as float32 in one text, and where each row's begin."""
    numbers: list[np.ndarray] = []

    def place(values: np.ndarray) -> int:
        numbers.append(values.ravel())
        return sum(before.size for before in numbers[:-1])

    rows: list[dict[str, Any]] = [
        {
            "kind": "image",
            "shape": list(forward.values[0].shape),
            "values": place(forward.values[0]),
        }
    ]
    for layer, values, learned in zip(
        forward.layers, forward.values[1:], forward.parameters, strict=True
    ):
        row = layer.row
        weights = bias = norm = None
        if learned is not None:
            _, inputs, height, width = learned.weights.shape
            start = place(learned.weights)
            weights = {"start": start, "inputs": inputs, "height": height, "width": width}
            bias = None if learned.bias is None else place(learned.bias)
            if learned.norm is not None:
                norm = {
                    "starts": [place(part) for part in learned.norm],
                    "epsilon": learned.epsilon,
                }
        rows.append(
            {
                "kind": row["kind"],
                "shape": list(values.shape),
                "values": place(values),
                "weights": weights,
                "bias": bias,
                "norm": norm,
                "activation": row.get("activation", "none"),
                "kernel": row.get("kernel"),
                "stride": row.get("stride", 1),
                "padding": row.get("padding", 0),
                "groups": row.get("groups", 1),
                "block": row.get("block"),
                "from": row.get("from"),
            }
        )
    packed = np.concatenate(numbers).astype("<f4").tobytes()
    return {
        "numbers": base64.b64encode(packed).decode(),
        "rows": rows,
    }


def _map_data(layer: Layer, row: FeatureMaps, last: int) -> dict[str, Any]:
    is_dropout = layer.row["kind"] == "dropout"
    return {
        **map_row_data(_dropout_row(layer) if is_dropout else _map_row(layer, row, last)),
        "number": row.number,
        "channels": [] if is_dropout else [channel - 1 for channel in row.channels],
    }


def _title(layer: Layer) -> str:
    return f"{layer.number} · {name_operation(layer.row)}"


def _dropout_row(layer: Layer) -> MapRow:
    note = "drops values only in training; here the output is its input"
    return MapRow(np.zeros((0, 1, 1)), (), _title(layer), note)


def _map_row(layer: Layer, row: FeatureMaps, last: int) -> MapRow:
    is_last = row.number == last
    value_range = f"from {row.low:.2g} to {row.high:.2g}".replace("-", "\u2212")
    outputs = "scores (logits) of the ten digits" if is_last else format_shape(layer.output_shape)
    note = f"{outputs}, {value_range}"
    if len(row.channels) < row.total:
        note += f"; the {len(row.channels)} strongest of {row.total:,} channels"
    # The last row has one channel for each digit, counted from 0.
    labels = [str(channel - is_last) for channel in row.channels]
    word = "logit of" if is_last else "channel"
    name = name_operation(layer.row)
    alts = [
        f"Row {row.number}, {name}, {word} {label}: {_describe_values(values)}"
        for label, values in zip(labels, row.maps, strict=True)
    ]
    across = row.maps.shape[2]
    width = VALUE if across == 1 else SMALL if across <= FEW_PIXELS else LARGE
    return MapRow(
        row.maps / (max(abs(row.low), abs(row.high)) or 1.0),
        alts,
        _title(layer),
        note,
        labels=labels,
        notes=_logits(row.maps) if is_last else (),
        tile=LOGIT if is_last else width,
    )


def _logits(maps: np.ndarray) -> Sequence[str]:
    return [f"{values.item():.1f}".replace("-", "\u2212") for values in maps]


def _describe_values(values: np.ndarray) -> str:
    if values.size == 1:
        return f"{values.item():.3g}"
    return f"from {values.min():.3g} to {values.max():.3g}"
