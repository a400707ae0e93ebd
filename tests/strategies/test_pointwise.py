"""A score and a batch rule are a strategy."""

import functools

import pytest
import torch
from pool_views import FakeView, log_probs, seeded

from al_bench.errors import ConfigError
from al_bench.strategies.pointwise import Pointwise
from al_bench.strategies.rules import Power, TopB
from al_bench.strategies.scores import bald, entropy


def test_scores_returned_are_those_of_the_picks_before_any_noise():
    view = FakeView(log_probs(20, 6, 4))
    selection = Pointwise(bald, Power()).select(view, 5, seeded(0))
    assert torch.equal(selection.scores, bald(view.given)[selection.positions])
    assert selection.notes == {}


def test_top_b_of_a_score_is_its_ranking():
    view = FakeView(log_probs(20, 6, 4))
    picks = Pointwise(entropy, TopB()).select(view, 20, seeded(0)).positions
    assert torch.equal(picks, entropy(view.given).argsort(descending=True))


def test_needs_are_those_of_the_score():
    assert Pointwise(functools.partial(bald), TopB()).needs == {"samples"}
    assert Pointwise(entropy, Power()).needs == frozenset()


def test_a_pool_of_equal_scores_is_noted_as_a_random_batch():
    view = FakeView(torch.full((5, 3, 4), 0.25).log())
    selection = Pointwise(entropy, TopB()).select(view, 2, seeded(0))
    assert selection.notes == {"fell_back": "random"}


@pytest.mark.parametrize("num_samples", [0, 1.5, "3", False])
def test_numbers_of_samples_that_make_no_sense_are_refused(num_samples):
    with pytest.raises(ConfigError, match=r"^num_samples must be a whole number from 1"):
        Pointwise(bald, TopB(), num_samples)
