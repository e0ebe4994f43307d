import json
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest

from core.config import RunConfig
from core.data import dataset
from core.data.augmentations import KINDS, MAX_TRANSFORMS, check, complete
from core.data.augmenter import Augmenter
from core.data.presets import PRESETS, transforms_of, with_whole_shifts
from core.errors import ConfigError

IMAGES = dataset.synthetic(train=40, test=1).train.images.numpy()


def at(kind, edge):
    """A row of a kind with every number at its lowest or highest, always applied."""
    row = {"kind": kind}
    for item in KINDS[kind].parameters:
        row[item.name] = item.choices[edge] if item.choices else (item.low, item.high)[edge]
    return {**row, "p": 1.0}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_changes_images_but_not_their_shape(kind):
    before = IMAGES.copy()
    after = Augmenter(check([{"kind": kind, "p": 1.0}]), 1)(IMAGES, (0,))
    assert after.shape == IMAGES.shape
    assert after.dtype == np.uint8
    assert np.mean([not np.array_equal(a, b) for a, b in zip(after, IMAGES, strict=True)]) > 0.6
    assert np.array_equal(IMAGES, before), "the given images were changed"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("edge", [0, -1])
def test_every_kind_works_at_the_ends_of_its_ranges(kind, edge):
    assert Augmenter(check([at(kind, edge)]), 1)(IMAGES, (0,)).shape == IMAGES.shape


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_describes_itself(kind):
    spec = KINDS[kind]
    assert spec.title
    assert spec.help.endswith((".", ")"))
    assert [item.name for item in spec.parameters][-1] == "p"
    for item in spec.parameters:
        assert item.help
        assert (
            item.default in item.choices if item.choices else item.low <= item.default <= item.high
        )


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_json_and_reproducible(name):
    preset = PRESETS[name]
    rows = check(json.loads(json.dumps(preset.transforms)))
    assert rows == preset.transforms
    first = Augmenter(rows, 7)(IMAGES, (2, 3))
    random.seed(5)
    np.random.seed(5)
    assert np.array_equal(first, pickle.loads(pickle.dumps(Augmenter(rows, 7)))(IMAGES, (2, 3)))
    if rows:
        assert not np.array_equal(first, Augmenter(rows, 8)(IMAGES, (2, 3)))
        assert not np.array_equal(first, Augmenter(rows, 7)(IMAGES, (3, 2)))
    else:
        assert np.array_equal(first, IMAGES)


def test_transforms_draw_independently():
    # With one random stream, two equal transforms would change the same images.
    row = {"kind": "brightness", "p": 0.5}
    alone = [Augmenter(check(rows), 1)(IMAGES, (0,)) for rows in ([row], [{**row, "p": 0.0}, row])]
    hit = [
        [not np.array_equal(a, b) for a, b in zip(images, IMAGES, strict=True)] for images in alone
    ]
    assert 0 < sum(a != b for a, b in zip(*hit, strict=True)) < len(IMAGES)


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_brightness_is_that_of_albumentations(p):
    albumentations, cv2 = pytest.importorskip("albumentations"), pytest.importorskip("cv2")
    row = complete({"kind": "brightness", "brightness": 0.8, "contrast": 0.8, "p": p})
    transform = KINDS["brightness"].build(albumentations, cv2, row)
    transform.set_random_state(np.random.default_rng(0), random.Random(4))
    images = IMAGES.copy()
    KINDS["brightness"].in_place(row, images, random.Random(4))
    for image, before in zip(images, IMAGES, strict=True):
        assert np.array_equal(image, transform(image=before)["image"])


def test_a_probability_is_the_share_of_images_that_change():
    many = np.repeat(IMAGES, 25, axis=0)
    after = Augmenter(check([{"kind": "stroke", "p": 0.3}]), 1)(many, (0,))
    share = np.mean([not np.array_equal(a, b) for a, b in zip(after, many, strict=True)])
    assert share == pytest.approx(0.3, abs=0.05)


def test_borders_are_black_or_reflected():
    grey = np.full((40, 28, 28), 200, np.uint8)
    for border, lowest in (("black", 0), ("reflect", 200)):
        after = Augmenter(check([{"kind": "affine", "border": border, "p": 1.0}]), 1)(grey, (0,))
        assert after.min() == lowest


def test_final_is_the_augmentation_of_the_original():
    affine, brightness = PRESETS["final"].transforms
    assert affine == {
        "kind": "affine",
        "shift": 0.09,
        "scale": 0.09,
        "rotate": 7.0,
        "shear": 0.0,
        "aspect": "kept",
        "shifts": "fractional",
        "centre": "pixel 14",
        "border": "reflect",
        "p": 0.5,
    }
    assert brightness == {"kind": "brightness", "brightness": 0.2, "contrast": 0.2, "p": 0.5}


