"""Random acquisition is uniform and a function of its generator."""

import itertools

import pytest
import torch
from pool_views import seeded
from scipy.stats import chisquare

from al_bench.strategies.random import Random


class Blind:
    """A view in which there is nothing to see but its size."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size


def test_random_looks_at_nothing_and_every_ordered_pair_is_equally_likely():
    pairs = list(itertools.permutations(range(4), 2))
    counts = dict.fromkeys(pairs, 0)
    for seed in range(600):
        counts[tuple(Random().select(Blind(4), 2, seeded(seed)).positions.tolist())] += 1
    assert chisquare(list(counts.values())).pvalue > 1e-4


def test_random_has_no_scores_and_needs_nothing():
    selection = Random().select(Blind(9), 9, seeded(0))
    assert selection.scores.isnan().all()
    assert selection.positions.sort().values.tolist() == list(range(9))
    assert Random().needs == frozenset()


def test_random_refuses_more_than_there_is():
    with pytest.raises(ValueError, match="cannot take 3"):
        Random().select(Blind(2), 3, torch.Generator())
