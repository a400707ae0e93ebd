"""Classes are merged, renamed and left out alike in pool and test set."""

import pytest
import torch

from al_bench.data.base import Dataset, Examples, Pool, TensorInputs
from al_bench.data.pool import apply_transforms, load_transforms
from al_bench.data.remap import Remap
from al_bench.errors import ConfigError
from al_bench.seeding import Streams

CPU = torch.device("cpu")


def examples(n: int) -> Examples:
    """Labels 0 to 3 in turn; each input is its own index."""
    values = torch.arange(n, dtype=torch.float32)[:, None]
    return Examples(TensorInputs(values), torch.arange(n) % 4)


def remapped(remap: Remap) -> tuple[Pool, Examples]:
    dataset = Dataset(examples(40), examples(12), ("a", "b", "c", "d"), "f00d")
    loaded = load_transforms([remap], dataset)
    pool = apply_transforms(Pool.of(dataset.train, 4, "toy"), loaded.transforms, Streams(0))
    assert loaded.num_classes == pool.num_classes
    assert loaded.fingerprint == "f00d"  # the mapping is in the configuration
    return pool, loaded.test


def test_pool_and_test_labels_follow_the_mapping() -> None:
    pool, test = remapped(Remap([0, 1, 0, 1]))
    assert pool.num_classes == 2
    assert torch.equal(pool.labels, torch.arange(40) % 2)
    assert torch.equal(pool.true_labels, pool.labels)
    assert torch.equal(test.labels, torch.arange(12) % 2)


def test_dropped_classes_leave_pool_and_test_set_and_indices_stay_true() -> None:
    pool, test = remapped(Remap([1, None, 0, None]))
    assert torch.equal(pool.source_index, torch.arange(0, 40, 2))
    assert torch.equal(pool.labels, 1 - torch.arange(20) % 2)
    assert torch.equal(test.labels, 1 - torch.arange(6) % 2)
    for inputs, indices in (
        (pool.inputs, pool.source_index),
        (test.inputs, torch.arange(0, 12, 2)),
    ):
        read = inputs.gather(torch.arange(len(inputs)), CPU)
        assert torch.equal(read[:, 0].long(), indices)


def test_the_test_set_can_keep_some_of_the_new_classes_only() -> None:
    pool, test = remapped(Remap([2, 0, 2, 1], test_classes=[0, 1]))
    assert pool.num_classes == 3
    assert len(pool) == 40
    assert test.labels.tolist() == [0, 1] * 3


def test_a_mapping_of_another_number_of_classes_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"has 3 entries for 4 classes"):
        remapped(Remap([0, 1, 1]))


def test_a_mapping_that_empties_the_test_set_is_refused() -> None:
    with pytest.raises(ConfigError, match="leaves no test points"):
        remapped(Remap([0, 1, 1, 1], test_classes=[]))


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([0, 2, 0, 2], r"without gaps, got \[0, 2, 0, 2\]\. Give class 1"),
        ([0, 0, None], r"at least the classes 0 and 1.*Give class 1"),
        ([None, None], r"Give class 0"),
        ([0, -1], r"classes must be a whole number from 0, got -1"),
        (2, r"must be a list such as \[0,1\], got 2"),
    ],
)
def test_mappings_that_make_no_classes_are_refused(classes: list[int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Remap(classes)


def test_test_classes_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"test_classes has 2; the new classes are 0 to 1"):
        Remap([0, 1], test_classes=[0, 2])
