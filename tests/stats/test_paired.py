"""Paired statistics against hand-computed cases, scipy, and their own promises."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from al_bench.stats.paired import (
    decide,
    equivalence_test,
    holm,
    interval,
    noise_floor,
    paired,
    seeds_needed,
    sign_flip_test,
    t_test,
)

D = np.array([0.03, 0.01, -0.02, 0.04, 0.02])


def test_the_t_test_is_scipys():
    assert t_test(D) == pytest.approx(stats.ttest_1samp(D, 0).pvalue, rel=1e-12)
    assert t_test(-D) == pytest.approx(t_test(D), rel=1e-12)


def test_the_sign_flip_test_is_an_enumeration():
    sums = [abs(np.dot(signs, D)) for signs in itertools.product([1, -1], repeat=5)]
    expected = np.mean([total >= abs(D.sum()) - 1e-12 for total in sums])
    assert sign_flip_test(D) == expected
    by_scipy = stats.permutation_test(
        (D, np.zeros(5)), lambda x, y: np.mean(x - y), permutation_type="samples"
    )
    assert sign_flip_test(D) == pytest.approx(by_scipy.pvalue)


def test_a_one_sided_world_reaches_the_smallest_p():
    result = paired([0.1, 0.2, 0.3, 0.1], 0.005)
    assert result.p_smallest == 0.125
    assert result.p_sign_flip == 0.125
    assert (result.wins, result.ties, result.losses) == (4, 0, 0)


@pytest.mark.slow
def test_many_seeds_are_resampled_and_agree_with_the_other_tests():
    d = np.random.default_rng(0).normal(0.4, 1.0, size=40)
    result = paired(d, 0.1)
    assert result.p_sign_flip == pytest.approx(result.p_t, abs=0.01)
    assert result.p == pytest.approx(result.p_t, abs=0.01)
    student = stats.t.interval(0.95, 39, d.mean(), stats.sem(d))
    assert (result.low, result.high) == pytest.approx(student, abs=0.03)
    # a second formula of the same procedure, with other resamples
    rng = np.random.default_rng(1)
    drawn = d[rng.integers(0, 40, size=(20_000, 40))]
    t = (drawn.mean(axis=1) - d.mean()) / drawn.std(axis=1)
    half = np.quantile(np.abs(t), 0.95) * d.std()
    assert (result.low, result.high) == pytest.approx((d.mean() - half, d.mean() + half), abs=0.02)
    assert result.p == pytest.approx((np.abs(t) >= d.mean() / d.std()).mean(), abs=0.004)
    one_sided = (np.abs(t) >= (0.5 - d.mean()) / d.std()).mean() / 2
    assert paired(d, 0.5).p_equivalence == pytest.approx(one_sided, abs=0.004)
    assert paired(d, 0.3).p_equivalence > 0.5  # the mean itself is beyond


def test_equivalence_is_two_one_sided_tests():
    near = np.array([0.001, -0.002, 0.0, 0.001, -0.001])
    below = stats.ttest_1samp(near, -0.005, alternative="greater").pvalue
    above = stats.ttest_1samp(near, 0.005, alternative="less").pvalue
    assert equivalence_test(near, 0.005) == pytest.approx(max(below, above), rel=1e-12)
    assert equivalence_test(near, 0.005) < 0.05
    assert equivalence_test(D, 0.005) > 0.05


def test_few_seeds_have_students_interval():
    result = paired(D, 0.005)
    low, high = stats.t.interval(0.95, 4, D.mean(), stats.sem(D))
    assert (result.low, result.high) == pytest.approx((low, high), rel=1e-12)


def test_one_seed_says_nothing_of_chance():
    result = paired([0.2], 0.005)
    assert result.mean == 0.2
    assert math.isnan(result.low)
    assert math.isnan(result.p_t)
    assert result.p_sign_flip == 1.0
    assert math.isnan(result.p_equivalence)
    assert math.isnan(result.seeds_needed)


def test_equal_curves_are_equivalent_and_nothing_else():
    result = paired(np.zeros(5), 0.005)
    assert result.p_t == result.p_sign_flip == 1.0
    assert result.p_equivalence == 0.0
    assert result.ties == 5
    assert result.seeds_needed == math.inf


def test_the_order_of_seeds_is_without_meaning():
    d = np.random.default_rng(3).normal(size=25)
    assert paired(d, 0.1) == paired(d[::-1], 0.1)


@pytest.mark.parametrize("wrong", [[], [math.nan], [[1.0]]])
def test_differences_must_be_numbers(wrong):
    with pytest.raises(ValueError, match="differences"):
        paired(wrong, 0.1)


def test_holm_is_the_textbooks():
    assert holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, math.nan, 0.6]).tolist()[0] == 1.0
    assert math.isnan(holm([0.5, math.nan])[1])


def test_seeds_needed_is_what_simulation_needs():
    d = np.array([0.5, 1.5, -0.5, 2.5, 1.0])  # mean 1, spread 1.12
    n = int(seeds_needed(d))
    rng = np.random.default_rng(0)
    shift, spread = d.mean(), d.std(ddof=1)

    def power(count):
        draws = rng.normal(shift, spread, size=(4000, count))
        return (stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05).mean()

    assert power(n) > 0.77
    assert power(n - 2) < 0.8


def test_the_noise_floor_holds_chance_differences_in():
    rng = np.random.default_rng(1)
    outside = 0
    for _ in range(500):
        one, other = rng.normal(size=(2, 8))
        outside += abs(one.mean() - other.mean()) > noise_floor(np.concatenate([one]))
    assert outside / 500 < 0.075  # 5 % are due


@pytest.mark.parametrize("num_seeds", [2, 5, 20, 24])
def test_interval_p_and_equivalence_are_of_one_procedure(num_seeds):
    """On skewed differences: 0 outside where p is below 5 %, the margin around at 2.5 %."""
    rng = np.random.default_rng(num_seeds)
    for shift in np.linspace(-1.5, 2.0, 12):
        d = rng.exponential(size=num_seeds) - 1 + shift
        result = paired(d, 0.8)
        assert (result.low > 0 or result.high < 0) == (result.p < 0.05)
        assert (result.low > -0.8 and result.high < 0.8) == (result.p_equivalence < 0.025)


@pytest.mark.parametrize("num_seeds", [2, 6, 20, 30])
def test_odd_differences_have_numbers_that_agree(num_seeds):
    """Constant ones, zeros but for one, two values: no warning, no NaN, and nothing found in it."""
    one = np.zeros(num_seeds)
    one[0] = 0.1
    for d in (one, -one, np.where(np.arange(num_seeds) % 2, 0.1, -0.1)):
        result = paired(d, 0.005)
        assert result.low < 0 < result.high
        assert result.p > 0.05
        assert result.p_equivalence > 0.025
        assert math.isfinite(result.low + result.high)


@pytest.mark.parametrize("num_seeds", [2, 3, 5, 6, 20, 60])
def test_equal_differences_are_as_significant_as_their_signs(num_seeds):
    """Accuracies are multiples of one test point: a few equal differences are no certainty."""
    d = np.full(num_seeds, 1 / 360)
    result = paired(d, 0.005)
    assert result.p == pytest.approx(2.0 ** (1 - min(num_seeds, 40)), rel=1e-3)
    if num_seeds < 20:
        assert result.p == pytest.approx(sign_flip_test(d))
    assert result.low < result.mean < result.high
    assert (result.low > 0) == (result.p < 0.05) == (num_seeds >= 6)
    assert (result.high < 0.005) == (result.p_equivalence < 0.025)
    assert result.seeds_needed == 6
    p, within = decide(np.stack([d, -d]), 0.005)
    assert p == pytest.approx([result.p] * 2)
    assert within == pytest.approx([result.p_equivalence] * 2)


@pytest.mark.slow
@pytest.mark.parametrize("num_seeds", [2, 3, 5])
def test_differences_of_a_small_test_set_are_found_no_more_often_than_stated(num_seeds):
    """Arms that are equal in truth, each count of labels by itself, with Holm's adjustment."""
    rng = np.random.default_rng(num_seeds)
    found = 0
    for _ in range(400):
        accuracies = rng.normal(0.8, 0.02, size=(11, num_seeds))
        rounded = np.round(accuracies * 45) / 45
        p = [paired(arm - rounded[0], 0.005).p for arm in rounded[1:]]
        found += holm(p).min() < 0.05
    assert found / 400 <= 0.08


@pytest.mark.parametrize("draw", ["normal", "skewed"])
@pytest.mark.parametrize("num_seeds", [5, 10, pytest.param(20, marks=pytest.mark.slow)])
def test_intervals_cover_the_truth(num_seeds, draw):
    rng = np.random.default_rng(num_seeds)
    repeats = 1500 if num_seeds < 20 else 600
    covered = 0
    for _ in range(repeats):
        d = rng.normal(size=num_seeds) if draw == "normal" else rng.gamma(8.0, size=num_seeds) - 8
        low, high = interval(d)
        covered += low <= 0 <= high
    assert 0.93 <= covered / repeats <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("draw", ["exponential", "lognormal"])
def test_from_twenty_seeds_interval_and_p_agree_on_skewed_differences(draw):
    rng = np.random.default_rng(20)
    for _ in range(150):
        d = getattr(rng, draw)(size=int(rng.integers(20, 31)))
        d = d - d.mean() + rng.normal(0, 2 / np.sqrt(len(d)))  # many a p near 5 %
        result = paired(d, 0.5)
        assert (result.low > 0 or result.high < 0) == (result.p < 0.05)
