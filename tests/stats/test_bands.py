"""Simultaneous bands hold a whole curve as often as they say."""

import numpy as np
import pytest

from al_bench.stats.bands import difference_bands, simultaneous_band
from al_bench.stats.comparison import compare
from al_bench.stats.intervals import mean_interval


def curves(num_seeds, rho, generator, num_counts=12):
    distance = np.abs(np.subtract.outer(np.arange(num_counts), np.arange(num_counts)))
    factor = np.linalg.cholesky(rho**distance + 1e-9 * np.eye(num_counts))
    return generator.standard_normal((num_seeds, num_counts)) @ factor.T


def test_for_one_count_the_band_is_students_interval():
    d = np.random.default_rng(0).standard_normal((6, 1))
    mean, low, high = simultaneous_band(d)
    exact = mean_interval(d)
    assert mean == exact.mean
    assert high - low == pytest.approx(exact.high - exact.low, rel=0.05)


def test_the_band_is_wider_than_the_intervals_it_joins():
    d = curves(5, 0.5, np.random.default_rng(1))
    _, low, high = simultaneous_band(d)
    single = mean_interval(d)
    assert (low < single.low).all()
    assert (high > single.high).all()


@pytest.mark.slow
def test_whole_curves_are_covered_as_often_as_the_band_says():
    generator = np.random.default_rng(0)
    repeats, hits = 60, 0
    for _ in range(repeats):
        _, low, high = simultaneous_band(curves(5, 0.7, generator))
        hits += bool(((low <= 0) & (high >= 0)).all())
    assert 0.87 <= hits / repeats < 1  # 0.95 within three standard errors


@pytest.mark.slow
@pytest.mark.parametrize("num_seeds", [3, 10])
@pytest.mark.parametrize("rho", [0.0, 0.95])
def test_coverage_holds_for_few_seeds_and_any_correlation(num_seeds, rho):
    generator = np.random.default_rng(num_seeds)
    hits = 0
    for _ in range(300):
        _, low, high = simultaneous_band(curves(num_seeds, rho, generator))
        hits += bool(((low <= 0) & (high >= 0)).all())
    assert 0.87 <= hits / 300 <= 0.985


def test_equal_differences_have_no_width_and_one_seed_no_band():
    d = np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 4.0]])
    mean, low, high = simultaneous_band(d)
    assert (mean[0], low[0], high[0]) == (0, 0, 0)
    assert low[1] < mean[1] < high[1]
    mean, low, high = simultaneous_band(d[:1])
    assert mean.tolist() == [0, 1]
    assert np.isnan([low, high]).all()


def test_the_order_of_seeds_changes_nothing():
    d = curves(6, 0.7, np.random.default_rng(2))
    for one, other in zip(simultaneous_band(d), simultaneous_band(d[::-1]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_differences_are_of_common_seeds_at_common_counts(make_frame):
    import pandas as pd

    frame = pd.concat(
        [
            make_frame("random", [0, 1, 2], range(4), lambda s, r: 0.5 + 0.01 * s),
            make_frame("bald", [1, 2, 3], [0, 1, 2], lambda s, r: 0.5 + 0.01 * s + 0.1 * r),
        ]
    )
    with pytest.warns(UserWarning, match="ends at 30"):
        [protocol] = compare(frame).protocols
    rows = difference_bands(protocol)
    assert rows["spent"].tolist() == [10, 20, 30]
    assert rows["mean"].tolist() == pytest.approx([0.0, 0.1, 0.2])
    assert set(rows["num_seeds"]) == {2}
    assert set(rows["strategy_label"]) == {"bald"}
