"""Property test of links: every page opens with any names and values, and never with an error box.

Whole pages are drawn, so each profile tries a fifth of its usual number, with up to 12 values each.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.config import FIELDS
from core.data import dataset
from tests.made import made_run
from tests.opening import HOME, open_page

PAGES = (
    HOME,
    *(
        f"pages/{name}.py"
        for name in [
            "story",
            "data",
            "model",
            "train",
            "runs",
            "experiments",
            "mistakes",
            "draw",
            "board",
            "weights",
        ]
    ),
)
# The names that pages bind their widgets to, besides those of the config's fields.
NAMES = (
    "run fork start recipe layers transforms teacher part set class index image sample net "
    "subject only chapter step slide form inside view digit network read reading show beside "
    "why patch space along nudge_turn nudge_size weights mnist_index find state order apart "
    "select curves training other labelled split experiment first second repeated times group "
    "beside_groups tested begin_with steps swept aim sweep_runs vary minutes most "
    "sweep_holdout sampler pruner sweep slice taken over baseline axes round "
    "board columns prefix ask controls seeds smoothing smooth epoch sort row filters scale "
    "fork_epoch"
)
# Values that open a part of a page, where the other values then arrive.
PARTS = {
    "part": ["Digits", "Augmentation", "Map"],
    "experiment": ["Compare", "Repeats", "Rate finder", "Sweep", "Exports"],
    "show": ["one run", "two runs", "calibration", "doubtful labels"],
    "view": [
        *("Layers", "Learning", "Reasons", "Nudge", "Nearest", "Own digits"),
    ],
    "digit": ["test-3", "train-0", "own-1", "test--1", "test-99999"],
    "run": ["one", "pair-s1", "new run"],
    "fork": ["one", "two"],
    "select": ["one", "one two", "pair-s1"],
    "recipe": ["final", "initial"],
    "net": ["original-3762"],
    "board": ["pair", "nobody"],
    "columns": ["max_lr", "val_loss"],
    "controls": ["epochs", "recipe,lr", "layers"],
    "find": ["max_lr > 0.1", "max_lr > x", "cake = 1"],
}
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
hostile = st.sampled_from(
    [
        *("", "-1", "1e999", "nan", "9" * 400, "٣", "true", "null", "0x10", "1_000", "a\x00b\n"),
        *("../../etc/passwd", "x" * 20_000, "<script>alert(1)</script>", "![x](http://a.b/c)"),
        *("$x$", ":red[x]", "[/x]", "\x1b[31m", "a\u202eb", "{}", "[]", "[[]]", "[" * 900),
        *('[{"kind": "conv"}]', '[{"kind": 1}]', '[{"kind":"conv","channels":1e999}]', "one,two"),
    ]
)
links = st.dictionaries(
    st.sampled_from([*NAMES.split(), *FIELDS]) | texts, hostile | texts, max_size=6
)
parts = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(values) for name, values in PARTS.items()}
)


@pytest.fixture(scope="module", autouse=True)
def runs(tmp_path_factory):
    """Two runs and a group."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for name in ("one", "two"):
        made_run(folder, name, kept=name == "one")
    for seed in (1, 2):
        made_run(folder, f"pair-s{seed}", group="pair", seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INKLING_CHECKPOINTS", str(folder))
        yield


@settings(
    max_examples=max(12, settings().max_examples // 5),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(page=st.sampled_from(PAGES), link=links, part=parts)
def test_any_link_opens_its_page(page, link, part, digits, idle, monkeypatch):
    monkeypatch.setattr(dataset, "load", lambda *args, **kwargs: digits)
    names = [name for name in link if name.strip() and name not in ("embed", "embed_options")]
    app = open_page(page, **{name: link[name] for name in names} | part)
    for message in (*app.error, *app.warning):
        assert len(message.value) < 2_000
        assert "Traceback" not in message.value
    assert not idle  # a link alone starts nothing
