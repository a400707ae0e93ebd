"""Last-layer Laplace against the Hessian that autograd finds, and a trained network by Newton."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from labeled_points import labeled_points

from al_bench.models import laplace
from al_bench.models.laplace import LastLayerLaplace
from al_bench.models.networks.mlp import mlp


def problem(num_points, num_classes=3, width=4, seed=0):
    """A network with its labeled set."""
    torch.manual_seed(seed)
    network = mlp(input_shape=(5,), num_classes=num_classes, hidden=(width,), dropout=0.0)
    with torch.no_grad():
        network.output.weight.mul_(3)
    inputs = torch.randn(num_points, 5)
    return network.eval(), inputs, torch.randint(num_classes, (num_points,))


def hessian(network, inputs, labels):
    """Of the summed loss in the last layer's weights and bias, (C (D + 1), C (D + 1)) float64."""
    with torch.no_grad():
        features = network.body(network.prefix(inputs)).double()
    features = torch.cat([features, torch.ones(len(features), 1, dtype=torch.float64)], dim=1)
    output = network.output
    weights = torch.cat([output.weight, output.bias[:, None]], dim=1).detach().double()

    def loss(flat):
        return F.cross_entropy(features @ flat.view_as(weights).T, labels, reduction="sum")

    return torch.autograd.functional.hessian(loss, weights.flatten()), weights


def sampled_weights(network, inputs, labels, num_samples, prior_precision, seed=0):
    """Log-probabilities tell the weights up to a shift of all classes: differences of logits."""
    model = LastLayerLaplace(lambda **_: network, num_samples, prior_precision)
    generator = torch.Generator().manual_seed(seed)
    return model.posterior([network], labeled_points(inputs, labels), generator, torch.float32)


@pytest.mark.parametrize("num_points", [3, 40])  # by inner products of points, by weights
def test_samples_have_the_covariance_of_the_inverse_hessian(num_points):
    network, inputs, labels = problem(num_points)
    posterior = sampled_weights(network, inputs, labels, 4000, 0.5)
    matrix, _ = hessian(network, inputs, labels)
    covariance = (matrix + 0.5 * torch.eye(len(matrix), dtype=torch.float64)).inverse()
    seen = torch.randn(6, 5)
    features = posterior.features(seen).double()
    features = torch.cat([features, torch.ones(6, 1, dtype=torch.float64)], dim=1)
    blocks = covariance.view(3, 5, 3, 5)
    logit_covariance = torch.einsum("nh,chdg,mg->ncmd", features, blocks, features)
    # Difference of the logits of two classes, of every pair of points.
    pair = torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64)
    expected = torch.einsum("c,ncmd,d->nm", pair, logit_covariance, pair)
    log_probs = posterior.log_probs(seen).double()
    drawn = log_probs[:, :, 0] - log_probs[:, :, 1]  # (n, K)
    scale = expected.diagonal().sqrt()
    measured = torch.cov(drawn)
    assert ((measured - expected) / (scale[:, None] * scale)).abs().max() < 0.1
    mean = network(seen).detach().double() @ pair
    assert ((drawn.mean(dim=1) - mean) / scale).abs().max() < 5 / math.sqrt(4000)


