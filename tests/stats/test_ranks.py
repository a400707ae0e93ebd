"""Rank correlations against counts of pairs, ties and all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from al_bench.stats.ranks import kendall, spearman

VALUES = arrays(np.float64, (3, 7), elements=st.integers(0, 5).map(float))


def tau_b(x, y):
    """(concordant - discordant) / √(pairs untied in x · pairs untied in y)."""
    i, j = np.triu_indices(len(x), 1)
    a, b = np.sign(x[i] - x[j]), np.sign(y[i] - y[j])
    untied = np.sqrt((a != 0).sum() * (b != 0).sum())
    return (a * b).sum() / untied if untied else np.nan


def rho(x, y):
    """Pearson's correlation of mean ranks: of each value, how many are less, and half of equals."""
    ranks = [np.array([(v < u).sum() + ((v == u).sum() + 1) / 2 for u in v]) for v in (x, y)]
    if any(len(set(values)) == 1 for values in ranks):
        return np.nan
    return np.corrcoef(*ranks)[0, 1]


@pytest.mark.slow
@given(VALUES)
def test_kendall_counts_pairs(values):
    expected = [[tau_b(x, y) for y in values] for x in values]
    assert kendall(values) == pytest.approx(np.array(expected), nan_ok=True)


@pytest.mark.slow
@given(VALUES)
def test_spearman_correlates_ranks(values):
    expected = [[rho(x, y) for y in values] for x in values]
    assert spearman(values) == pytest.approx(np.array(expected), nan_ok=True)


def test_an_increasing_function_ranks_alike():
    x = np.random.default_rng(0).normal(size=50)
    values = [x, np.exp(x), -x]
    expected = np.array([[1, 1, -1], [1, 1, -1], [-1, -1, 1]])
    assert spearman(values) == pytest.approx(expected)
    assert kendall(values) == pytest.approx(expected)
