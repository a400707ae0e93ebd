"""The density of features against scipy and a transcription in numpy, float64."""

import json
import math

import numpy as np
import pytest
import torch
from labeled_points import labeled_points
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from al_bench.errors import TrainingError
from al_bench.models.ddu import DDU
from al_bench.models.density import COVARIANCES, JITTERS, fit_density
from al_bench.models.networks.mlp import mlp
from al_bench.running import notebook
from al_bench.training.trainer import fit_one


def problem(counts, size=4, seed=0):
    """Features (M, D) with labels, so many of each class in no order, and features to look at."""
    drawn = np.random.default_rng(seed)
    labels = drawn.permutation(np.repeat(np.arange(len(counts)), counts))
    centers = 3 * drawn.normal(size=(len(counts), size))
    spread = drawn.normal(size=(len(counts), size, size))
    noise = drawn.normal(size=(len(labels), size))
    features = centers[labels] + np.einsum("md,mde->me", noise, spread[labels])
    return features, labels, 4 * drawn.normal(size=(30, size))


def covariances_of(features, labels, counts, covariance):
    """Covariances class by class, of those with labels, and whether no jitter may be needed."""
    known = [c for c in range(len(counts)) if counts[c]]
    parts = {c: features[labels == c] for c in known}
    if covariance == "shared":
        centered = np.concatenate([parts[c] - parts[c].mean(axis=0) for c in known])
        freedom = len(features) - len(known)
        pooled = centered.T @ centered / max(1, freedom)
        return [pooled] * len(known), freedom >= features.shape[1]
    own = {c: np.cov(parts[c].T) for c in known if counts[c] > 1}
    mean = np.mean(list(own.values()), axis=0) if own else np.zeros(2 * features.shape[1:])
    full = all(counts[c] > features.shape[1] for c in known)
    return [own.get(c, mean) for c in known], full


def expected_log_density(features, labels, counts, covariance, seen):
    """Log density and jitter by trying jitters one after the other, class by class."""
    known = [c for c in range(len(counts)) if counts[c]]
    covariances, full = covariances_of(features, labels, counts, covariance)
    scale = features.var(axis=0).mean() or 1.0
    eye = np.eye(features.shape[1])
    for jitter in [0.0, *JITTERS] if full else JITTERS:
        try:
            raised = [one + jitter * scale * eye for one in covariances]
            factors = [np.linalg.cholesky(one) for one in raised]
        except np.linalg.LinAlgError:
            continue
        break
    parts = []
    for c, factor in zip(known, factors, strict=True):
        away = np.linalg.solve(factor, (seen - features[labels == c].mean(axis=0)).T)
        log_det = 2 * np.log(np.diag(factor)).sum()
        distance = (away**2).sum(axis=0)
        normal = -0.5 * (len(eye) * math.log(2 * math.pi) + log_det + distance)
        parts.append(math.log(counts[c] / len(features)) + normal)
    return logsumexp(parts, axis=0), jitter


def fitted(features, labels, counts, covariance):
    return fit_density(
        torch.from_numpy(features), torch.from_numpy(labels), len(counts), covariance
    )


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_with_labels_enough_it_is_the_mixture_of_scipy(covariance):
    counts = (9, 30, 14)
    features, labels, seen = problem(counts)
    density = fitted(features, labels, counts, covariance)
    covariances, _ = covariances_of(features, labels, counts, covariance)
    parts = [
        math.log(counts[c] / len(labels))
        + multivariate_normal(features[labels == c].mean(axis=0), covariances[c]).logpdf(seen)
        for c in range(3)
    ]
    found = density.log_density(torch.from_numpy(seen)).numpy()
    np.testing.assert_allclose(found, logsumexp(parts, axis=0), rtol=1e-10)
    assert density.notes == {"density_jitter": 0.0}


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize(
    "counts",
    [
        (5, 5, 5),
        (4, 9, 9),
        (3, 2, 4),
        (1, 6, 8),
        (1, 1, 7),
        (0, 3, 2),
        (0, 0, 5),
        (9, 0, 1),
        (1, 1),
    ],
)
def test_with_few_labels_it_is_the_mixture_with_the_first_jitter_that_serves(counts, covariance):
    features, labels, seen = problem(counts)
    density = fitted(features, labels, counts, covariance)
    expected, jitter = expected_log_density(features, labels, counts, covariance, seen)
    assert density.notes["density_jitter"] == jitter
    found = density.log_density(torch.from_numpy(seen)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3 if jitter else 1e-10)
    order, other = found.argsort(), expected.argsort()
    assert order.tolist() == other.tolist()


@pytest.mark.parametrize(("counts", "jitter"), [((5, 5), 0.0), ((4, 50), 1e-12)])
def test_no_jitter_is_tried_only_where_every_class_has_more_labels_than_features(counts, jitter):
    features, labels, _ = problem(counts)
    assert fitted(features, labels, counts, "class").notes["density_jitter"] == jitter


