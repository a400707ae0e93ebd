"""Fisher forms against exact information of a linear-Gaussian model, and correlations by halves."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau, spearmanr

from al_bench.information.last_layer import Points
from al_bench.studies.fisher import QUANTITIES, correlations, evidence_posterior, fisher_forms


def points(n, seed):
    generator = torch.Generator().manual_seed(seed)
    log_probs = torch.randn(n, 3, generator=generator).log_softmax(dim=1)
    return Points.of(log_probs, torch.randn(n, 4, generator=generator))


@pytest.fixture
def labeled():
    return points(7, seed=0)


@pytest.fixture
def last_layer():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, 4, generator=generator), torch.randn(3, generator=generator)


def matrix_of(some):
    """X of all points side by side, (C H, n C): y = Xᵀ w + ε is the linear-Gaussian model."""
    return some.columns.flatten(0, 1)


def log_det(matrix):
    return float(torch.linalg.slogdet(matrix).logabsdet)


def information(one, other):
    """I[y; y*] of y = Xᵀ w + ε and y* = X*ᵀ w + ε* in nats, from their joint covariance."""
    both = torch.cat([one, other], dim=0)
    joint = both @ both.T + torch.eye(len(both))
    n = len(one)
    return 0.5 * (log_det(joint[:n, :n]) + log_det(joint[n:, n:]) - log_det(joint))


def test_forms_are_exact_information_of_a_linear_gaussian_model(labeled, last_layer):
    torch.set_default_dtype(torch.float64)
    try:
        posterior, precision = evidence_posterior(labeled, *last_layer)
        pool, targets = points(5, seed=2), points(6, seed=3)
        found = fisher_forms(pool, targets, posterior)
        x = matrix_of(labeled)
        covariance = torch.linalg.inv(precision * torch.eye(len(x)) + x @ x.T)
        root = torch.linalg.cholesky(covariance)
        seen = matrix_of(targets)
        fisher = seen @ seen.T
        for i in range(5):
            own = matrix_of(pool.at(slice(i, i + 1)))
            y = own.T @ root  # y is this times standard normal weights, and noise
            gain = 0.5 * log_det(y @ y.T + torch.eye(3))  # H[Y] - H[Y | w]
            assert float(found["eig_logdet"][i]) == pytest.approx(gain)
            jepig = information(y, seen.T @ root)
            assert float(found["jepig_logdet"][i]) == pytest.approx(jepig)
            epig = information(y, seen.T @ root / math.sqrt(6))
            assert float(found["epig_logdet"][i]) == pytest.approx(epig)
            after = torch.linalg.inv(torch.linalg.inv(covariance) + own @ own.T)
            trace = 0.5 * float(torch.trace(fisher @ (covariance - after)))
            assert float(found["jepig_trace"][i]) == pytest.approx(trace)
            assert float(found["epig_trace"][i]) == pytest.approx(trace / 6)
            spread = 0.5 * float(torch.trace(own.T @ covariance @ own))
            assert float(found["eig_trace"][i]) == pytest.approx(spread)
    finally:
        torch.set_default_dtype(torch.float32)


def test_the_prior_is_the_one_of_the_highest_evidence(labeled, last_layer):
    weight, bias = last_layer
    _, precision = evidence_posterior(labeled, weight, bias)
    x = matrix_of(labeled)
    norm = float(weight.double().square().sum() + bias.double().square().sum())

    def evidence(delta):
        eye = torch.eye(len(x), dtype=torch.float64)
        return 0.5 * (len(x) * math.log(delta) - delta * norm - log_det(x @ x.T + delta * eye))

    best = evidence(precision)
    assert all(evidence(precision * factor) < best for factor in (0.5, 0.9, 1.1, 2.0))


@pytest.mark.slow
def test_correlations_are_over_all_points_and_over_the_upper_half_of_each_row():
    generator = np.random.default_rng(0)
    values = {name: generator.normal(size=11) for name in QUANTITIES}
    rows = list(correlations({name: torch.from_numpy(one) for name, one in values.items()}))
    assert len(rows) == 2 * 2 * len(QUANTITIES) ** 2
    by_key = {
        (row["measure"], row["among"], row["quantity"], row["other"]): row["correlation"]
        for row in rows
    }
    bald, epig = values["bald"], values["epig_trace"]
    upper = np.argsort(bald)[5:]
    for measure, of in (("spearman", spearmanr), ("kendall", kendalltau)):
        whole = of(bald, epig).statistic
        assert by_key[measure, "all", "bald", "epig_trace"] == pytest.approx(whole)
        half = of(bald[upper], epig[upper]).statistic
        assert by_key[measure, "upper_half", "bald", "epig_trace"] == pytest.approx(half)
