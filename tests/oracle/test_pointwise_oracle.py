"""Scores against the definitions, summed term by term, and batch rules against their laws."""

import collections
import itertools
import math

import pytest
import torch
from pool_views import log_probs, seeded
from scipy.stats import chisquare

from al_bench.strategies.rules import Power, Softmax, Softrank
from al_bench.strategies.scores import bald, entropy, least_confidence, margin

SINGLE = [log_probs(9, 6, 4), log_probs(7, 3, 2, seed=1, scale=30.0), log_probs(5, 1, 5, seed=2)]
POOLS = [*SINGLE, *(pool.double().log_softmax(dim=-1) for pool in SINGLE)]
TOLERANCE = {torch.float32: 3e-7, torch.float64: 1e-12}


def probabilities(predicted):
    """[point][sample][class], as numbers."""
    return predicted.double().exp().tolist()


def average(point):
    return [sum(sample[c] for sample in point) / len(point) for c in range(len(point[0]))]


def plain_entropy(distribution):
    return -sum(p * math.log(p) for p in distribution if p > 0)


@pytest.mark.parametrize("predicted", POOLS)
def test_entropy_least_confidence_and_margin_by_definition(predicted):
    for point, h, confidence, gap in zip(
        probabilities(predicted),
        entropy(predicted).tolist(),
        least_confidence(predicted).tolist(),
        margin(predicted).tolist(),
        strict=True,
    ):
        second, first = sorted(average(point))[-2:]
        assert h == pytest.approx(plain_entropy(average(point)), abs=TOLERANCE[predicted.dtype])
        assert confidence == pytest.approx(1 - first, abs=TOLERANCE[predicted.dtype])
        assert gap == pytest.approx(1 - (first - second), abs=TOLERANCE[predicted.dtype])


@pytest.mark.parametrize("predicted", POOLS)
def test_bald_is_the_entropy_of_the_average_minus_the_average_entropy(predicted):
    for point, score in zip(probabilities(predicted), bald(predicted).tolist(), strict=True):
        expected = sum(plain_entropy(sample) for sample in point) / len(point)
        gap = plain_entropy(average(point)) - expected
        assert score == pytest.approx(gap, abs=TOLERANCE[predicted.dtype])


@pytest.mark.parametrize("predicted", POOLS)
def test_bald_is_the_average_divergence_from_the_average(predicted):
    for point, score in zip(probabilities(predicted), bald(predicted).tolist(), strict=True):
        mean = average(point)
        divergence = sum(
            p * math.log(p / q) for sample in point for p, q in zip(sample, mean, strict=True) if p
        )
        assert score == pytest.approx(divergence / len(point), abs=TOLERANCE[predicted.dtype])


def law(weights, batch_size):
    """Probability of every ordered batch when points are drawn one after another by weight."""
    probabilities = {}
    for batch in itertools.permutations(range(len(weights)), batch_size):
        left, probability = sum(weights), 1.0
        for position in batch:
            probability *= weights[position] / left
            left -= weights[position]
        probabilities[batch] = probability
    return probabilities


SCORES = [0.9, 0.1, 0.5, 0.2]
RANKS = [1, 4, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "weights"),
    [
        (Power(), SCORES),
        (Power(beta=3.0), [s**3 for s in SCORES]),
        (Softmax(), [math.exp(s) for s in SCORES]),
        (Softmax(beta=4.0), [math.exp(4 * s) for s in SCORES]),
        (Softrank(), [1 / r for r in RANKS]),
        (Softrank(beta=0.5), [r**-0.5 for r in RANKS]),
    ],
    ids=str,
)
def test_stochastic_rules_draw_ordered_batches_by_their_law(rule, weights):
    scores, generator = torch.tensor(SCORES, dtype=torch.float64), seeded(11)
    count = 3000
    drawn = collections.Counter(tuple(rule(scores, 2, generator).tolist()) for _ in range(count))
    expected = law(weights, 2)
    observed = [drawn[batch] for batch in expected]
    assert sum(observed) == count
    assert chisquare(observed, [count * p for p in expected.values()]).pvalue > 1e-3
    firsts = [sum(n for batch, n in drawn.items() if batch[0] == i) for i in range(4)]
    first_law = [count * weight / sum(weights) for weight in weights]
    assert chisquare(firsts, first_law).pvalue > 1e-3
