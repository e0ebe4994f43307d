"""A network on one page: all numbers are there, it fits the paper, large networks are refused."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from core.errors import RunError
from core.exports.network_sheet import PAPERS, draw_sheet, paper_of, sheet_to_pdf
from core.exports.sheet_blocks import format_weight
from core.insight.weights import read_weights
from core.runs.loading import load_model
from tests.made import made_run

# Every kind of row; 1,032 parameters.
ROWS = (
    {"kind": "conv", "channels": 4, "norm": "batch"},
    {"kind": "conv", "channels": 4, "kernel": 1, "norm": "batch", "activation": "silu"},
    {"kind": "conv", "channels": 4, "kernel": 1, "norm": "batch", "shared": True},
    {"kind": "add", "from": 1, "activation": "relu"},
    {"kind": "maxpool"},
    {"kind": "conv", "channels": 4, "groups": 4, "stride": 2, "padding": 1, "norm": "batch"},
    {"kind": "dropout"},
    {"kind": "avgpool"},
    {"kind": "conv", "channels": 8, "norm": "batch", "activation": "gelu"},
    {"kind": "global_avgpool"},
    {"kind": "linear", "channels": 30},
    {"kind": "linear", "channels": 10, "activation": "none"},
)
SVG = "{http://www.w3.org/2000/svg}"


def numbers_on(page: str) -> list[str]:
    groups = [
        group for group in ET.fromstring(page).iter(f"{SVG}g") if group.get("text-anchor") == "end"
    ]
    return [text.text or "" for group in groups for text in group]


@pytest.mark.parametrize(
    ("config", "paper", "smallest"),
    [
        ({"layers": list(ROWS)}, "A4", 1.8),
        ({"architecture": "original-3762"}, "A3", 1.8),
        ({"architecture": "linear-7850"}, "A3", 1.1),
    ],
    ids=["every kind", "original", "linear"],
)
def test_every_number_is_on_the_page_and_can_be_read(config, paper, smallest, folder):
    run = made_run(folder, "mine", recipe="final", **config)
    page = draw_sheet(run)
    assert paper_of(page).startswith(paper)
    size = float(re.search(r'font-size="([\d.]+)" text-anchor="end"', page)[1])
    assert size / 10 >= smallest, "millimetres"

    rows = read_weights(load_model(run))
    weights = np.concatenate([row.kernels.ravel() for row in rows if not row.shared_with])
    shown = numbers_on(page)
    assert len(shown) == len(weights)
    text = page.replace("\u2212", "-")
    for row in rows:
        for name, values in row.channel_numbers.items():
            word = "var" if name == "variance" else name
            assert all(f"{word} {value:.3g}" in text for value in values), (row.number, name)
    words = " ".join(text.text or "" for text in ET.fromstring(page).iter(f"{SVG}text"))
    for wanted in (
        "mine",
        f"{run.parameters:,} parameters",
        "96.00 % of the test images",
        "seed 1",
    ):
        assert wanted in words

    # Nothing lies outside the paper.
    root = ET.fromstring(page)
    width, height = map(float, root.get("viewBox").split()[2:])
    assert sorted((width, height)) == sorted(PAPERS[paper][:2])
    for element in root.iter(f"{SVG}text"):
        assert 0 < float(element.get("x")) < width
        assert 0 < float(element.get("y")) < height - 40


def test_the_pdf_has_the_size_of_the_paper(folder):
    page = draw_sheet(made_run(folder, "mine", layers=list(ROWS)))
    data = sheet_to_pdf(page)
    assert data.startswith(b"%PDF")
    box = re.search(rb"/MediaBox ?\[([\d. ]+)\]", data)[1].split()
    assert sorted(map(float, box[2:])) == pytest.approx([595.28, 841.89], abs=0.1)


def test_an_epoch_has_its_own_score(folder):
    run = made_run(folder, "mine", done=2, kept=True, layers=list(ROWS))
    page = draw_sheet(run, 0)
    assert "As it was before training" in page
    assert "after epoch 1: " in draw_sheet(run, 1)
    assert page != draw_sheet(run, 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.0004, "0"),
        (-0.0004, "0"),
        (0.0126, ".013"),
        (-0.5, "\u2212.500"),
        (0.9996, "1.00"),
        (-2.345, "\u22122.35"),
        (34.56, "34.6"),
        (345.6, "346"),
    ],
)
def test_a_weight_takes_at_most_five_characters(value, text):
    assert format_weight(value) == text


def test_a_network_of_too_many_parameters_is_refused_in_a_sentence(folder):
    run = made_run(folder, "large", architecture="keras-style")
    with pytest.raises(RunError, match="34,826 parameters, which cannot be read on one page"):
        draw_sheet(run)
