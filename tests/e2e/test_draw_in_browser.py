"""The Draw page in a browser: mouse and finger, every view, numbers and pictures."""

from __future__ import annotations

import re

import numpy as np
import pytest
from drawing import answer, draw, expect_drawing, pad, touch
from PIL import Image
from playwright.sync_api import expect
from serving import PHONE, ROOT, launched, watched_page
from waiting import expect_no_sideways_scrolling, visit

from core.data.dataset import synthetic
from core.drawing.strokes import strokes_to_ink
from core.library import digits as own_digits
from core.library import teaching
from core.runs import worker
from core.runs.digit_file import Drawing
from core.runs.store import open_run
from tests.handwriting import DIGITS as HAND
from tests.handwriting import draw_hand
from tests.strokes import DIGITS

needs_final = pytest.mark.skipif(
    not (ROOT / "checkpoints" / "final" / "last.safetensors").is_file(),
    reason="the final checkpoint is not shipped here",
)


def turn_to(tab, view: str) -> None:
    tab.get_by_role("radio", name=view, exact=True).click()


def beside(strokes, at: int, of: int):
    """Strokes of a digit in its place on the wide pad."""
    return [[[(at + 0.1 + 0.8 * x) / of, y] for x, y in stroke] for stroke in strokes]


@pytest.fixture
def own(checkpoints):
    """There are no saved digits before and after the test."""
    own_digits.clear(checkpoints)
    yield
    own_digits.clear(checkpoints)


def test_the_answer_moves_while_a_stroke_is_drawn(tab):
    visit(tab, "/draw")
    draw(tab, DIGITS[7])
    expect(answer(tab)).not_to_be_empty()  # torch is loaded now
    tab.get_by_role("button", name="Clear", exact=True).click()
    expect(answer(tab)).to_be_empty()
    box = pad(tab).bounding_box()
    tab.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.2 * box["height"])
    tab.mouse.down()
    tab.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.7 * box["height"], steps=5)
    expect(answer(tab)).not_to_be_empty()
    tab.mouse.up()


def test_undo_clear_and_keys(tab):
    visit(tab, "/draw")
    expect(tab.get_by_role("button", name="Undo")).to_be_disabled()
    draw(tab, DIGITS[4])
    expect(answer(tab)).not_to_be_empty()
    expect_drawing(tab, DIGITS[4])
    tab.get_by_role("button", name="Undo").click()
    expect_drawing(tab, DIGITS[4][:1])
    tab.keyboard.press("Control+z")
    expect(tab.get_by_role("button", name="Undo")).to_be_disabled()
    draw(tab, DIGITS[1])
    expect(answer(tab)).not_to_be_empty()
    pad(tab).press("Escape")
    expect(answer(tab)).to_be_empty()
    expect(tab.get_by_text("Draw a digit", exact=True)).to_be_visible()


def test_a_drawing_survives_a_change_of_page(tab):
    visit(tab, "/draw")
    draw(tab, DIGITS[2])
    expect(answer(tab)).not_to_be_empty()
    expect_drawing(tab, DIGITS[2])
    tab.get_by_role("link", name="Train", exact=True).click()
    expect(tab.get_by_role("button", name="Start")).to_be_visible()
    tab.get_by_role("link", name="Draw", exact=True).click()
    expect(answer(tab)).not_to_be_empty()
    expect_drawing(tab, DIGITS[2])
    draw(tab, [[[0.1, 0.1], [0.2, 0.1]]])
    tab.get_by_role("button", name="Undo").click()
    expect(answer(tab)).not_to_be_empty()


@pytest.mark.parametrize(
    "tab", [{"viewport": PHONE, "has_touch": True, "is_mobile": True}], indirect=True
)
def test_a_finger_draws_and_does_not_scroll(tab):
    visit(tab, "/draw")
    before = tab.locator("[data-testid=stMain]").evaluate("each => each.scrollTop")
    touch(tab, [[[0.5, 0.8], [0.5, 0.6], [0.5, 0.4], [0.5, 0.2]]])
    expect(answer(tab)).not_to_be_empty()
    assert tab.locator("[data-testid=stMain]").evaluate("each => each.scrollTop") == before


