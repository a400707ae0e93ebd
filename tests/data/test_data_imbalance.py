"""Imbalanced pools have the counts that were asked for."""

import pytest
import torch

from al_bench.data.base import Examples, Pool, TensorInputs
from al_bench.data.imbalance import Imbalance
from al_bench.errors import ConfigError
from al_bench.seeding import Streams


def make_pool(*counts: int) -> Pool:
    """Points of several classes in mixed order; each input is its own index."""
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(5))]
    values = torch.arange(len(labels), dtype=torch.float32)[:, None]
    return Pool.of(Examples(TensorInputs(values), labels), len(counts), "toy")


def sizes(pool: Pool) -> list[int]:
    return torch.bincount(pool.labels, minlength=pool.num_classes).tolist()


def test_a_long_tail_falls_exponentially_from_the_smallest_class() -> None:
    pool = Imbalance(ratio=100)(make_pool(1000, 1200, 1000, 1100, 1300), Streams(0))
    # 1000 · 100^(-r / 4)
    assert sizes(pool) == [1000, 316, 100, 32, 10]


def test_everything_that_belongs_to_a_point_stays_with_it() -> None:
    whole = make_pool(60, 60, 60)
    pool = Imbalance(ratio=5)(whole, Streams(0))
    assert len(pool) == len(pool.inputs)
    assert pool.source_index.diff().min() > 0
    assert torch.equal(pool.labels, whole.labels[pool.source_index])
    read = pool.inputs.gather(torch.arange(len(pool)), torch.device("cpu"))
    assert torch.equal(read[:, 0].long(), pool.source_index)


def test_a_random_order_deals_the_same_sizes_differently_to_each_seed() -> None:
    dealt = [
        sizes(Imbalance(ratio=20, order="random")(make_pool(*[50] * 6), Streams(seed)))
        for seed in (0, 0, 1, 2)
    ]
    assert dealt[0] == dealt[1]
    assert len({tuple(one) for one in dealt}) > 1
    assert {tuple(sorted(one)) for one in dealt} == {(2, 5, 8, 15, 27, 50)}


def test_which_points_stay_differs_between_seeds_and_with_the_split_stream_alone() -> None:
    kept = [
        Imbalance(ratio=5)(make_pool(40, 40), streams).source_index
        for streams in (
            Streams(0),
            Streams(0, {"noise": 1, "init": 1}),
            Streams(1),
            Streams(0, {"split": 1}),
        )
    ]
    assert torch.equal(kept[0], kept[1])
    assert not torch.equal(kept[0], kept[2])
    assert not torch.equal(kept[0], kept[3])


def test_counts_are_met_exactly() -> None:
    pool = Imbalance(ratio=None, counts=[3, 0, 7])(make_pool(10, 10, 10), Streams(0))
    assert sizes(pool) == [3, 0, 7]


def test_proportions_make_the_largest_pool_that_has_them() -> None:
    pool = Imbalance(ratio=None, proportions=[1, 1, 0.1])(make_pool(30, 50, 40), Streams(0))
    assert sizes(pool) == [30, 30, 3]
    pool = Imbalance(ratio=None, proportions=[0, 3, 1])(make_pool(30, 50, 10), Streams(0))
    assert sizes(pool) == [0, 30, 10]


def test_missing_classes_are_absent_and_the_others_ranked_without_them() -> None:
    whole = make_pool(64, 64, 64, 64)
    pool = Imbalance(ratio=4, missing_classes=[1])(whole, Streams(0))
    assert sizes(pool) == [64, 0, 32, 16]
    pool = Imbalance(ratio=None, missing_classes=[0, 3])(whole, Streams(0))
    assert sizes(pool) == [0, 64, 64, 0]
    assert pool.num_classes == 4


def test_a_ratio_of_one_balances() -> None:
    assert sizes(Imbalance(ratio=1)(make_pool(9, 4, 6), Streams(0))) == [4, 4, 4]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"counts": [3, 11, 3]}, r"11 points of class 1, of which the pool has 10"),
        ({"counts": [3, 3]}, r"counts has 2 numbers for 3 classes"),
        ({"proportions": [1, 1, 1, 1]}, r"proportions has 4 numbers for 3 classes"),
        ({"missing_classes": [3]}, r"names class 3; there are 0 to 2"),
        ({"missing_classes": [0, 1, 2]}, r"leaves no class"),
        ({"counts": [0, 0, 0]}, r"leaves no points"),
    ],
)
def test_what_does_not_fit_the_pool_is_refused(wanted: dict[str, list[int]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Imbalance(ratio=None, **wanted)(make_pool(10, 10, 10), Streams(0))  # type: ignore[arg-type]


def test_a_class_without_points_is_named() -> None:
    with pytest.raises(ConfigError, match=r"1 points of class 1, of which the pool has 0"):
        Imbalance()(make_pool(10, 0, 10), Streams(0))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"ratio": 0.5}, r"^ratio must be a number from 1, got 0\.5"),
        ({"ratio": None}, r"changes nothing"),
        ({"counts": [1, 2]}, r"ratio and counts are both given.*ratio=null"),
        ({"order": "sideways"}, r"order is 'sideways'.*index, random"),
        ({"ratio": None, "counts": [1, 2], "order": "random"}, r"order=random.*ratio is null"),
        ({"ratio": None, "counts": [1, -2]}, r"counts must be a whole number from 0, got -2"),
        ({"ratio": None, "proportions": 3}, r"proportions must be a list"),
        ({"missing_classes": ["a"]}, r"missing_classes must be a whole number from 0, got 'a'"),
    ],
)
def test_requests_that_make_no_sense_are_refused(wanted: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Imbalance(**wanted)  # type: ignore[arg-type]
