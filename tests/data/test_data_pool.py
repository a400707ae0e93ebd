"""Pool transforms act in one order, and copies of a point are known."""

import dataclasses

import pytest
import torch

from al_bench.data.base import Examples, Pool, TensorInputs
from al_bench.data.pool import PoolTransform, apply_transforms, copies_of
from al_bench.data.repeat import Repeat
from al_bench.data.subset import Subset
from al_bench.errors import ConfigError
from al_bench.seeding import Streams

CPU = torch.device("cpu")


def make_pool(n: int = 40) -> Pool:
    values = torch.arange(n * 6).to(torch.uint8).view(n, 1, 2, 3)
    examples = Examples(TensorInputs(values, (0.5,), (0.25,)), torch.arange(n) % 4)
    return Pool.of(examples, 4, "toy")


def read(pool: Pool) -> torch.Tensor:
    return pool.inputs.gather(torch.arange(len(pool)), CPU)


def test_subset_keeps_points_in_order_with_everything_that_belongs_to_them() -> None:
    pool = make_pool()
    part = Subset(12)(pool, Streams(0))
    assert len(part) == len(part.inputs) == 12
    assert part.source_index.diff().min() > 0
    assert torch.equal(part.labels, pool.labels[part.source_index])
    assert torch.equal(part.true_labels, part.labels)
    assert torch.equal(read(part), read(pool)[part.source_index])


def test_subset_differs_between_seeds_and_is_the_same_for_one() -> None:
    kept = [Subset(12)(make_pool(), Streams(seed)).source_index for seed in (0, 0, 1)]
    assert torch.equal(kept[0], kept[1])
    assert not torch.equal(kept[0], kept[2])


def test_subset_varies_with_the_split_stream_alone() -> None:
    kept = [
        Subset(12)(make_pool(), Streams(0, offsets)).source_index
        for offsets in ({}, {"noise": 1, "init": 1}, {"split": 1})
    ]
    assert torch.equal(kept[0], kept[1])
    assert not torch.equal(kept[0], kept[2])


def test_subset_of_everything_is_the_pool() -> None:
    pool = make_pool()
    assert torch.equal(read(Subset(40)(pool, Streams(0))), read(pool))


def test_subset_larger_than_the_pool_is_refused_with_both_numbers() -> None:
    with pytest.raises(ConfigError, match=r"size is 41 and the pool has 40 points.*size=40"):
        Subset(41)(make_pool(), Streams(0))


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "10", None])
def test_subset_sizes_that_are_no_counts_are_refused(size: object) -> None:
    with pytest.raises(ConfigError, match=r"^size must be a whole number from 1, got"):
        Subset(size)  # type: ignore[arg-type]


def test_repeat_makes_copies_that_share_labels_and_sources() -> None:
    pool = make_pool()
    repeated = Repeat(3)(pool, Streams(0))
    assert len(repeated) == len(repeated.inputs) == 120
    assert repeated.inputs.input_shape == (1, 2, 3)
    for copy in range(3):
        part = slice(40 * copy, 40 * (copy + 1))
        assert torch.equal(repeated.labels[part], pool.labels)
        assert torch.equal(repeated.source_index[part], pool.source_index)


def test_repeat_adds_noise_of_the_asked_size_after_normalising() -> None:
    pool = make_pool(4000)
    repeated = Repeat(2, noise_std=0.1)(pool, Streams(0))
    noise = read(repeated) - read(pool).repeat(2, 1, 1, 1)
    assert noise.std() == pytest.approx(0.1, rel=0.02)
    assert abs(noise.mean()) < 0.002
    assert not torch.equal(noise[:4000], noise[4000:])


def test_repeat_without_noise_gives_exact_copies() -> None:
    pool = make_pool()
    assert torch.equal(read(Repeat(2, 0)(pool, Streams(0))), read(pool).repeat(2, 1, 1, 1))


def test_a_repeated_point_looks_the_same_whenever_and_with_whatever_it_is_read() -> None:
    repeated = Repeat(5)(make_pool(200), Streams(0)).inputs
    everything = repeated.gather(torch.arange(1000), CPU)
    some = torch.randperm(1000, generator=torch.Generator().manual_seed(0))[:300]
    assert torch.equal(repeated.gather(some, CPU), everything[some])
    assert torch.equal(repeated.gather(some[7:9], CPU), everything[some[7:9]])


def test_noise_of_copies_differs_between_seeds_but_not_with_other_streams() -> None:
    pools = [
        read(Repeat()(make_pool(), streams))
        for streams in (Streams(0), Streams(0, {"split": 1}), Streams(1), Streams(0, {"noise": 1}))
    ]
    assert torch.equal(pools[0], pools[1])
    assert not torch.equal(pools[0], pools[2])
    assert not torch.equal(pools[0], pools[3])


@pytest.mark.parametrize("copies", [0, -1, 1.5, True])
def test_numbers_of_copies_that_are_no_counts_are_refused(copies: object) -> None:
    with pytest.raises(ConfigError, match=r"^copies must be a whole number from 1, got"):
        Repeat(copies)  # type: ignore[arg-type]


@pytest.mark.parametrize("noise_std", [-0.1, float("nan"), float("inf"), None, "0.1"])
def test_noise_that_is_no_standard_deviation_is_refused(noise_std: object) -> None:
    with pytest.raises(ConfigError, match=r"^noise_std must be a number from 0, got"):
        Repeat(noise_std=noise_std)  # type: ignore[arg-type]


@pytest.mark.parametrize("transforms", [[Subset(10), Repeat(3)], [Repeat(3), Subset(10)]])
def test_transforms_act_in_the_order_of_their_stages(transforms: list[PoolTransform]) -> None:
    pool = apply_transforms(make_pool(), transforms, Streams(0))
    assert len(pool) == 30
    assert torch.equal(pool.source_index[:10], pool.source_index[10:20])
    assert len(set(pool.source_index.tolist())) == 10


def test_no_transforms_leave_the_pool_alone() -> None:
    pool = make_pool()
    assert apply_transforms(pool, [], Streams(0)) is pool


def test_two_transforms_of_one_stage_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"Subset and Subset.*stage subset"):
        apply_transforms(make_pool(), [Subset(10), Subset(5)], Streams(0))


def test_copies_of_a_point_are_found_wherever_they_are() -> None:
    pool = apply_transforms(make_pool(), [Subset(10), Repeat(3)], Streams(0))
    assert copies_of(pool, torch.tensor([17, 3])).tolist() == [3, 7, 13, 17, 23, 27]
    assert copies_of(pool, torch.tensor([], dtype=torch.int64)).tolist() == []


def test_equal_indices_in_two_data_sets_are_not_copies() -> None:
    pool = make_pool(4)
    pool = dataclasses.replace(
        pool,
        source_index=torch.tensor([0, 1, 0, 1]),
        origin=torch.tensor([0, 0, 1, 1]),
        origins=("toy", "other"),
    )
    assert copies_of(pool, torch.tensor([2])).tolist() == [2]