def test_a_card_asks_its_network(tab):
    visit(tab, "/draw")
    tab.locator(".card", has_text="initial").click()
    expect(tab.get_by_role("combobox", name="Network", exact=True)).to_have_value("initial")
    expect(tab.locator(".card[aria-pressed=true] .name")).to_have_text("initial")
    tab.wait_for_url("**network=initial**")


@needs_final
def test_every_digit_drawn_is_named_by_the_final_network(tab):
    visit(tab, "/draw?network=final")
    for digit, strokes in DIGITS.items():
        draw(tab, strokes)
        expect(answer(tab)).to_have_text(str(digit))
        tab.get_by_role("button", name="Clear", exact=True).click()
        expect(answer(tab)).to_be_empty()


def test_two_tabs_do_not_disturb_each_other(tab, browser, app):
    context = browser.new_context(base_url=app)
    context.set_default_timeout(90_000)
    other = context.new_page()
    for each in (tab, other):
        visit(each, "/draw")
    draw(tab, DIGITS[0])
    expect(answer(tab)).not_to_be_empty()
    expect(pad(other)).to_be_visible()
    expect(answer(other)).to_be_empty()
    context.close()


def test_a_digit_is_looked_into(tab):
    visit(tab, "/draw?network=final")
    draw(tab, DIGITS[5])
    expect(answer(tab)).not_to_be_empty()
    turn_to(tab, "Layers")
    expect(tab.get_by_role("region", name=re.compile("conv 3×3")).first).to_be_visible()
    expect(tab.get_by_role("button", name=re.compile(r"logit of \d:"))).to_have_count(10)
    turn_to(tab, "Reasons")
    turn_to(tab, "8")
    expect(tab.get_by_role("img", name="Which parts matter for 8")).to_be_visible()
    for setting in ("view=Reasons", "why=8"):
        expect(tab).to_have_url(re.compile(setting))
    turn_to(tab, "Nudge")
    expect(tab.locator(".st-key-chart_nudge path[stroke]").first).to_be_visible()
    turned = tab.get_by_role("slider", name="Turn")
    turned.focus()
    turned.press("ArrowRight")
    expect(tab).to_have_url(re.compile("nudge_turn="))
    tab.get_by_role("button", name="Reset").click()
    expect(turned).to_have_value("0")


@pytest.mark.mnist
def test_a_neighbour_is_turned_to(tab, mnist):
    visit(tab, "/draw?view=Nearest")
    draw(tab, DIGITS[1])
    found = tab.get_by_role("listbox", name="The nearest training images").get_by_role("option")
    expect(found).to_have_count(24)
    index = re.search(r"training image (\d+)", found.first.get_attribute("aria-label"))[1]
    found.first.click()
    expect(tab).to_have_url(re.compile(f"digit=train-{index}"))
    expect(tab.locator(".closeup")).to_contain_text("label 1")
    tab.get_by_role("button", name="Back to the pad").click()
    expect(pad(tab)).to_be_visible()
    expect(tab).not_to_have_url(re.compile("digit="))


def test_own_digits_are_kept_and_tested(tab, checkpoints, own):
    visit(tab, "/draw?view=Own+digits")
    draw(tab, DIGITS[7])
    expect(answer(tab)).not_to_be_empty()
    tab.get_by_role("button", name="7", exact=True).click()
    expect(
        tab.get_by_role("img", name=re.compile("^7, saved")).or_(
            tab.get_by_role("option", name=re.compile("^7, saved"))
        )
    ).to_be_visible()
    expect(tab.get_by_text(re.compile(r"final: \d of 1 correct"))).to_be_visible()
    assert [digit.label for digit in own_digits.list_digits(checkpoints)] == [7]
    with tab.expect_download() as waiting:
        tab.get_by_role("button", name="Save as a file").click()
    assert waiting.value.suggested_filename == "own-digits.zip"


