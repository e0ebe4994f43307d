"""Numbers that no field can hold, in any link: a page opens, and says at most one sentence."""

from __future__ import annotations

import pytest

from core.config import FIELDS
from tests.opening import open_page

NINES = "9" * 400
NUMBERS = [name for name, field in FIELDS.items() if field.type in (int, float)]


@pytest.mark.parametrize(
    "number", ["1e999", "-1e999", "nan", "Infinity", NINES, f"-{NINES}.5", "9" * 5_000]
)
def test_train_opens_with_any_number_in_every_field(number, folder):
    app = open_page("pages/train.py", **dict.fromkeys(NUMBERS, number))
    assert len(app.warning) == 1


@pytest.mark.parametrize(
    ("page", "names"),
    [("data", ["index"]), ("draw", ["mnist_index", "patch"]), ("mistakes", ["image"])],
)
def test_other_pages_open_with_any_number(page, names, folder):
    for number in ("1e999", "-inf", NINES):
        open_page(f"pages/{page}.py", **dict.fromkeys(names, number))


def test_a_run_may_be_called_like_a_number(folder):
    app = open_page("pages/train.py", run="1e999")
    assert "1e999" in app.warning[0].value


@pytest.mark.parametrize("number", ["1e999", NINES, "-1e999", "NaN", "9" * 5_000])
@pytest.mark.parametrize(
    ("page", "name", "rows"),
    [
        ("train", "layers", '[{{"kind":"conv","kernel":{}}}]'),
        ("train", "transforms", '[{{"kind":"affine","rotate":{}}}]'),
        ("model", "net", '[{{"kind":"conv","kernel":{}}}]'),
        ("data", "transforms", '[{{"kind":"affine","rotate":{}}}]'),
    ],
)
def test_rows_with_such_a_number_are_refused_in_one_sentence(page, name, rows, number, folder):
    part = {"part": "Augmentation"} if page == "data" else {}
    app = open_page(f"pages/{page}.py", **{name: rows.format(number)}, **part)
    assert len(app.error) == 1
    assert len(app.error[0].value) < 500


def test_all_impossible_settings_of_a_link_are_named_in_one_message(folder):
    app = open_page("pages/train.py", architecture="nothing", optimizer="nobody", batch_size="33")
    assert len(app.warning) == 1
    assert all(text in app.warning[0].value for text in ("nothing", "nobody", "33"))
