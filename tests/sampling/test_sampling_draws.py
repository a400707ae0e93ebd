"""Uniform draws, and importance weights that keep the gradient of a step unbiased."""

import itertools
import math
from collections import Counter

import pytest
import torch

from al_bench.checking.candidates import FakeCandidates
from al_bench.checking.views import FakeView, log_probs, seeded
from al_bench.sampling.draws import GradientNormIS, Uniform, importance


@pytest.mark.parametrize("batch_size", [1, 2])
def test_importance_weights_are_unbiased_by_enumeration(batch_size):
    sizes = torch.tensor([0.2, 1.1, 0.7])
    losses = [0.3, -1.7, 4.0]  # whatever is averaged: a loss, or a component of its gradient
    probabilities, weights = importance(sizes)
    expected = 0.0
    for drawn in itertools.product(range(3), repeat=batch_size):
        chance = math.prod(float(probabilities[i]) for i in drawn)
        expected += chance * sum(float(weights[i]) * losses[i] for i in drawn) / batch_size
    assert expected == pytest.approx(sum(losses) / 3, abs=1e-12)


def test_probabilities_are_in_proportion_and_weights_undo_them():
    probabilities, weights = importance(torch.tensor([0.5, 0.0, 1.5]))
    assert probabilities.tolist() == [0.25, 0.0, 0.75]
    assert weights.tolist() == pytest.approx([4 / 3, math.inf, 4 / 9])


@pytest.mark.slow
def test_points_are_drawn_as_often_as_their_norms_say():
    view = FakeCandidates.of(FakeView(log_probs(4, 1, 3, seed=1)))
    norms = [
        math.sqrt(sum((p - (c == int(y))) ** 2 for c, p in enumerate(row)))
        for row, y in zip(view.pool.given[:, 0].double().exp().tolist(), view.labels, strict=True)
    ]
    generator, counts = seeded(2), Counter()
    for _ in range(500):
        chosen = GradientNormIS().choose(view, 4, generator)
        counts.update(chosen.positions.tolist())
        expected = [sum(norms) / (4 * norms[i]) for i in chosen.positions]
        assert chosen.weights.tolist() == pytest.approx(expected, rel=1e-5)
    for i, norm in enumerate(norms):
        chance = norm / sum(norms)
        assert abs(counts[i] - 2000 * chance) < 4 * math.sqrt(2000 * chance * (1 - chance)) + 1


def test_norms_that_are_all_zero_draw_uniformly():
    logits = torch.zeros(5, 1, 3)
    logits[:, :, 1] = 1e4
    view = FakeCandidates(FakeView(logits.log_softmax(dim=-1)), torch.ones(5, dtype=torch.int64))
    chosen = GradientNormIS().choose(view, 3, seeded(0))
    assert chosen.weights.tolist() == [1.0, 1.0, 1.0]
    assert chosen.notes == {"fell_back": "random"}


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -1.0])
def test_sizes_that_are_none_are_refused(wrong):
    with pytest.raises(ValueError, match="1 of 2 gradient norms are"):
        importance(torch.tensor([1.0, wrong]))


def test_uniform_takes_every_pair_equally_often():
    from scipy.stats import chisquare

    view = FakeCandidates.of(FakeView(log_probs(4, 1, 3)))
    generator = seeded(5)
    counts = Counter(
        tuple(sorted(Uniform().choose(view, 2, generator).positions.tolist())) for _ in range(600)
    )
    assert len(counts) == 6
    assert chisquare(list(counts.values())).pvalue > 1e-4
