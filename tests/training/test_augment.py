"""Augmentations against an explicit loop over images and pixels."""

import pytest
import torch

from al_bench.data.base import TensorInputs
from al_bench.errors import ConfigError
from al_bench.training.augment import CropFlip

ZERO = torch.tensor([-1.0, -2.0, -3.0]).view(3, 1, 1)
EVERY = [CropFlip(4), CropFlip(1, flip=False), CropFlip(0), CropFlip(9, flip=False)]


def drawn(n, shape=(3, 5, 7), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, *shape, generator=generator), torch.rand(n, 3, generator=generator)


def by_hand(image, numbers, padding, flip, zero):
    """One image, pixel by pixel."""
    channels, height, width = image.shape
    top, left = (int(number.double() * (2 * padding + 1)) - padding for number in numbers[:2])
    mirrored = flip and numbers[2] < 0.5
    out = torch.empty_like(image)
    for row in range(height):
        for column in range(width):
            y, x = row + top, (width - 1 - column if mirrored else column) + left
            inside = 0 <= y < height and 0 <= x < width
            for channel in range(channels):
                out[channel, row, column] = image[channel, y, x] if inside else zero[channel]
    return out


@pytest.mark.parametrize("augment", EVERY)
def test_each_image_is_cropped_and_flipped_as_by_hand(augment):
    images, uniform = drawn(12)
    changed = augment(images, uniform, ZERO)
    for image, numbers, out in zip(images, uniform, changed, strict=True):
        expected = by_hand(image, numbers, augment.padding, augment.flip, ZERO.flatten())
        assert torch.equal(out, expected)


@pytest.mark.parametrize("augment", EVERY)
def test_an_image_depends_on_its_own_numbers_alone_and_is_left_as_it_was(augment):
    images, uniform = drawn(6)
    before = images.clone()
    changed = augment(images, uniform, ZERO)
    alone = [augment(images[i : i + 1], uniform[i : i + 1], ZERO) for i in range(6)]
    assert torch.equal(torch.cat(alone), changed)
    assert torch.equal(images, before)


def test_all_crops_on_both_sides_are_equally_likely_and_have_no_other_pixels():
    image, black = torch.arange(12.0).view(1, 1, 3, 4), torch.full((1, 1, 1), -1.0)
    _, uniform = drawn(3600)
    changed = CropFlip(1)(image.expand(3600, 1, 3, 4), uniform, black)
    assert set(changed.unique().tolist()) <= {-1.0, *range(12)}
    different, counts = changed.flatten(1).unique(dim=0, return_counts=True)
    assert len(different) == 18
    assert 140 < counts.min() <= counts.max() < 260  # 200 each, give or take four deviations


def test_a_number_just_below_one_is_the_last_crop():
    image, black = torch.arange(35.0).view(1, 1, 5, 7), torch.full((1, 1, 1), -1.0)
    last = CropFlip(4)(image, torch.full((1, 3), 1 - 2**-24), black)
    assert torch.equal(last[0, 0, 0, :3], image[0, 0, 4, 4:])
    assert (last == -1).sum() == 35 - 3


def test_mirrored_twice_is_the_image_itself():
    images, uniform = drawn(20)
    flip = CropFlip(0)
    once = flip(images, uniform, ZERO)
    assert 0 < sum(torch.equal(a, b) for a, b in zip(once, images, strict=True)) < 20
    assert torch.equal(flip(once, uniform, ZERO), images)


def test_the_border_is_black_before_normalising():
    values = torch.randint(256, (4, 3, 6, 6), dtype=torch.uint8)
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    padded = torch.nn.functional.pad(values, (2, 2, 2, 2))
    every = torch.arange(4)
    inputs, around = TensorInputs(values, mean, std), TensorInputs(padded, mean, std)
    whole = around.gather(every, torch.device("cpu"))
    uniform = torch.zeros(4, 3)
    uniform[:, 2] = 0.9
    corner = CropFlip(2)(inputs.gather(every, torch.device("cpu")), uniform, inputs.zero)
    assert torch.equal(corner, whole[:, :, :6, :6])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"padding": -1}, "padding must be a whole number from 0"),
        ({"padding": 0, "flip": False}, "change no image"),
        ({"flip": "yes"}, "flip must be true or false, got 'yes'"),
    ],
)
def test_a_wrong_augmentation_is_refused(wrong, said):
    with pytest.raises(ConfigError, match=said):
        CropFlip(**wrong)


def test_tables_are_refused():
    with pytest.raises(ConfigError, match=r"need images .* got inputs of shape \(5,\)"):
        CropFlip()(torch.zeros(2, 5), torch.zeros(2, 3), torch.zeros(5))