@needs_final
def test_pictures_are_imported_and_a_network_is_taught_them(
    tab, checkpoints, own, guests, tmp_path
):
    images, labels = draw_hand(2, 1)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image).save(tmp_path / f"{label}-anna-{number}.png")
    visit(tab, "/draw?view=Own+digits&network=final")
    draw(tab, HAND[0])
    expect(answer(tab)).not_to_be_empty()
    tab.get_by_role("button", name="Add pictures").click()
    tab.locator("input[type=file]").last.set_input_files(sorted(tmp_path.glob("*.png")))
    tab.get_by_role("option", name="7 from 7-anna-7.png").click()
    tab.get_by_role("button", name="Undo, 1 discarded").wait_for()
    tab.get_by_role("button", name="Add 19 digits to own").click()
    expect(tab.get_by_text("New digits: 19 of 19.")).to_be_visible()
    assert {digit.writer for digit in own_digits.list_digits(checkpoints)} == {"anna"}

    # A run that was taught these digits beforehand, with made-up images in place of MNIST.
    pixels = own_digits.list_digits(checkpoints)[0].pixels
    quick = {"epochs": 1, "device": "cpu", "precision": "fp32", "threads": 1}
    drawing = Drawing(pixels, 0)
    run = teaching.teach("final", "own", "quick", quick, drawing=drawing, folder=checkpoints)
    assert worker.train(run.folder, synthetic()) == "finished"
    visit(tab, "/draw?view=Own+digits&network=final")
    results = tab.get_by_role("row", name=re.compile("^10 own test digits"))
    expect(results).to_be_visible()
    expect(tab.get_by_role("row", name=re.compile("^10,000 test images"))).to_be_visible()
    expect(
        tab.get_by_text(re.compile("Your drawing, labelled 0: .* before, .* after"))
    ).to_be_visible()
    tab.get_by_role("button", name="Teach", exact=True).click()
    expect(tab.get_by_text(re.compile("final-own (is training|waits)")).first).to_be_visible()
    expect(results).to_have_count(0)
    assert open_run("final-own", checkpoints).config.digits == "own"


@needs_final
@pytest.mark.parametrize(
    "tab",
    [{"viewport": PHONE, "has_touch": True, "is_mobile": True, "color_scheme": "dark"}],
    indirect=True,
)
def test_a_number_is_written_with_a_finger(tab):
    visit(tab, "/draw?read=a+number&network=final")
    for at, digit in enumerate((3, 0, 7)):
        touch(tab, beside(DIGITS[digit], at, 3))
    expect(tab.locator(".number")).to_have_text("307")
    tab.get_by_role("option", name="digit 3 of 3").click()
    expect(answer(tab)).to_have_text("7")
    expect_no_sideways_scrolling(tab)


def test_a_picture_is_read_and_a_broken_one_answered(tab, tmp_path):
    good, bad = tmp_path / "five.png", tmp_path / "bad.png"
    Image.fromarray(255 - strokes_to_ink(DIGITS[5], 400)).save(good)
    bad.write_bytes(b"no picture")
    visit(tab, "/draw")
    turn_to(tab, "Picture")
    tab.locator("input[type=file]").set_input_files(bad)
    expect(tab.get_by_text("picture that can be read")).to_be_visible()
    tab.locator("input[type=file]").set_input_files(good)
    expect(tab.get_by_role("img", name="The ink found in the picture")).to_be_visible()
    expect(answer(tab)).not_to_be_empty()
    expect(tab.get_by_text("picture that can be read")).to_have_count(0)


@pytest.fixture
def camera(driver, app, tmp_path):
    """A phone's page in a browser whose camera sees a 7, written on paper in uneven light."""
    height, width = 480, 640
    y, x = np.mgrid[:height, :width] / height
    light = 150 + 70 * x - 30 * y + np.random.default_rng(0).normal(0, 3, (height, width))
    ink = np.zeros((height, width))
    ink[90:390, 170:470] = strokes_to_ink(DIGITS[7], 300) / 255
    sight = tmp_path / "sight.mjpeg"
    Image.fromarray((light * (1 - 0.75 * ink)).clip(0, 255).astype(np.uint8)).convert("RGB").save(
        sight, "JPEG"
    )
    flags = (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={sight}",
    )
    with launched(driver, *flags) as seeing, watched_page(seeing, app, viewport=PHONE) as page:
        yield page


@needs_final
def test_a_digit_is_photographed(camera):
    visit(camera, "/draw?network=final")
    turn_to(camera, "Picture")
    camera.get_by_text("Use the camera").click()
    camera.wait_for_function(
        "() => document.querySelector('video')?.currentTime > 0.5"
    )  # before that it shows nothing
    camera.get_by_role("button", name="Take photo").click()
    expect(camera.get_by_role("img", name="The ink found in the picture")).to_be_visible()
    expect(answer(camera)).to_have_text("7")
    camera.get_by_role("button", name="Clear photo").click()
    expect(answer(camera)).to_be_empty()
