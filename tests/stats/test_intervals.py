"""Intervals of means hold the mean as often as they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al_bench.stats.intervals import mean_interval, quartiles


def test_interval_agrees_with_scipy():
    from scipy import stats

    values = np.random.default_rng(0).normal(3, 2, size=(7, 4))
    mean, low, high, num_seeds = mean_interval(values, 0.9)
    expected = stats.t.interval(0.9, 6, values.mean(axis=0), stats.sem(values, axis=0))
    np.testing.assert_allclose(mean, values.mean(axis=0))
    np.testing.assert_allclose((low, high), expected)
    assert num_seeds.tolist() == [7] * 4


def test_interval_of_three_numbers_worked_out_by_hand():
    mean, low, high, _ = mean_interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    # t of 2 degrees of freedom at 97.5 % is 4.302653; the standard error is 1 / sqrt(3)
    assert high - mean == pytest.approx(4.302653 / 3**0.5)
    assert mean - low == pytest.approx(4.302653 / 3**0.5)


def test_one_seed_has_a_mean_and_no_interval():
    mean, low, high, num_seeds = mean_interval([[0.5, 0.25]])
    assert mean.tolist() == [0.5, 0.25]
    assert np.isnan([low, high]).all()
    assert num_seeds.tolist() == [1, 1]


def test_a_seed_without_a_value_is_left_out_of_that_column_only():
    nan = np.nan
    values = [[1.0, 5.0, nan], [3.0, nan, nan], [2.0, nan, nan]]
    mean, low, high, num_seeds = mean_interval(values)
    assert num_seeds.tolist() == [3, 1, 0]
    np.testing.assert_array_equal(mean, [2.0, 5.0, nan])
    np.testing.assert_array_equal(np.isnan(low), [False, True, True])
    alone = mean_interval([1.0, 3.0, 2.0])
    assert (low[0], high[0]) == (alone.low, alone.high)


def test_no_seed_at_all_gives_nothing():
    mean, low, _, num_seeds = mean_interval(np.empty((0,)))
    assert np.isnan(mean)
    assert np.isnan(low)
    assert num_seeds == 0


@settings(max_examples=30)
@given(value=st.floats(-1e6, 1e6), n=st.integers(2, 9))
def test_equal_values_have_an_interval_of_no_width(value, n):
    mean, low, high, _ = mean_interval([value] * n)
    assert mean == low == high == value


def test_interval_covers_the_mean_as_often_as_it_says():
    samples = np.random.default_rng(1).normal(size=(5, 4000))
    _, low, high, _ = mean_interval(samples)
    assert ((low <= 0) & (high >= 0)).mean() == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_a_level_that_is_no_fraction_is_refused(level):
    with pytest.raises(ValueError, match="between 0 and 1"):
        mean_interval([1.0, 2.0], level)


@settings(max_examples=60)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9))
def test_quartiles_are_numpys(values):
    assert quartiles(values) == pytest.approx(np.quantile(values, [0.25, 0.5, 0.75]), rel=1e-9)


def test_quartiles_reach_as_far_as_the_seeds_do():
    inf = np.inf
    assert quartiles([30, 10]) == (15, 20, 25)
    assert quartiles([10, 20, inf]) == (15, 20, inf)
    assert quartiles([10, 20, inf, inf]) == (17.5, inf, inf)
    assert quartiles([inf, inf, inf]) == (inf, inf, inf)
    assert quartiles([10, 20, 30, 40, inf]) == (20, 30, 40)
