"""Aggregates over data sets against brute force and hand-computed cases."""

import itertools

import numpy as np
import pytest
from scipy import stats

from al_bench.stats.aggregate import (
    bootstrap,
    every_seed,
    interquartile_mean,
    mean_ranks,
    means,
    penalties,
    performance_profile,
    probability_of_improvement,
)

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(3, 4, 6))
ONCE = every_seed(SCORES)


@pytest.mark.parametrize("statistic", ["ranks", "middle", "improvement", "profile"])
def test_a_seed_drawn_twice_counts_as_two_seeds(statistic):
    """Whatever is missing: a statistic with counts is that of the copied scores."""
    scores = SCORES.copy()
    scores[0, 1, 2] = scores[2, 3] = np.nan
    drawn = np.array([[0, 0, 2, 3, 3, 3], [1, 2, 2, 3, 4, 5], [5, 5, 5, 5, 5, 5]])  # (P, S)
    copied = np.stack([values[:, seeds] for values, seeds in zip(scores, drawn, strict=True)])
    counts = np.stack([np.bincount(seeds, minlength=6) for seeds in drawn])[None].astype(float)
    of = {
        "ranks": mean_ranks,
        "middle": lambda x, n: interquartile_mean(x[None], n),
        "improvement": probability_of_improvement,
        "profile": lambda x, n: performance_profile(x[None], n, np.linspace(-1, 1, 9)),
    }[statistic]
    assert of(scores, counts) == pytest.approx(of(copied, every_seed(copied)))


def test_ranks_are_scipys():
    means = SCORES.mean(axis=2)
    expected = np.mean([stats.rankdata(-row) for row in means], axis=0)
    assert mean_ranks(SCORES, ONCE)[0] == pytest.approx(expected)


def test_equal_arms_share_their_rank():
    scores = np.array([[[1.0], [1.0], [0.0]]])
    assert mean_ranks(scores, every_seed(scores))[0].tolist() == [1.5, 1.5, 3.0]


def test_equal_arms_share_their_rank_wherever_they_stand():
    scores = RNG.normal(size=(2, 7, 17))
    scores[:, [1, 4, 6]] = scores[:, [0]]
    ranks = mean_ranks(scores, every_seed(scores))[0]
    assert len(set(ranks[[0, 1, 4, 6]].tolist())) == 1


def test_an_arm_that_is_missing_has_no_rank_there():
    scores = SCORES.copy()
    scores[0, 1] = np.nan
    means = scores[1:].mean(axis=2)
    expected = np.mean([stats.rankdata(-row)[1] for row in means])
    assert mean_ranks(scores, every_seed(scores))[0][1] == pytest.approx(expected)


@pytest.mark.parametrize("seeds", [1, 2, 3, 4, 5, 8, 11])
def test_the_interquartile_mean_is_scipys_trimmed_mean(seeds):
    scores = RNG.normal(size=(3, 2, seeds))
    expected = [stats.trim_mean(scores[:, arm].ravel(), 0.25) for arm in range(2)]
    assert interquartile_mean(scores[None], every_seed(scores))[0] == pytest.approx(expected)


def test_whole_scores_are_cut():
    scores = np.arange(5.0).reshape(1, 1, 5) ** 2
    assert interquartile_mean(scores[None], every_seed(scores))[0, 0] == (1 + 4 + 9) / 3


def test_improvement_is_a_count_of_pairs():
    result = probability_of_improvement(SCORES, ONCE)[0]
    for a, b in itertools.product(range(4), repeat=2):
        per_protocol = [
            np.mean([(x > y) + 0.5 * (x == y) for x in SCORES[p, a] for y in SCORES[p, b]])
            for p in range(3)
        ]
        assert result[a, b] == pytest.approx(np.mean(per_protocol))
    assert result + result.T == pytest.approx(np.ones((4, 4)))


def test_a_profile_is_a_share():
    profile = performance_profile(SCORES[None], ONCE, np.array([-10.0, 0.0, 10.0]))[0]
    assert profile[:, 0].tolist() == [1.0] * 4
    assert profile[:, 2].tolist() == [0.0] * 4
    assert profile[2, 1] == pytest.approx((SCORES[:, 2] > 0).mean())


def test_penalties_are_t_tests():
    values = RNG.normal(size=(3, 8, 5)) + np.array([0.0, 1.0, 3.0])[:, None, None]
    result = penalties(values)
    for a, b in itertools.product(range(3), repeat=2):
        wins = 0
        for r in range(5):
            if a == b:
                continue
            test = stats.ttest_rel(values[a, :, r], values[b, :, r])
            wins += test.pvalue < 0.05 and test.statistic > 0
        assert result[a, b] == pytest.approx(wins / 5)


@pytest.mark.parametrize(("num_seeds", "seen"), [(2, 0.0), (5, 0.0), (6, 1.0)])
def test_equal_gains_of_few_seeds_are_no_certainty(num_seeds, seen):
    values = np.stack([np.full((num_seeds, 3), gain) for gain in (0.5, 0.5 + 1 / 360)])
    assert penalties(values)[1, 0] == seen


def test_the_bootstrap_is_stratified_and_paired():
    scores = np.repeat(np.array([[0.0], [10.0]])[:, :, None], 5, axis=2)
    scores = np.concatenate([scores, scores + 1], axis=1)  # two arms that differ by 1 everywhere
    estimate = bootstrap(scores, lambda x, n: np.diff(means(x, n).mean(axis=1))[:, 0])
    assert (estimate.value, estimate.low, estimate.high) == (1.0, 1.0, 1.0)
    middle = bootstrap(scores, lambda x, n: means(x, n).mean(axis=1))
    assert middle.low.tolist() == middle.high.tolist()  # data sets are never resampled


def test_bootstrap_intervals_are_those_of_the_mean():
    scores = RNG.normal(size=(1, 1, 30))
    estimate = bootstrap(scores, lambda x, n: means(x, n).mean(axis=1), resamples=4000)
    error = scores.std() / np.sqrt(30)
    assert estimate.low[0] == pytest.approx(scores.mean() - 1.96 * error, abs=0.05)
    assert estimate.high[0] == pytest.approx(scores.mean() + 1.96 * error, abs=0.05)


def test_the_same_scores_give_the_same_interval():
    first, second = (bootstrap(SCORES, mean_ranks) for _ in range(2))
    assert np.array_equal(first.low, second.low)
