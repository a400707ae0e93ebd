"""Information density against its formula, over all pairs in float64."""

import pytest
import torch
from pool_views import FakeView, log_probs, seeded

from al_bench.errors import ConfigError
from al_bench.models.base import FEATURES, SAMPLES
from al_bench.strategies.information_density import InformationDensity, information_density
from al_bench.strategies.rules import Power, TopB
from al_bench.strategies.scores import bald, entropy
from al_bench.strategies.spaces import Inputs, LastLayer


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.5])
def test_scores_are_uncertainty_times_mean_similarity_to_the_power_of_beta(beta):
    embedding = torch.randn(30, 4, generator=seeded(0)) + torch.tensor([1.0, 0.0, 0.0, 0.0])
    view = FakeView(log_probs(30, 5, 3), embedding)
    points = embedding.double()
    similarity = torch.nn.functional.cosine_similarity(points[:, None], points[None], dim=2)
    density = similarity.mean(dim=1)
    assert (density < 0).any()  # counts as 0
    expected = entropy(view.given) * density.clamp_min(0) ** beta
    scores = InformationDensity(entropy, LastLayer(), beta).of_pool(view, None)
    assert scores.dtype == torch.float64
    assert torch.allclose(scores, expected, atol=1e-6)
    best = information_density(entropy, LastLayer(), TopB(), beta).select(view, 5, seeded(0))
    assert torch.equal(best.positions, expected.argsort(descending=True)[:5])


def test_point_at_the_origin_is_like_nothing():
    embedding = torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    view = FakeView(log_probs(3, 2, 3), embedding)
    scores = InformationDensity(entropy, LastLayer()).of_pool(view, None)
    assert torch.allclose(scores, entropy(view.given) * torch.tensor([0.0, 2 / 3, 2 / 3]))


def test_needs_are_those_of_score_and_space():
    assert InformationDensity(bald, LastLayer()).needs == {SAMPLES, FEATURES}
    assert information_density(bald, Inputs(), Power()).needs == {SAMPLES}


def test_negative_beta_is_refused():
    with pytest.raises(ConfigError, match=r"^beta must"):
        InformationDensity(entropy, LastLayer(), -1.0)
