"""Scores of labeled candidates against plain loops in float64, and what follows from them."""

import math

import pytest
import torch

from al_bench.checking.candidates import FakeCandidates
from al_bench.checking.views import FakeView, log_probs, seeded
from al_bench.sampling.scored import Scored, candidate_scores
from al_bench.sampling.scores import (
    GradientNorm,
    InformationGain,
    IrreducibleLoss,
    Loss,
    LossMinusConditionalEntropy,
    PredictiveInformationGain,
    ReducibleLoss,
)
from al_bench.strategies.rules import Softmax, TopB
from al_bench.strategies.scores import bald

N, K, C = 11, 5, 4


@pytest.fixture
def view():
    return FakeCandidates.of(FakeView(log_probs(N, K, C, seed=8)))


@pytest.fixture
def probs(view):
    """Probabilities as nested lists [point][sample][class]."""
    return view.pool.given.double().exp().tolist()


def chosen(score, view, batch_size, rule=None):
    rule = rule or TopB()
    return Scored(score, rule).choose(view, batch_size, seeded(0)).positions.tolist()


@pytest.mark.parametrize("batch_size", [1, 3, N])
def test_rho_takes_the_highest_loss_beyond_the_irreducible_one(view, probs, batch_size):
    scores = []
    for x in range(N):
        loss = -math.log(probs[x][0][int(view.labels[x])])
        scores.append(loss - float(view.irreducible_losses()[x]))
    left = list(range(N))
    picks = []
    for _ in range(batch_size):
        best = left[0]
        for x in left:
            if scores[x] > scores[best]:
                best = x
        left.remove(best)
        picks.append(best)
    assert chosen(ReducibleLoss(), view, batch_size) == picks


def test_rho_without_an_irreducible_loss_is_the_loss(view):
    view.pool.embedding[:, 1] = 0.0
    assert torch.equal(
        candidate_scores(ReducibleLoss(), view, None), candidate_scores(Loss(), view, None)
    )
    assert chosen(ReducibleLoss(), view, 5) == chosen(Loss(), view, 5)


def test_scores_of_one_pass_are_those_of_a_loop(view, probs):
    found = {
        kind: candidate_scores(kind(), view, None) for kind in (Loss, GradientNorm, IrreducibleLoss)
    }
    for x in range(N):
        label = int(view.labels[x])
        loss = -math.log(probs[x][0][label])
        norm = math.sqrt(sum((probs[x][0][c] - (c == label)) ** 2 for c in range(C)))
        assert float(found[Loss][x]) == pytest.approx(loss, abs=1e-7)
        assert float(found[GradientNorm][x]) == pytest.approx(norm, abs=1e-7)
        assert float(found[IrreducibleLoss][x]) == -abs(float(view.pool.embedding[x, 1]))


def entropy(p):
    return -sum(q * math.log(q) for q in p if q > 0)


def test_loss_minus_conditional_entropy_is_that_of_a_loop(view, probs):
    found = candidate_scores(LossMinusConditionalEntropy(), view, None)
    for x in range(N):
        label = int(view.labels[x])
        expected = sum(-math.log(p[label]) - entropy(p) for p in probs[x]) / K
        assert float(found[x]) == pytest.approx(expected, abs=1e-6)


def weighed(probs, label):
    """p(ω_k | y, x), by enumeration of the K samples."""
    joint = [p[label] / K for p in probs]
    return [w / sum(joint) for w in joint]


def test_information_gain_is_that_of_enumerated_samples(view, probs):
    found = candidate_scores(InformationGain(), view, None)
    for x in range(N):
        after = weighed(probs[x], int(view.labels[x]))
        assert float(found[x]) == pytest.approx(math.log(K) - entropy(after), abs=1e-6)


def test_its_expectation_over_labels_is_bald(view, probs):
    found = torch.zeros(N, dtype=torch.float64)
    for label in range(C):
        view.labels = torch.full((N,), label)
        mean = torch.tensor([sum(p[label] for p in of_point) / K for of_point in probs])
        found += mean * candidate_scores(InformationGain(), view, None)
    torch.testing.assert_close(found, bald(view.pool.given), rtol=1e-4, atol=1e-6)


def test_predictive_information_gain_is_that_of_enumerated_samples(view, probs):
    targets = view.target_log_probs(6).double().exp().tolist()
    found = candidate_scores(PredictiveInformationGain(num_targets=6), view, None)
    for x in range(N):
        after = weighed(probs[x], int(view.labels[x]))
        gain = 0.0
        for target in targets:
            before = [sum(p[c] for p in target) / K for c in range(C)]
            then = [sum(w * p[c] for w, p in zip(after, target, strict=True)) for c in range(C)]
            gain += (entropy(before) - entropy(then)) / len(targets)
        assert float(found[x]) == pytest.approx(gain, abs=1e-6)


def test_copies_with_another_label_are_other_candidates_of_pig(view):
    view.pool.given[3], view.labels[3] = view.pool.given[2], view.labels[2]
    scores = candidate_scores(PredictiveInformationGain(num_targets=6), view, None)
    assert scores[2] == scores[3]
    view.labels[3] = (view.labels[2] + 1) % C
    scores = candidate_scores(PredictiveInformationGain(num_targets=6), view, None)
    assert scores[2] != scores[3]


@pytest.mark.slow
def test_softmax_over_rho_draws_as_boltzmann_without_replacement(view):
    """One point at a time has the chances exp(β s) / Σ exp(β s)."""
    from scipy.stats import chisquare

    scores = candidate_scores(ReducibleLoss(), view, None)
    rule, generator = Softmax(beta=4), seeded(3)
    counts = torch.zeros(N)
    for _ in range(2000):
        counts[Scored(ReducibleLoss(), rule).choose(view, 1, generator).positions] += 1
    expected = 2000 * (4 * scores).softmax(dim=0)
    often = expected > 5
    observed = [*counts[often].tolist(), float(counts[~often].sum())]
    wanted = [*expected[often].tolist(), float(expected[~often].sum())]
    assert chisquare(observed, wanted).pvalue > 1e-4


def test_equal_scores_are_told(view):
    view.pool.given[:] = view.pool.given[0]
    view.labels[:] = 1
    selection = Scored(Loss(), TopB())
    assert selection.choose(view, 3, seeded(0)).notes == {"fell_back": "random"}
    assert selection.choose(view, N, seeded(0)).notes == {}  # all of them are no choice


def test_losses_that_are_nan_are_told(view):
    view.pool.given[2] = torch.nan
    with pytest.raises(ValueError, match="1 of 11 scores are NaN"):
        chosen(ReducibleLoss(), view, 3)
