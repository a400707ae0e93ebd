"""Areas and crossings of piecewise linear curves, by hand and by scipy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from al_bench.stats.areas import arrival, normalized_area, thirds

COUNTS = np.array([20.0, 30.0, 50.0])
VALUES = np.array([0.5, 0.7, 0.9])


def test_the_area_is_the_trapezoids():
    assert normalized_area(COUNTS, VALUES, 20, 50) == pytest.approx((6.0 + 16.0) / 30)
    whole = normalized_area(COUNTS, np.stack([VALUES, 2 * VALUES]), 20, 50)
    assert whole == pytest.approx(trapezoid([VALUES, 2 * VALUES], COUNTS) / 30)


def test_a_part_ends_between_stored_counts():
    assert normalized_area(COUNTS, VALUES, 25, 40) == pytest.approx((3.25 + 7.5) / 15)


def test_thirds_add_up_to_the_whole():
    parts = [normalized_area(COUNTS, VALUES, *part) for part in thirds(20, 50)]
    assert np.mean(parts) == pytest.approx(normalized_area(COUNTS, VALUES, 20, 50))
    assert thirds(20, 50) == [(20, 30), (30, 40), (40, 50)]


@pytest.mark.parametrize(("low", "high"), [(10, 50), (20, 60), (40, 30)])
def test_no_area_beyond_the_curve(low, high):
    with pytest.raises(ValueError, match="no area"):
        normalized_area(COUNTS, VALUES, low, high)


def test_over_a_single_count_it_is_the_value_there():
    near = normalized_area(COUNTS, VALUES, 30 - 1e-6, 30 + 1e-6)
    at = normalized_area(COUNTS, VALUES, 30, 30)
    assert at == pytest.approx(near, abs=1e-6)
    assert at.tolist() == VALUES[..., COUNTS.tolist().index(30)].tolist()


def test_a_missing_value_is_no_number():
    gap = np.array([[0.5, np.nan, 0.9]])
    assert np.isnan(normalized_area(COUNTS, gap, 20, 50)).all()
    assert normalized_area(COUNTS, np.array([np.nan, 0.7, 0.9]), 30, 50) == pytest.approx(0.8)


def test_arrivals_lie_on_the_lines():
    targets = np.array([0.4, 0.5, 0.6, 0.8, 0.95])
    found = arrival(COUNTS, np.tile(VALUES, (5, 1)), targets)
    assert found.tolist() == pytest.approx([20, 20, 25, 40, math.inf])


def test_what_falls_below_again_has_not_arrived():
    values = np.array([[0.5, 0.9, 0.6], [0.9, 0.5, 0.9], [0.7, 0.7, 0.7], [0.9, 0.8, 0.7]])
    found = arrival(COUNTS, values, 0.7)
    assert found.tolist() == pytest.approx([math.inf, 40, 20, 20])


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.floats(0, 1))
def test_an_arrival_is_where_a_fine_grid_finds_it(values, target):
    grid = np.linspace(20, 50, 30_001)
    below = np.interp(grid, COUNTS, values) < target
    found = float(arrival(COUNTS, np.array(values), target))
    if below[-1]:
        assert found == math.inf
    else:
        last = grid[below].max(initial=20)
        assert found == pytest.approx(last, abs=0.002)
