"""Pointwise scores, against formulas in float64."""

import functools
import math

import pytest
import torch
from pool_views import log_probs

from al_bench.models.base import SAMPLES
from al_bench.strategies.scores import (
    bald,
    committee_kl,
    entropy,
    expected_entropy,
    least_confidence,
    margin,
    max_disagreement,
    mean_std,
    needs,
    needs_of,
    variation_ratios,
    vote_entropy,
)

SCORES = [least_confidence, margin, entropy, bald, expected_entropy, variation_ratios, vote_entropy]
SCORES += [committee_kl, max_disagreement, mean_std]


def test_scores_of_one_prediction_by_hand():
    predicted = torch.tensor([[[0.5, 0.3, 0.2]], [[1.0, 0.0, 0.0]], [[1 / 3] * 3]]).log()
    assert least_confidence(predicted).tolist() == pytest.approx([0.5, 0.0, 2 / 3])
    assert margin(predicted).tolist() == pytest.approx([0.8, 0.0, 1.0])
    by_hand = -(0.5 * math.log(0.5) + 0.3 * math.log(0.3) + 0.2 * math.log(0.2))
    assert entropy(predicted).tolist() == pytest.approx([by_hand, 0.0, math.log(3)], rel=1e-6)
    assert bald(predicted).tolist() == [0.0, 0.0, 0.0]


def test_scores_judge_the_average_prediction():
    """Two certain samples that disagree are as uncertain together as one undecided sample."""
    disagreeing = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]).log()
    undecided = torch.tensor([[[0.5, 0.5], [0.5, 0.5]]]).log()
    for score in (least_confidence, margin, entropy):
        torch.testing.assert_close(score(disagreeing), score(undecided))
    assert bald(disagreeing).item() == pytest.approx(math.log(2))
    assert bald(undecided).item() == 0


@pytest.mark.parametrize("score", SCORES)
def test_scores_are_float64_one_a_point_whatever_the_chunks(score):
    predicted = log_probs(23, 5, 4)
    whole = score(predicted)
    assert whole.shape == (23,)
    assert whole.dtype == torch.float64
    assert torch.equal(torch.cat([score(part) for part in predicted.split(7)]), whole)


def test_a_tie_does_not_hide_a_sample_that_is_nan():
    """A sample with two best classes has a vote too many, one that is NaN has none."""
    predicted = torch.tensor([[[math.nan, -1.0, -2.0], [math.log(0.4), math.log(0.4), -1.6]]])
    assert variation_ratios(predicted).isnan().all()
    assert vote_entropy(predicted).isnan().all()


@pytest.mark.parametrize("score", SCORES)
def test_equal_predictions_have_bitwise_equal_scores(score):
    """Otherwise rounding, not the generator, would break their ties."""
    predicted = log_probs(1, 20, 7).expand(501, 20, 7).contiguous()
    assert len(score(predicted).unique()) == 1


def test_more_spread_beliefs_score_higher():
    """Discretised normals with means 5, 6, 9 and spreads 0.1, 4, 2 rank 1, 2, 0."""
    cells = torch.arange(10) + 0.0
    means, spreads = torch.tensor([5.0, 6.0, 9.0]), torch.tensor([0.1, 4.0, 2.0])
    shifts = torch.linspace(-1, 1, 9)  # the posterior samples, spread in proportion
    centers = means[:, None] + spreads[:, None] * shifts  # (3, K)
    logits = -0.5 * ((cells - centers[..., None]) / spreads[:, None, None].clamp_min(0.5)) ** 2
    predicted = logits.log_softmax(-1)
    for score in (least_confidence, margin, entropy):
        assert score(predicted).argsort(descending=True).tolist() == [1, 2, 0]


def test_needs_are_declared_on_the_function_and_seen_through_partial():
    assert needs_of(bald) == {SAMPLES}
    assert needs_of(functools.partial(functools.partial(bald))) == {SAMPLES}
    assert needs_of(entropy) == frozenset()

    @needs("samples", "features")
    def mine(predicted, scale=1.0):
        return scale * predicted.sum(dim=(1, 2))

    assert needs_of(functools.partial(mine, scale=2.0)) == {"samples", "features"}
