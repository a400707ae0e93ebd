"""D² sampling: its law, its ties and its edges."""

import collections
import itertools
import math

import pytest
import torch
from pool_views import seeded
from scipy.stats import chisquare

from al_bench.strategies.d2_sampling import d2_sample

POINTS = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [3.0, 1.0], [3.0, 1.0]])


def columns(points):
    points = points.double()
    return lambda center: (points - points[center]).square().sum(dim=1)


def draw(points, batch_size, seed, **options):
    return d2_sample(columns(points), len(points), batch_size, seeded(seed), **options)


def chance(points, order, first=None, nearest=None):
    """The probability of one order, draw by draw."""
    points = points.tolist()
    product = 1.0
    for rank, position in enumerate(order):
        if rank == 0 and first is not None:
            product *= position == first
            continue
        left = [p for p in range(len(points)) if p not in order[:rank]]
        weights = {}
        for p in left:
            known = [math.dist(points[p], points[c]) ** 2 for c in order[:rank]]
            if nearest is not None:
                known.append(float(nearest[p]))
            weights[p] = min(known, default=1.0)
        if not any(weights.values()):
            weights = dict.fromkeys(left, 1.0)
        product *= weights[position] / sum(weights.values())
    return product


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{}, {"first": 2}, {"nearest": torch.tensor([0.5, 0.0, 2.0, 1.0, 4.0])}],
    ids=["uniform_first", "given_first", "given_centers"],
)
def test_every_order_comes_as_often_as_its_law_says(options):
    size, count = 3, 1000
    counts = collections.Counter(
        tuple(draw(POINTS, size, seed, **options)[0].tolist()) for seed in range(count)
    )
    laws = {o: chance(POINTS, o, **options) for o in itertools.permutations(range(5), size)}
    assert sum(laws.values()) == pytest.approx(1)
    assert all(laws[order] > 0 for order in counts)
    expected = {order: count * law for order, law in laws.items() if law > 0}
    rare = [order for order, n in expected.items() if n < 5]
    observed = [counts[order] for order in expected if order not in rare]
    law = [n for order, n in expected.items() if order not in rare]
    if rare:
        observed.append(sum(counts[order] for order in rare))
        law.append(sum(expected[order] for order in rare))
    assert chisquare(observed, law).pvalue > 1e-4


def test_squared_distances_are_those_at_the_moment_of_the_draw():
    positions, squared = draw(POINTS, 5, 1)
    assert positions.dtype == torch.int64
    assert math.isnan(squared[0])
    for rank in range(1, 5):
        centers = POINTS[positions[:rank]]
        expected = (centers - POINTS[positions[rank]]).square().sum(dim=1).min()
        assert squared[rank] == pytest.approx(float(expected))


def test_copies_of_centers_come_last_and_every_point_once():
    for seed in range(30):
        positions, squared = draw(POINTS, 5, seed)
        assert sorted(positions.tolist()) == list(range(5))
        assert set(positions[:4].tolist()) != {1, 2, 3, 4}
        assert squared[4] == 0


def test_scale_does_not_matter_however_small():
    for seed in range(10):
        plain = draw(POINTS, 4, seed)[0]
        assert torch.equal(draw(POINTS.double() * 2.0**-400, 4, seed)[0], plain)


def test_identical_points_are_drawn_uniformly():
    counts = collections.Counter(
        tuple(draw(torch.ones(4, 2), 2, seed)[0].tolist()) for seed in range(500)
    )
    pairs = list(itertools.permutations(range(4), 2))
    assert chisquare([counts[pair] for pair in pairs]).pvalue > 1e-4


@pytest.mark.parametrize("options", [{}, {"first": 2}, {"nearest": torch.ones(5)}])
def test_guesses_of_the_next_draws_change_nothing_and_start_with_the_present_one(options):
    for seed in range(20):
        told = []
        guided = draw(POINTS, 5, seed, expect=told.append, **options)
        plain = draw(POINTS, 5, seed, **options)
        assert torch.equal(guided[0], plain[0])
        assert [positions[0] for positions in told] == guided[0][:4].tolist()
        for rank, positions in enumerate(told):
            assert len(set(positions)) == len(positions) <= 4 - rank
            assert not set(positions) & set(guided[0][:rank].tolist())


@pytest.mark.parametrize("batch_size", [0, 6])
def test_impossible_batch_sizes_are_refused(batch_size):
    with pytest.raises(ValueError, match=str(batch_size)):
        draw(POINTS, batch_size, 0)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_distances_that_are_no_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match="NaN or infinite"):
        d2_sample(lambda center: torch.full((4,), wrong), 4, 2, seeded(0))
