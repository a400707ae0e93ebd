"""Batch rules draw with the probabilities of their formulas, and break ties fairly."""

import collections
import itertools
import math

import pytest
import torch
from pool_views import seeded
from scipy.stats import chisquare

from al_bench.errors import ConfigError
from al_bench.strategies.rules import Power, Softmax, Softrank, TopB

STOCHASTIC = [Power, Softmax, Softrank]
RULES = [TopB(), *(rule() for rule in STOCHASTIC)]
ids = {"ids": lambda rule: getattr(rule, "__name__", type(rule).__name__)}


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


def counted(rule, scores, batch_size, count):
    return collections.Counter(
        tuple(rule(scores, batch_size, seeded(seed)).tolist()) for seed in range(count)
    )


def test_top_b_takes_the_highest_scores_best_first():
    scores = double(0.3, -math.inf, 0.9, math.inf, 0.5)
    assert TopB()(scores, 5, seeded(0)).tolist() == [3, 2, 4, 0, 1]
    assert TopB()(scores, 2, seeded(0)).tolist() == [3, 2]


def test_top_b_breaks_ties_fairly():
    counts = counted(TopB(), double(1, 2, 2, 2, 0), 2, 600)
    pairs = list(itertools.permutations([1, 2, 3], 2))
    assert set(counts) <= set(pairs)
    assert chisquare([counts[pair] for pair in pairs]).pvalue > 1e-4


@pytest.mark.parametrize("rule", RULES, **ids)
def test_nan_scores_are_refused(rule):
    with pytest.raises(ValueError, match="2 of 3 scores are NaN"):
        rule(double(1.0, math.nan, math.nan), 1, seeded(0))


@pytest.mark.parametrize("rule", RULES, **ids)
@pytest.mark.parametrize("batch_size", [0, -1, 4])
def test_batches_that_cannot_be_taken_are_refused(rule, batch_size):
    with pytest.raises(ValueError, match=f"cannot take {batch_size} "):
        rule(double(1.0, 2.0, 3.0), batch_size, seeded(0))


@pytest.mark.parametrize("rule", RULES, **ids)
def test_batches_are_distinct_and_scores_untouched(rule):
    scores = torch.rand(30, generator=seeded(1), dtype=torch.float64)
    before = scores.clone()
    for batch_size in (1, 7, 30):
        batch = rule(scores, batch_size, seeded(2))
        assert batch.dtype == torch.int64
        assert len(batch.unique()) == batch_size
    assert torch.equal(scores, before)


@pytest.mark.parametrize("rule", RULES, **ids)
def test_single_precision_scores_are_taken_too(rule):
    assert rule(torch.tensor([0.1, 0.9, 0.4]), 3, seeded(0)).sort().values.tolist() == [0, 1, 2]


@pytest.mark.parametrize("rule", STOCHASTIC, **ids)
def test_very_cold_rules_take_the_highest_scores(rule):
    scores = torch.rand(40, generator=seeded(1), dtype=torch.float64)
    best = TopB()(scores, 10, seeded(0))
    assert torch.equal(rule(beta=1e9)(scores, 10, seeded(3)), best)


@pytest.mark.parametrize("rule", STOCHASTIC, **ids)
def test_very_warm_rules_are_uniform(rule):
    counts = counted(rule(beta=1e-9), double(0.1, 1.0, 5.0), 2, 600)
    assert chisquare([counts[p] for p in itertools.permutations(range(3), 2)]).pvalue > 1e-4


@pytest.mark.parametrize("beta", [0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize("rule", STOCHASTIC, **ids)
def test_beta_must_be_positive(rule, beta):
    with pytest.raises(ConfigError, match=r"^beta must be a number above 0, got"):
        rule(beta=beta)


def test_power_takes_points_without_score_last_and_fairly():
    """Pitfall 4: the log of zero or of a slightly negative score must never win."""
    scores = double(0.0, 0.7, -1e-9, 0.2, 0.0, -0.0)
    nothing = [0, 2, 4, 5]
    for seed in range(100):
        batch = Power()(scores, 4, seeded(seed)).tolist()
        assert set(batch[:2]) == {1, 3}
    counts = collections.Counter(
        tuple(Power()(scores, 4, seeded(seed))[2:].tolist()) for seed in range(600)
    )
    pairs = list(itertools.permutations(nothing, 2))
    assert chisquare([counts[pair] for pair in pairs]).pvalue > 1e-4


def test_power_prefers_informative_points_however_small():
    scores = double(1e-300, 0.0, 1e-12)
    assert set(Power(beta=8)(scores, 2, seeded(0)).tolist()) == {0, 2}


def test_softrank_ranks_equal_scores_in_random_order():
    counts = counted(Softrank(beta=1e9), double(1.0, 1.0, 1.0), 1, 300)
    assert chisquare([counts[(i,)] for i in range(3)]).pvalue > 1e-4


@pytest.mark.parametrize("score", [-1.1e-9, -2.0, -math.inf])
def test_power_refuses_negative_scores_and_names_the_rules_for_them(score):
    with pytest.raises(ValueError, match=r"2 of 3 scores are negative.*softmax"):
        Power()(double(0.5, score, score), 1, seeded(0))
