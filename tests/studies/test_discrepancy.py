"""MMD² of acquired points, against its double sums."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from al_bench.studies.discrepancy import mmd_squared


def by_loops(kernel, m):
    """The paper's estimate as it is written: x_i is the i-th point of the reference sample."""
    n = len(kernel)
    own = sum(kernel[i, j] for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    reference = sum(kernel[i, j] for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    across = sum(kernel[i, j] for i in range(m) for j in range(n)) - kernel[:m].diagonal().sum()
    return float(own + reference - 2 * across / (m * (n - 1)))


@pytest.mark.slow
@given(st.integers(0, 2**20), st.integers(2, 6), st.integers(0, 4))
def test_the_estimate_is_that_of_the_paper(seed, m, others):
    factor = torch.randn(m + others, 5, dtype=torch.float64, generator=torch.Generator())
    kernel = factor @ factor.T
    assert mmd_squared(kernel, m) == pytest.approx(by_loops(kernel, m), abs=1e-12)


def test_a_sample_that_is_all_acquired_has_no_discrepancy():
    factor = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert mmd_squared(factor @ factor.T, 7) == pytest.approx(0.0, abs=1e-12)


def test_points_from_elsewhere_have_more_of_it_than_random_ones():
    generator = torch.Generator().manual_seed(0)
    pool = torch.randn(400, 4, dtype=torch.float64, generator=generator)
    alike = mmd_squared(pool @ pool.T, 40)
    pool[:40] += 1.0
    apart = mmd_squared(pool @ pool.T, 40)
    assert abs(alike) < 0.1
    # The mean has moved by 1 in each of 4 directions, less what 40 of the 400 make of the pool.
    assert apart == pytest.approx(4 * 0.9**2, rel=0.2)
