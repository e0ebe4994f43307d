"""The Experiments page in a browser: a comparison, a sweep, and an exported file."""

from __future__ import annotations

import re

import onnxruntime
import pytest
from playwright.sync_api import expect
from serving import PHONE
from waiting import expect_no_sideways_scrolling, visit

from core.sweeps import study
from core.sweeps import worker as sweep_worker
from tests.core.sweeps import sweeping


@pytest.fixture
def found(checkpoints, monkeypatch):
    """Two finished sweeps, whose runs cost nothing; the one that is not the newest is given."""
    monkeypatch.setattr(sweep_worker, "LOOK_SECONDS", 0.0)
    for name in ("older", "newer"):
        study.create(sweeping.made(name), folder=checkpoints)
        sweep_worker.run_worker(
            name, folder=checkpoints, report=lambda words: None, train=sweeping.epochs
        )
    yield study.read("older", folder=checkpoints)
    for name in ("older", "newer"):
        study.delete(name, folder=checkpoints)


def test_two_runs_are_compared_and_the_answer_is_in_the_link(tab):
    visit(tab, "/experiments?first=initial&second=final")
    expect(tab.locator(".headline")).to_contain_text(re.compile("is better by|No clear difference"))
    expect(tab.get_by_text("McNemar's exact test")).to_be_visible()
    chart = tab.locator(".st-key-chart_difference")
    expect(chart.locator(".marks").first).to_be_visible()
    point = chart.locator(".mark-symbol path").first.bounding_box()
    labels = chart.locator(".role-axis-label").first.bounding_box()
    assert point["y"] + point["height"] < labels["y"], "the interval is above the axis"
    expect(
        tab.get_by_role(
            "region", name="Test images that each network predicts correctly or wrongly"
        )
    ).to_be_visible()
    tab.get_by_role("radio", name="Exports").click()
    expect(tab).to_have_url(re.compile("experiment=Exports"))


def test_a_sweep_shows_what_it_found_and_its_name_is_in_the_link(tab, found):
    visit(tab, "/experiments?experiment=Sweep")
    box = tab.locator(".st-key-sweep input")
    expect(box).to_have_value("newer")
    expect(tab).to_have_url(re.compile("sweep=newer"))
    visit(tab, "/experiments?experiment=Sweep&sweep=older")
    expect(box).to_have_value("older")
    expect(tab.locator(".headline")).to_contain_text(f"by {found.best.run}")
    for chart in ("history", "front", "slice"):
        expect(tab.locator(f".st-key-chart_{chart} .marks").first, chart).to_be_visible()
    expect(tab.get_by_role("button", name="Train the winner")).to_be_visible()
    box.click()
    tab.get_by_role("option", name="newer").click()
    expect(tab).to_have_url(re.compile("sweep=newer"))
    expect(tab.locator(".headline")).to_contain_text("by newer-")


def test_a_network_is_made_checked_and_saved(tab, tmp_path):
    visit(tab, "/experiments?experiment=Exports&taken=intermediate")
    tab.locator(".st-key-experiments_make_onnx button").click()
    expect(tab.get_by_text("1,000 of 1,000 test images")).to_be_visible()
    with tab.expect_download() as waiting:
        tab.locator(".st-key-experiments_save_onnx button").click()
    assert waiting.value.suggested_filename == "intermediate.onnx"
    waiting.value.save_as(tmp_path / "net.onnx")
    assert onnxruntime.InferenceSession(tmp_path / "net.onnx").get_inputs()[0].name == "images"


@pytest.mark.parametrize(
    "tab", [{"viewport": PHONE, "has_touch": True, "color_scheme": "dark"}], indirect=True
)
def test_no_part_scrolls_sideways_on_a_phone(tab):
    for part in ("Compare", "Repeats", "Sweep", "Rate+finder", "Exports"):
        visit(tab, f"/experiments?experiment={part}")
        expect(
            tab.locator(
                ".headline, .st-key-experiments_export_onnx, [data-testid=stSelectbox]"
            ).first,
            part,
        ).to_be_visible()
        expect_no_sideways_scrolling(tab, part)