WHOLE = {"shifts": "whole", "centre": "middle"}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (
            {"augmentation": "stretch"},
            [
                {
                    "kind": "affine",
                    "shift": 0.09,
                    "scale": 0.12,
                    "rotate": 10.0,
                    "shear": 5.0,
                    "aspect": "free",
                    "border": "black",
                    "p": 0.9,
                    **WHOLE,
                }
            ],
        ),
        (
            {"augmentation": "final"},
            [
                {
                    "kind": "affine",
                    "shift": 0.09,
                    "scale": 0.09,
                    "rotate": 7.0,
                    "shear": 0.0,
                    "aspect": "kept",
                    "border": "reflect",
                    "p": 0.5,
                    **WHOLE,
                },
                {"kind": "brightness", "brightness": 0.2, "contrast": 0.2, "p": 0.5},
            ],
        ),
        (
            {"augmentation": "none", "transforms": [{"kind": "blur"}, {"kind": "affine"}]},
            [complete({"kind": "blur"}), complete({"kind": "affine", **WHOLE})],
        ),
        ({"augmentation": "brightness"}, list(PRESETS["brightness"].transforms)),
        ({"augmentation": "none"}, []),
    ],
)
def test_a_config_from_before_there_were_fractional_shifts_means_whole_pixels(written, meant):
    config = with_whole_shifts(RunConfig.from_dict(written))
    assert list(transforms_of(config)) == meant
    assert config.augmentation == written["augmentation"]
    assert with_whole_shifts(config) == config


def test_what_an_old_config_names_wrongly_is_left_for_the_check():
    for values in ({"augmentation": "gone"}, {"transforms": [{"kind": "gone"}, {"p": 1}]}):
        config = RunConfig(**values)
        assert with_whole_shifts(config) == config


def test_transforms_of_a_config():
    assert transforms_of(RunConfig(augmentation="final")) == PRESETS["final"].transforms
    own = RunConfig(augmentation="final", transforms=[{"kind": "blur", "sigma": 1}])
    assert transforms_of(own) == ({"kind": "blur", "sigma": 1.0, "p": 0.3},)
    with pytest.raises(ConfigError, match=r"'finale'; the presets are none, .* or strong"):
        transforms_of(RunConfig(augmentation="finale"))


def test_the_registry_cannot_be_changed_through_a_config():
    transforms_of(RunConfig(augmentation="final"))[0]["p"] = 0.0
    assert PRESETS["final"].transforms[0]["p"] == 0.5


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({}, "transform 2: kind is missing; the kinds are affine"),
        ({"kind": "afine"}, "unknown kind 'afine'"),
        ({"kind": ["affine"]}, "unknown kind"),
        (
            {"kind": "affine", "shft": 1},
            "transform 2: unknown affine parameter 'shft'; the affine parameters are shift",
        ),
        ({"kind": "affine", "shift": "0.1"}, "shift must be a number, not '0.1'"),
        ({"kind": "affine", "shift": True}, "shift must be a number"),
        ({"kind": "affine", "shift": None}, "shift must be a number"),
        ({"kind": "affine", "shift": 0.31}, "shift is 0.31, but it must be between 0 and 0.3"),
        ({"kind": "affine", "rotate": float("nan")}, "rotate is nan"),
        ({"kind": "affine", "rotate": float("inf")}, "rotate is inf"),
        ({"kind": "affine", "rotate": 10**400}, "rotate is a number of more than"),
        (
            {"kind": "affine", "border": "white"},
            "border is 'white', but it must be black or reflect",
        ),
        ({"kind": "blur", "p": -0.1}, "p is -0.1"),
        ("affine", "transform 2: a transform must be an object"),
    ],
)
def test_a_wrong_row_is_refused_by_number_and_name(row, words):
    with pytest.raises(ConfigError, match=words):
        check([{"kind": "blur"}, row])


def test_a_list_that_is_too_long_is_refused():
    assert len(check([{"kind": "blur"}] * MAX_TRANSFORMS)) == MAX_TRANSFORMS
    with pytest.raises(ConfigError, match=f"limit is {MAX_TRANSFORMS}"):
        check([{"kind": "blur"}] * (MAX_TRANSFORMS + 1))


def test_a_row_takes_its_defaults():
    assert complete({"kind": "erasing", "p": 1}) == {"kind": "erasing", "area": 0.12, "p": 1.0}


def test_kinds_and_presets_need_no_heavy_imports():
    script = (
        "import sys, core.data.presets, core.data.augmenter; "
        "sys.exit(bool({'torch', 'albumentations', 'cv2', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
