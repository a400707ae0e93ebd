"""Areas and crossings of piecewise linear curves, by hand and by numpy."""

import math

import numpy as np
import pytest

from al_bench.stats.areas import crossing, normalized_area, thirds

COUNTS = np.array([20.0, 30.0, 50.0])
VALUES = np.array([0.5, 0.7, 0.9])


def test_the_area_is_the_trapezoids():
    assert normalized_area(COUNTS, VALUES, 20, 50) == pytest.approx((6.0 + 16.0) / 30)
    whole = normalized_area(COUNTS, np.stack([VALUES, 2 * VALUES]), 20, 50)
    assert whole == pytest.approx(np.trapezoid([VALUES, 2 * VALUES], COUNTS) / 30)


def test_a_part_ends_between_stored_counts():
    assert normalized_area(COUNTS, VALUES, 25, 40) == pytest.approx((3.25 + 7.5) / 15)


def test_thirds_add_up_to_the_whole():
    parts = [normalized_area(COUNTS, VALUES, *part) for part in thirds(20, 50)]
    assert np.mean(parts) == pytest.approx(normalized_area(COUNTS, VALUES, 20, 50))
    assert thirds(20, 50) == [(20, 30), (30, 40), (40, 50)]


@pytest.mark.parametrize(("low", "high"), [(10, 50), (20, 60), (30, 30)])
def test_no_area_beyond_the_curve(low, high):
    with pytest.raises(ValueError, match="no area"):
        normalized_area(COUNTS, VALUES, low, high)


def test_a_missing_value_is_no_number():
    gap = np.array([[0.5, np.nan, 0.9]])
    assert np.isnan(normalized_area(COUNTS, gap, 20, 50)).all()
    assert normalized_area(COUNTS, np.array([np.nan, 0.7, 0.9]), 30, 50) == pytest.approx(0.8)


def test_crossings_lie_on_the_lines():
    targets = np.array([0.4, 0.5, 0.6, 0.8, 0.95])
    found = crossing(COUNTS, np.tile(VALUES, (5, 1)), targets)
    assert found.tolist() == [20, 20, 25, 40, math.inf]


def test_the_first_crossing_counts():
    assert crossing(COUNTS, np.array([0.5, 0.9, 0.6]), 0.7) == 25
