"""Diagrams of networks are well-formed, complete and inside their frame."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from core.charts import diagrams
from core.models.architectures import ARCHITECTURES
from core.models.drafts import inspect
from core.models.rows import KINDS, complete
from core.models.shapes import trace

SVG = "{http://www.w3.org/2000/svg}"
DIGIT = np.zeros((28, 28), np.uint8)
DIGIT[5:20, 12:15] = 255


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def titles(svg: str) -> list[str]:
    return [each.text for each in parsed(svg).iter(f"{SVG}title")]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_row_has_a_block_and_labels(name):
    layers = trace(ARCHITECTURES[name].rows)
    svg = diagrams.shape_diagram(layers, DIGIT)
    said = titles(svg)
    assert len(said) == 1 + len(layers)
    for layer, words in zip(layers, said[1:], strict=True):
        assert words.startswith(f"Row {layer.number}, {KINDS[layer.row['kind']].title}: ")
        assert f"{layer.parameters:,} parameters" in words
    adds = sum(layer.row["kind"] == "add" for layer in layers)
    assert len(re.findall('class="bridge"', svg)) == adds
    root = parsed(svg)
    width, height = float(root.get("width")), float(root.get("height"))
    for rect in root.iter(f"{SVG}rect"):
        x, y, wide, tall = (float(rect.get(key)) for key in ("x", "y", "width", "height"))
        assert 0 <= x <= x + wide <= width, rect.attrib
        assert 0 <= y <= y + tall <= height, rect.attrib


def test_an_invalid_row_is_an_empty_square():
    draft = inspect([{"kind": "conv"}, {"kind": "conv", "kernel": 27}, {"kind": "linear"}])
    svg = diagrams.shape_diagram(draft.layers, DIGIT, 2)
    assert titles(svg)[-1] == "Row 2 does not fit"
    assert len(titles(diagrams.shape_diagram([], DIGIT))) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_short_description(kind):
    words = diagrams.describe_operation(complete({"kind": kind}))
    assert all(len(word) <= 8 for word in words)
    assert words[0]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_receptive_field_of_every_row_has_one_scale(name):
    layers = trace(ARCHITECTURES[name].rows)
    sizes = set()
    for layer in layers:
        root = parsed(diagrams.receptive_field_diagram(layers, layer.number, DIGIT))
        sizes.add(root.get("width"))
        (square,) = (each for each in root.iter(f"{SVG}rect") if each.get("class") == "field")
        assert int(square.get("width")) == layer.receptive_field
        (dots,) = (each for each in root.iter(f"{SVG}path") if each.get("class") == "dots")
        shape = layer.output_shape
        assert dots.get("d").count("M") == (shape[1] * shape[2] if len(shape) == 3 else 1)
    assert len(sizes) == 1


def test_ink_is_drawn_where_it_is():
    root = parsed(diagrams.receptive_field_diagram(trace([{"kind": "linear"}]), 1, DIGIT))
    (ink,) = (each for each in root.iter(f"{SVG}g") if each.get("class") == "ink")
    again = np.zeros_like(DIGIT)
    for rect in ink:
        x, y, wide = (int(rect.get(key)) for key in ("x", "y", "width"))
        again[y, x : x + wide] = round(255 * float(rect.get("fill-opacity")))
    np.testing.assert_array_equal(again, DIGIT)