def test_one_jitter_serves_all_classes():
    features, labels, seen = problem((40, 40))
    features[labels == 1, 0] = 0.5  # no variance in one direction of one class
    density = fitted(features, labels, (40, 40), "class")
    assert density.notes["density_jitter"] == 1e-12
    variance = np.cov(features[labels == 0].T) + 1e-12 * features.var(axis=0).mean() * np.eye(4)
    factor = density.factors[0].numpy()
    np.testing.assert_allclose(factor @ factor.T, variance, rtol=1e-12)
    assert np.isfinite(density.log_density(torch.from_numpy(seen)).numpy()).all()


def test_classes_with_one_label_and_without_any_are_noted():
    features, labels, seen = problem((1, 6, 0, 8, 0))
    density = fitted(features, labels, (1, 6, 0, 8, 0), "class")
    told = {name: count for name, count in density.notes.items() if name != "density_jitter"}
    assert told == {"density_classes_with_one_label": 1, "density_classes_without_labels": 2}
    assert density.means.shape == (3, 4)
    shared = fitted(features, labels, (1, 6, 0, 8, 0), "shared")
    assert "density_classes_with_one_label" not in shared.notes
    single = torch.from_numpy(features[labels == 0])
    assert density.log_density(single) > density.log_density(torch.from_numpy(seen)).max()


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_a_hundred_quadrillion_nats_are_a_number(covariance):
    features, labels, seen = problem((2, 2), size=6)
    density = fitted(features, labels, (2, 2), covariance)
    far = density.log_density(torch.from_numpy(1e3 * seen))
    assert bool(far.isfinite().all())
    assert float(far.median()) < -1e16
    assert len(far.unique()) == len(far)  # none is a tie


def test_one_label_a_class_ranks_by_the_distance_to_the_nearest():
    features, labels, seen = problem((1, 1, 1))
    density = fitted(features, labels, (1, 1, 1), "class")
    distances = np.linalg.norm(seen[:, None] - features, axis=2).min(axis=1)
    found = density.log_density(torch.from_numpy(seen)).numpy()
    assert found.argsort().tolist() == (-distances).argsort().tolist()


def test_without_labels_it_says_nothing():
    density = fit_density(torch.empty(0, 3), torch.empty(0, dtype=torch.int64), 4, "class")
    assert density.log_density(torch.randn(5, 3)).tolist() == [0.0] * 5
    assert density.notes == {"density_classes_without_labels": 4}


def test_equal_features_are_no_reason_to_fail():
    density = fit_density(torch.ones(6, 3), torch.tensor([0, 1, 0, 1, 1, 0]), 2, "shared")
    assert density.notes["density_jitter"] == 1e-12
    inside, outside = density.log_density(torch.tensor([[1.0, 1, 1], [1.1, 1, 1]]))
    assert inside > outside


def test_features_that_are_no_numbers_are_refused():
    features = torch.randn(6, 3)
    features[2, 1] = torch.nan
    with pytest.raises(TrainingError, match="features of the labeled set are not finite"):
        fit_density(features, torch.tensor([0, 1, 0, 1, 1, 0]), 2, "class")


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_a_posterior_has_the_density_of_its_own_features(covariance):
    torch.manual_seed(0)
    model = DDU(mlp, covariance)
    network = model.build((1, 8, 8), 3)
    inputs, labels = torch.randn(40, 1, 8, 8), torch.arange(40) % 3
    points = labeled_points(inputs, labels)
    seen = torch.randn(9, 1, 8, 8)
    for precision in (torch.float32, torch.bfloat16):
        posterior = model.posterior([network], points, torch.Generator(), precision)
        network.eval()
        features = network.body(network.prefix(inputs)).detach()
        density = fit_density(features, labels, 3, covariance)
        expected = density.log_density(network.body(network.prefix(seen)).detach())
        torch.testing.assert_close(posterior.log_density(seen), expected, rtol=1e-4, atol=0)
        assert posterior.notes == density.notes
        assert posterior.log_density(seen).dtype == torch.float64


@pytest.mark.slow
def test_the_strategy_buys_the_least_dense_and_every_round_has_the_notes(tmp_path):
    words = ("dataset=digits", "pool=[subset]", "pool.subset.size=200", "training.max_epochs=2")
    words += ("model=ddu", "model/network=ddu_resnet8", "strategy=ddu", "seeds=1")
    words += ("budget.total=30", "budget.batch_size=5")
    (trial,) = notebook.trials(*words)
    curves = notebook.run(*words, f"results={tmp_path}")
    notes = [json.loads(row) for row in curves["notes"]]
    assert len(notes) == 3  # the last round, which buys nothing, has them too
    assert all(1e-12 <= note["density_jitter"] <= 0.1 for note in notes)
    posterior = fit_one(trial).posterior
    view = trial.view(posterior, trial.run.strategy)
    picks = trial.run.strategy.select(view, 5, torch.Generator().manual_seed(0)).positions
    assert picks.tolist() == view.log_density().argsort()[:5].tolist()
    assert view.logits().shape == (len(view), 10)