@pytest.mark.parametrize("num_points", [1, 3, 12])
def test_the_root_of_the_covariance_is_exact(num_points):
    network, inputs, labels = problem(num_points)
    matrix, weights = hessian(network, inputs, labels)
    points = laplace.labeled_points(network, labeled_points(inputs, labels))
    eye = torch.eye(weights.numel(), dtype=torch.float64)
    root = laplace.FullSpectrum(points).spread(eye.view(*weights.shape, -1), 0.3)
    root = root.flatten(0, 1)
    expected = (matrix + 0.3 * eye).inverse()
    torch.testing.assert_close(root @ root.T, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(root, root.T)  # symmetric: unique


def test_kronecker_factors_are_exact_for_one_point():
    network, inputs, labels = problem(1)
    matrix, weights = hessian(network, inputs, labels)
    points = laplace.labeled_points(network, labeled_points(inputs, labels))
    eye = torch.eye(weights.numel(), dtype=torch.float64)
    root = laplace.KroneckerSpectrum(points).spread(eye.view(*weights.shape, -1), 0.3)
    root = root.flatten(0, 1)
    expected = (matrix + 0.3 * eye).inverse()
    torch.testing.assert_close(root @ root.T, expected, rtol=1e-5, atol=1e-6)


def test_kronecker_factors_are_the_expectations_of_the_factors(monkeypatch):
    network, inputs, labels = problem(30)
    points = laplace.labeled_points(network, labeled_points(inputs, labels))
    probs = network(inputs).detach().double().softmax(dim=1)
    features = network.body(network.prefix(inputs)).detach().double()
    features = torch.cat([features, torch.ones(30, 1, dtype=torch.float64)], dim=1)
    a = sum(torch.diag(p) - torch.outer(p, p) for p in probs)
    b = sum(torch.outer(z, z) for z in features) / 30
    eye = torch.eye(15, dtype=torch.float64)
    root = laplace.KroneckerSpectrum(points).spread(eye.view(3, 5, 15), 2.0).flatten(0, 1)
    expected = (torch.kron(a, b) + 2.0 * eye).inverse()
    torch.testing.assert_close(root @ root.T, expected, rtol=1e-5, atol=1e-6)
    monkeypatch.setattr(laplace, "FULL_LIMIT", 14)
    posterior = sampled_weights(network, inputs, labels, 3, 2.0)
    assert posterior.structure == "kronecker"
    assert posterior.log_probs(inputs).isfinite().all()


@pytest.mark.parametrize("num_points", [3, 40])
def test_the_chosen_prior_maximises_the_evidence(num_points):
    network, inputs, labels = problem(num_points)
    chosen = sampled_weights(network, inputs, labels, 2, None).prior_precision
    matrix, weights = hessian(network, inputs, labels)
    eye = torch.eye(len(matrix), dtype=torch.float64)

    def log_evidence(delta):
        fit = -0.5 * delta * weights.square().sum()
        return float(
            fit + 0.5 * len(matrix) * math.log(delta) - 0.5 * (matrix + delta * eye).logdet()
        )

    grid = torch.logspace(-4, 4, 801, dtype=torch.float64).tolist()
    best = max(grid, key=log_evidence)
    assert chosen == pytest.approx(best, rel=0.03)
    assert log_evidence(chosen) >= log_evidence(best) - 1e-9


def test_without_labels_samples_are_the_prior_around_the_network():
    network, inputs, labels = problem(0)
    posterior = sampled_weights(network, inputs, labels, 3000, None)
    assert posterior.prior_precision == 1.0
    seen = torch.randn(4, 5)
    log_probs = posterior.log_probs(seen).double()
    drawn = log_probs[:, :, 0] - log_probs[:, :, 2]
    features = posterior.features(seen).double()
    expected = 2 * (features.square().sum(dim=1) + 1)
    torch.testing.assert_close(drawn.var(dim=1), expected, rtol=0.15, atol=0)


def test_certain_predictions_carry_next_to_no_information():
    network, inputs, labels = problem(5)
    with torch.no_grad():
        network.output.weight.mul_(1000)
    posterior = sampled_weights(network, inputs, labels, 4, None)
    assert 1e-4 <= posterior.prior_precision <= 1e4
    assert posterior.log_probs(inputs).exp().sum(-1).isfinite().all()


def test_sample_k_depends_on_generator_and_k_alone():
    network, inputs, labels = problem(20)
    seen = torch.randn(7, 5)
    few = sampled_weights(network, inputs, labels, 20, None).log_probs(seen)
    many = sampled_weights(network, inputs, labels, 100, None).log_probs(seen)
    torch.testing.assert_close(many[:, :20], few)
    other = sampled_weights(network, inputs, labels, 20, None, seed=1).log_probs(seen)
    assert not torch.allclose(other, few)
    assert len({tuple(sample.flatten().tolist()) for sample in many.unbind(1)}) == 100


def test_a_network_that_predicts_nan_is_refused():
    from al_bench.errors import TrainingError

    network, inputs, labels = problem(4)
    with torch.no_grad():
        network.output.weight.fill_(math.nan)
    with pytest.raises(TrainingError, match="finite"):
        sampled_weights(network, inputs, labels, 4, None)


def test_impossible_settings_are_refused():
    from al_bench.errors import ConfigError

    for wrong in (0, -1.0, math.inf, math.nan, True):
        with pytest.raises(ConfigError, match="prior_precision"):
            LastLayerLaplace(partial(mlp), 4, wrong)
    with pytest.raises(ConfigError, match="num_samples"):
        LastLayerLaplace(partial(mlp), 0)


def fitted_problem(num_classes, width, seed=0):
    """A linear network that fits one label a class perfectly, with its labels and with others."""
    generator = torch.Generator().manual_seed(seed)
    centers = torch.randn(num_classes, width, generator=generator)
    labels = torch.arange(num_classes)
    inputs = centers + 0.8 * torch.randn(num_classes, width, generator=generator)
    others = torch.randint(num_classes, (600,), generator=generator)
    unseen = centers[others] + 0.8 * torch.randn(600, width, generator=generator)
    torch.manual_seed(seed)
    network = mlp(input_shape=(width,), num_classes=num_classes, hidden=(), dropout=0.0)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        F.cross_entropy(network(inputs), labels).backward()
        optimizer.step()
    return network.eval(), inputs, labels, unseen, others


def accuracy_and_loss(log_probs, labels):
    average = log_probs.double().exp().mean(dim=1)
    loss = -average.gather(1, labels[:, None]).clamp_min(1e-12).log().mean()
    return float((average.argmax(dim=1) == labels).double().mean()), float(loss)


@pytest.mark.slow
@pytest.mark.parametrize(("num_classes", "width"), [(5, 10), (40, 30)])
@pytest.mark.parametrize("full_limit", [laplace.FULL_LIMIT, 10])
def test_the_average_is_about_as_good_as_the_weights_where_few_labels_are_fitted(
    monkeypatch, num_classes, width, full_limit
):
    monkeypatch.setattr(laplace, "FULL_LIMIT", full_limit)
    network, inputs, labels, unseen, others = fitted_problem(num_classes, width)
    with torch.no_grad():
        own = accuracy_and_loss(network(unseen).log_softmax(1)[:, None], others)
    measured = {}
    for prior in laplace.PRIORS:
        model = LastLayerLaplace(lambda **_: network, 100, prior=prior)
        generator = torch.Generator().manual_seed(0)
        points = labeled_points(inputs, labels)
        posterior = model.posterior([network], points, generator, torch.float32)
        measured[prior] = accuracy_and_loss(posterior.log_probs(unseen), others)
        few = accuracy_and_loss(posterior.log_probs(unseen, 20), others)
        if prior == "labels":
            assert few[0] > own[0] - 0.07
            assert few[1] < own[1] + 0.3
    assert measured["labels"][0] > own[0] - 0.04
    assert measured["labels"][1] < own[1] + 0.25
    assert measured["evidence"][0] < own[0] - 0.03  # what the raised prior prevents
    if num_classes > 5:
        assert measured["evidence"][0] < 0.3 * own[0]


@pytest.mark.slow
def test_samples_lose_on_the_labels_what_their_gaussian_says_by_an_independent_draw():
    network, inputs, labels, *_ = fitted_problem(5, 10)
    model = LastLayerLaplace(lambda **_: network, 2)
    generator = torch.Generator().manual_seed(0)
    points = labeled_points(inputs, labels)
    chosen = model.posterior([network], points, generator, torch.float32).prior_precision
    matrix, weights = hessian(network, inputs, labels)
    features = torch.cat([inputs.double(), torch.ones(5, 1, dtype=torch.float64)], dim=1)
    eye = torch.eye(len(matrix), dtype=torch.float64)

    def excess(delta):
        """Beyond what half the effective parameters say, nats a label, from 20,000 draws."""
        covariance = (matrix + delta * eye).inverse()
        drawn = torch.distributions.MultivariateNormal(weights.flatten(), covariance)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            sampled = drawn.sample((20_000,)).view(-1, *weights.shape)
        logits = torch.einsum("nh,kch->nkc", features, sampled)
        own = F.cross_entropy(features @ weights.T, labels)
        lost = F.cross_entropy(logits.flatten(0, 1), labels.repeat_interleave(20_000)) - own
        effective = (matrix @ covariance).trace()
        return float(lost - effective / (2 * len(labels)))

    assert excess(chosen) == pytest.approx(0.02, abs=0.02)
    assert excess(chosen / 4) > 0.1


def test_the_prior_is_that_of_the_evidence_where_the_labels_speak():
    network, inputs, labels = problem(40)
    for prior in laplace.PRIORS:
        model = LastLayerLaplace(lambda **_: network, 2, prior=prior)
        generator = torch.Generator().manual_seed(0)
        posterior = model.posterior(
            [network], labeled_points(inputs, labels), generator, torch.float32
        )
        assert (
            posterior.prior_precision
            == sampled_weights(network, inputs, labels, 2, None).prior_precision
        )
    from al_bench.errors import ConfigError

    with pytest.raises(ConfigError, match=r"^prior=label is unknown.*'labels'"):
        LastLayerLaplace(lambda **_: network, 2, prior="label")
