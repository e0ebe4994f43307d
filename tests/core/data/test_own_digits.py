"""Own digits beside MNIST's images: the part kept for testing, and their share of an epoch."""

from __future__ import annotations

import pytest
import torch

from core.config import RunConfig
from core.data.labelled_images import LabelledImages
from core.data.own_digits import add_own, split_own
from core.errors import DataError

CONFIG = RunConfig(digits="anna", digits_share=0.2)


def numbered(count: int) -> LabelledImages:
    """Digits whose pixels are their number plus 100, three times as many ones as twos."""
    images = torch.arange(100, 100 + count, dtype=torch.uint8)[:, None, None].expand(-1, 28, 28)
    return LabelledImages(images.clone(), torch.where(torch.arange(count) % 4 == 0, 2, 1))


@pytest.mark.parametrize(("share", "count", "kept"), [(0.5, 40, 20), (0.9, 1, 0), (0.0, 7, 0)])
def test_a_part_is_kept_for_testing_by_label_and_seed(share, count, kept):
    config, own = CONFIG.changed(digits_test_share=share), numbered(count)
    train, test = (own[part] for part in split_own(config, own.labels))
    assert (len(train), len(test)) == (count - kept, kept)
    assert config.count_test_digits(count) == kept
    numbers = [int(image[0, 0]) for image in (*train.images, *test.images)]
    assert sorted(numbers) == list(range(100, 100 + count))
    if kept > 1:
        assert (test.labels == 2).sum() == kept // 4
        other = own[split_own(config.changed(holdout_seed=1), own.labels)[1]]
        assert not torch.equal(test.images, other.images)
    assert torch.equal(own[split_own(config, own.labels)[1]].images, test.images)


def test_the_learned_digits_fill_their_share_of_an_epoch(digits):
    own = numbered(10)
    learned, kept = (own[part] for part in split_own(CONFIG, own.labels))
    epoch = add_own(CONFIG, digits.train, own)
    added = epoch.images[len(digits.train) :, 0, 0].tolist()
    assert len(added) == 150 == CONFIG.count_own_images(600), "a fifth of 750"
    counts = [added.count(int(image[0, 0])) for image in learned.images]
    assert counts == [30] * 5
    assert not set(added) & {int(image[0, 0]) for image in kept.images}
    assert torch.equal(epoch.images[:600], digits.train.images)
    assert CONFIG.training_images == 75_000


def test_without_own_digits_nothing_changes(digits):
    assert add_own(RunConfig(), digits.train, None) is digits.train
    assert RunConfig().training_images == 60_000
    for config, own in ((CONFIG, None), (RunConfig(), numbered(3)), (CONFIG, numbered(0))):
        with pytest.raises(DataError, match="digits"):
            add_own(config, digits.train, own)
