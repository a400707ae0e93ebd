"""SNGP against a dense Gaussian process on the same random features, and autograd's Hessian."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from labeled_points import labeled_points

from al_bench.errors import ConfigError, TrainingError
from al_bench.models.networks.mlp import mlp
from al_bench.models.sngp import SNGP, precisions

FLOAT32 = torch.float32
WIDTH = 7


def model_of(num_samples=2, num_features=30, ridge=0.5, length_scale=1.0, network=None):
    network = network or partial(mlp, hidden=(WIDTH,), dropout=0.0)
    return SNGP(network, num_samples, num_features, length_scale, ridge)


def problem(num_points, model, num_classes=3, seed=0):
    """A network with confident predictions, and its labeled set."""
    torch.manual_seed(seed)
    network = model.build((5,), num_classes).eval()
    with torch.no_grad():
        network.output.weight.mul_(8)
    inputs = torch.randn(num_points, 5)
    return network, inputs, torch.randint(num_classes, (num_points,))


def fitted(model, network, inputs, labels, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return model.posterior([network], labeled_points(inputs, labels), generator, FLOAT32)


def random_features(network, inputs):
    with torch.no_grad():
        return network.body(network.prefix(inputs)).double()


def dense_covariances(network, inputs, seen, ridge):
    """Of the logits of ``seen`` (n, n), a class each, in function space: no matrix is M × M.

    The prior is a Gaussian process with the kernel φᵀφ' / (D ridge); each labeled point is a
    Gaussian observation of class c's logit with the variance 1 / (p (1 - p)) (Rasmussen and
    Williams 2006, equations 2.26 and 3.24).
    """
    there, here = random_features(network, inputs), random_features(network, seen)
    probs = (there @ network.output.weight.detach().double().T).softmax(dim=1)
    precision = WIDTH * ridge
    kernel = there @ there.T / precision
    cross, prior = here @ there.T / precision, here @ here.T / precision
    return [
        prior - cross @ torch.linalg.solve(kernel + torch.diag(1 / (p * (1 - p))), cross.T)
        for p in probs.T
    ]


@pytest.mark.parametrize("num_points", [1, 6, 50])  # fewer and more than random features
def test_precisions_are_the_hessian_of_each_class(num_points):
    network, inputs, labels = problem(num_points, model_of())
    features = random_features(network, inputs)
    weights = network.output.weight.detach().double()
    found = precisions(network, labeled_points(inputs, labels), 0.5)
    for c in range(3):
        own = weights[c].clone().requires_grad_()
        moved = torch.cat([weights[:c], own[None], weights[c + 1 :]])
        loss = F.cross_entropy(features @ moved.T, labels, reduction="sum")
        loss = loss + 0.25 * (own - weights[c]).square().sum()
        (slope,) = torch.autograd.grad(loss, own, create_graph=True)
        rows = [torch.autograd.grad(one, own, retain_graph=True)[0] for one in slope]
        expected = torch.stack(rows)
        torch.testing.assert_close(found[c], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("num_points", [0, 1, 6, 50])
def test_mean_field_logits_have_the_variance_of_the_dense_process(num_points):
    model = model_of()
    network, inputs, labels = problem(num_points, model)
    posterior = fitted(model, network, inputs, labels)
    seen = torch.cat([inputs[:2], torch.randn(6, 5)])
    covariances = dense_covariances(network, inputs, seen, model.ridge)
    variance = torch.stack([one.diagonal() for one in covariances], dim=1)
    mean = network(seen).detach().double()
    expected = mean / (1 + math.pi * variance / 8).sqrt()
    torch.testing.assert_close(posterior.logits(seen).double(), expected, rtol=2e-6, atol=2e-6)
    assert posterior.logits(seen).dtype == FLOAT32
    if num_points == 0:
        squares = random_features(network, seen).square().sum(dim=1) / (WIDTH * model.ridge)
        torch.testing.assert_close(variance, squares[:, None].expand(-1, 3))


@pytest.mark.parametrize("num_points", [4, 50])
def test_samples_have_the_covariance_of_the_dense_process(num_points):
    model = model_of(num_samples=4000)
    network, inputs, labels = problem(num_points, model)
    seen = torch.randn(5, 5)
    log_probs = fitted(model, network, inputs, labels).log_probs(seen).double()
    covariances = dense_covariances(network, inputs, seen, model.ridge)
    # Log-probabilities tell logits up to a shift of all classes: their differences.
    first, second = (log_probs[:, :, 0] - log_probs[:, :, c] for c in (1, 2))
    scale = (covariances[0] + covariances[1]).diagonal().sqrt()
    scales = scale[:, None] * scale
    within = torch.cov(first)
    assert ((within - covariances[0] - covariances[1]) / scales).abs().max() < 0.1
    across = torch.cov(torch.cat([first, second]))[:5, 5:]  # of classes drawn independently
    assert ((across - covariances[0]) / scales).abs().max() < 0.1
    mean = network(seen).detach().double()
    off = (first.mean(dim=1) - mean[:, 0] + mean[:, 1]) / scale
    assert off.abs().max() < 5 / math.sqrt(4000)


def test_mean_field_probabilities_are_about_the_average_of_samples():
    model = model_of(num_samples=4000, ridge=0.2)
    network, inputs, labels = problem(12, model)
    posterior = fitted(model, network, inputs, labels)
    seen = torch.randn(40, 5)
    average = posterior.log_probs(seen).exp().mean(dim=1)
    mean_field = posterior.logits(seen).softmax(dim=1)
    trained = network(seen).detach().softmax(dim=1)
    assert (mean_field - average).abs().max() < 0.08
    assert (mean_field - average).abs().mean() < 0.5 * (trained - average).abs().mean()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 20), st.integers(1, 5), st.floats(0.01, 100.0), st.integers(0, 100))
def test_a_label_more_makes_no_logit_less_certain(num_points, more, ridge, seed):
    model = model_of(ridge=ridge)
    network, inputs, labels = problem(num_points + more, model, seed=seed)
    fewer, all_labels = (
        fitted(model, network, inputs[:count], labels[:count])
        for count in (num_points, num_points + more)
    )
    seen = torch.randn(7, 5)
    before, after = fewer.logits(seen), all_labels.logits(seen)
    assert (after.abs() >= before.abs() * (1 - 1e-5)).all()
    assert torch.equal(before.sign(), after.sign())


def test_sample_k_depends_on_generator_and_k_alone():
    few, many = (model_of(num_samples=count) for count in (20, 100))
    network, inputs, labels = problem(9, few)
    seen = torch.randn(11, 5)
    posterior = fitted(many, network, inputs, labels)
    log_probs = posterior.log_probs(seen)
    assert torch.equal(fitted(many, network, inputs, labels).log_probs(seen), log_probs)
    fewer = fitted(few, network, inputs, labels).log_probs(seen)
    torch.testing.assert_close(log_probs[:, :20], fewer)
    torch.testing.assert_close(posterior.log_probs(seen, 20), fewer)
    chunks = [posterior.log_probs(part) for part in seen.split([1, 7, 3])]
    torch.testing.assert_close(torch.cat(chunks), log_probs)
    other = fitted(few, network, inputs, labels, seed=1).log_probs(seen)
    assert not torch.allclose(other, fewer)
    assert len({tuple(sample.flatten().tolist()) for sample in log_probs.unbind(1)}) == 100


def test_what_cannot_be_is_refused():
    network = partial(mlp, hidden=(7,))
    for wrong in (0, -3, 2.5, True):
        with pytest.raises(ConfigError, match=r"^num_features must be a whole number from 1"):
            SNGP(network, num_features=wrong)
    for name in ("ridge", "length_scale"):
        for wrong in (0, -1.0, math.inf, math.nan, True):
            with pytest.raises(ConfigError, match=f"^{name} must be a number above 0"):
                SNGP(network, **{name: wrong})
    with pytest.raises(ConfigError, match=r"^num_samples must be"):
        SNGP(network, 0)
    with pytest.raises(ConfigError, match=r"at least 2 features, got 1: .* wider\.$"):
        SNGP(partial(mlp, hidden=(1,))).check((5,), 3)
    model = model_of()
    trained, inputs, labels = problem(4, model)
    with torch.no_grad():
        trained.output.weight.fill_(math.nan)
    with pytest.raises(TrainingError, match="finite"):
        fitted(model, trained, inputs, labels)
