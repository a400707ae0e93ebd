"""Scores from gradient lengths against gradients by automatic differentiation."""

import math

import pytest
import torch
from pool_views import FakeView, log_probs, seeded

from al_bench.errors import ConfigError
from al_bench.strategies.gradient_scores import ExpectedGradientLength, GraNd, el2n
from al_bench.strategies.last_layer import label_errors, pseudo_label_errors
from al_bench.strategies.pointwise import Pointwise
from al_bench.strategies.rules import TopB
from al_bench.strategies.scores import bald
from al_bench.strategies.weighted import Weighted

CERTAIN = torch.eye(3)[[0, 1, 2, 0]][:, None].log()


def gradient_length(log_p, h, label):
    """|∂ -log softmax(W h)_label / ∂ W| at a W that predicts exp(log_p), differentiated."""
    weights = torch.outer(log_p, h / h.square().sum()).requires_grad_()
    (-(weights @ h).log_softmax(dim=0)[label]).backward()
    return float(weights.grad.norm())


@pytest.mark.parametrize(("num_classes", "dim", "scale"), [(4, 5, 1.5), (2, 3, 6.0), (10, 1, 3.0)])
def test_lengths_are_those_of_differentiated_gradients(num_classes, dim, scale):
    given = log_probs(12, 3, num_classes, scale=scale)
    view = FakeView(given, torch.randn(12, dim, generator=seeded(1)))
    factors = view.gradient_factors()
    expected, pseudo = [], []
    for log_p, h in zip(factors.log_probs.double(), factors.features.double(), strict=True):
        lengths = [gradient_length(log_p, h, label) for label in range(num_classes)]
        expected.append(sum(p * n for p, n in zip(log_p.exp().tolist(), lengths, strict=True)))
        pseudo.append(lengths[int(log_p.argmax())])
    assert ExpectedGradientLength().of_pool(view, None).tolist() == pytest.approx(expected, 1e-5)
    assert GraNd().of_pool(view, None).tolist() == pytest.approx(pseudo, 1e-5)


def test_two_classes_by_hand():
    """p = (0.8, 0.2), h = (3, 4): lengths are √2 · 0.2 · 5 and √2 · 0.8 · 5."""
    view = FakeView(torch.tensor([[[0.8, 0.2]]]).log(), torch.tensor([[3.0, 4.0]]))
    expected = math.sqrt(2) * 5 * (0.8 * 0.2 + 0.2 * 0.8)
    assert ExpectedGradientLength().of_pool(view, None).item() == pytest.approx(expected, 1e-6)
    assert GraNd().of_pool(view, None).item() == pytest.approx(math.sqrt(2), 1e-6)
    assert el2n(view.given).item() == pytest.approx(math.sqrt(2) * 0.2, 1e-6)


@pytest.mark.parametrize("num_samples", [1, 5])
def test_el2n_is_the_mean_error_norm_for_the_most_probable_class(num_samples):
    given = log_probs(9, num_samples, 4)
    expected = []
    for point in given.double().exp():
        label = int(point.mean(dim=0).argmax())
        target = torch.eye(4, dtype=torch.float64)[label]
        expected.append(float((point - target).square().sum(dim=1).sqrt().mean()))
    assert el2n(given).tolist() == pytest.approx(expected, 1e-6)


def test_certain_predictions_have_no_gradient():
    view = FakeView(CERTAIN)
    for score in (ExpectedGradientLength(), GraNd()):
        assert score.of_pool(view, None).tolist() == [0, 0, 0, 0]
    assert el2n(CERTAIN).tolist() == [0, 0, 0, 0]
    assert el2n(torch.eye(2).log()[None]).item() == pytest.approx(math.sqrt(2) / 2)


def test_nearly_certain_predictions_are_told_apart():
    """1 - p_ŷ = 10^-12 and 2 · 10^-12, below float32's resolution at 1."""
    small = torch.tensor([1e-12, 2e-12], dtype=torch.float64)
    log_p = torch.stack([torch.log1p(-small), small.log()], dim=1).float()
    view = FakeView(log_p[:, None], torch.ones(2, 1))
    view.gradient_factors = lambda: type(FakeView.gradient_factors(view))(log_p, torch.ones(2, 1))
    for score, factor in ((ExpectedGradientLength(), 2.0), (GraNd(), 1.0)):
        expected = (factor * math.sqrt(2) * small).tolist()
        assert score.of_pool(view, None).tolist() == pytest.approx(expected, 1e-5)
    assert el2n(log_p[:, None]).tolist() == pytest.approx((math.sqrt(2) * small).tolist(), 1e-5)


@pytest.mark.parametrize("gap", [8.0, 12.0, 15.0, 16.0, 17.0, 20.0, 40.0])
def test_confident_networks_have_errors_to_rounding(gap):
    """Float32 logits of a trained network: log p of the label is 0 or one of few numbers."""
    logits = torch.tensor([[gap, *[0.0] * 9], [gap, math.log(4), *[-40.0] * 8]])
    log_p, exact = logits.log_softmax(dim=1), logits.double().softmax(dim=1)
    others = exact[:, 1:]
    norms = (others.sum(dim=1).square() + others.square().sum(dim=1)).sqrt()
    labels = torch.zeros(2, dtype=torch.int64)
    errors = label_errors(log_p, labels)
    assert errors.norm(dim=1).tolist() == pytest.approx(norms.tolist(), 1e-5)
    assert torch.equal(pseudo_label_errors(log_p), errors)
    assert el2n(log_p[:, None]).tolist() == pytest.approx(norms.tolist(), 1e-5)
    lengths = exact[:, 0] * norms
    for y in range(1, 10):
        rest = exact.clone()
        rest[:, y] -= 1
        lengths += exact[:, y] * rest.norm(dim=1)
    view = FakeView(log_p[:, None], torch.ones(2, 1))
    view.gradient_factors = lambda: type(FakeView.gradient_factors(view))(log_p, torch.ones(2, 1))
    found = ExpectedGradientLength().of_pool(view, None).tolist()
    assert found == pytest.approx(lengths.tolist(), 1e-5)


def test_gradients_are_not_those_of_posterior_samples():
    for score in (ExpectedGradientLength(), GraNd(), Weighted({"a": bald, "b": GraNd()})):
        with pytest.raises(ConfigError, match=r"^num_samples=2 takes .* gradients are those of"):
            Pointwise(score, TopB(), num_samples=2)
