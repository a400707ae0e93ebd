"""BAIT against its published form: explicit p × p matrices, inverted anew for every candidate."""

import collections
import itertools

import pytest
import torch
from pool_views import FakeView, log_probs, seeded
from scipy.stats import chisquare

from al_bench.errors import ConfigError
from al_bench.strategies.bait import Bait


def fisher_information(factors):
    """(n, p, p): the expectation over labels of outer products of gradients."""
    total = []
    for log_p, h in zip(factors.log_probs.double(), factors.features.double(), strict=True):
        p = log_p.exp()
        information = 0.0
        for label in range(len(p)):
            gradient = torch.outer(p - torch.eye(len(p), dtype=torch.float64)[label], h).flatten()
            information = information + p[label] * torch.outer(gradient, gradient)
        total.append(information)
    return torch.stack(total)


def naive(view, batch_size, regularization=1.0, oversampling=2):
    """Forward and backward greedy selection; (picks, scores, objective)."""
    pool = fisher_information(view.gradient_factors())
    size = pool.shape[1]
    labeled = torch.zeros(0, size, size, dtype=torch.float64)
    if view.num_labeled:
        labeled = fisher_information(view.labeled_gradient_factors())
    target = torch.cat([pool, labeled]).mean(dim=0)
    seen = len(labeled) / (len(labeled) + batch_size)
    start = regularization * torch.eye(size, dtype=torch.float64)
    if len(labeled):
        start = start + seen * labeled.mean(dim=0)

    def objective(batch):
        matrix = start + (1 - seen) * sum(pool[i] for i in batch)
        return float(torch.trace(torch.linalg.solve(matrix, target)))

    batch, scores, value = [], {}, float(torch.trace(torch.linalg.solve(start, target)))
    for _ in range(min(oversampling * batch_size, len(pool))):
        left = [i for i in range(len(pool)) if i not in batch]
        best = min(left, key=lambda i: objective([*batch, i]))
        batch.append(best)
        scores[best] = value - objective(batch)
        value = objective(batch)
    while len(batch) > batch_size:
        batch.remove(min(batch, key=lambda i: objective([j for j in batch if j != i])))
    return batch, [scores[i] for i in batch], objective(batch)


@pytest.mark.parametrize(
    ("num_points", "num_classes", "dim", "num_labeled", "batch_size", "regularization"),
    [
        (14, 3, 4, 4, 4, 1.0),
        (12, 2, 3, 1, 3, 0.01),
        (10, 4, 2, 0, 5, 1.0),
        (9, 3, 5, 20, 1, 0.001),
        (6, 3, 2, 4, 6, 0.1),
    ],
)
def test_same_picks_as_the_published_form(
    num_points, num_classes, dim, num_labeled, batch_size, regularization
):
    embedding = torch.randn(num_points, dim, generator=seeded(batch_size))
    view = FakeView(log_probs(num_points, 2, num_classes), embedding, num_labeled)
    picks, scores, objective = naive(view, batch_size, regularization)
    for seed in range(3):
        batch = Bait(regularization=regularization).select(view, batch_size, seeded(seed))
        assert batch.positions.tolist() == picks
        assert batch.scores.tolist() == pytest.approx(scores, rel=1e-6)
        assert batch.notes["objective"] == pytest.approx(objective, rel=1e-7)


@pytest.mark.parametrize(("length", "regularization"), [(80.0, 1e-4), (300.0, 1e-3), (30.0, 1e-5)])
@pytest.mark.parametrize("confidence", [1.0, 5.0])
def test_long_features_beside_a_small_prior_cost_no_digits(length, regularization, confidence):
    """Alone in its direction a point has 10⁷ to 10⁸ times the information that λ leaves there."""
    embedding = torch.randn(16, 4, generator=seeded(3)).relu()
    embedding *= length / embedding.norm(dim=1).mean()
    certain = (confidence * log_probs(16, 1, 3)).log_softmax(dim=-1)
    view = FakeView(certain, embedding, num_labeled=2)
    picks, scores, objective = naive(view, 4, regularization)
    batch = Bait(regularization=regularization).select(view, 4, seeded(0))
    assert batch.positions.tolist() == picks
    assert batch.scores.tolist() == pytest.approx(scores, rel=1e-4)
    assert batch.notes["objective"] == pytest.approx(objective, rel=1e-5)


def test_forward_pass_alone_is_the_greedy_order():
    view = FakeView(log_probs(12, 2, 3))
    longer, _, _ = naive(view, 4, oversampling=1)
    assert Bait(oversampling=1).select(view, 4, seeded(0)).positions.tolist() == longer


@pytest.mark.slow
def test_backward_pass_changes_a_greedy_batch_for_the_better():
    better = 0
    for seed in range(12):
        embedding = torch.randn(15, 3, generator=seeded(seed))
        view = FakeView(log_probs(15, 2, 3, seed=seed), embedding)
        forward = Bait(0.01, oversampling=1).select(view, 4, seeded(0))
        both = Bait(0.01).select(view, 4, seeded(0))
        if set(both.positions.tolist()) != set(forward.positions.tolist()):
            better += both.notes["objective"] < forward.notes["objective"]
    assert better


def test_two_orthogonal_points_by_hand():
    """p = ½: I(x) = ¼ [1 -1; -1 1] ⊗ h hᵀ has eigenvalue |h|²/2 along (1, -1) ⊗ h.

    Nothing labeled, λ = 1, B = 1: F has ½·8/2 = 2 along the first point's direction and ½·2/2 = ½
    along the second's, so the first takes off 2 - 2/(1 + 4) = 1.6 and leaves ½ + 2/5 = 0.9.
    """
    embedding = torch.tensor([[8.0**0.5, 0.0], [0.0, 2.0**0.5]])
    view = FakeView(torch.full((2, 1, 2), 0.5).log(), embedding, num_labeled=0)
    batch = Bait(oversampling=1).select(view, 1, seeded(0))
    assert batch.positions.tolist() == [0]
    assert batch.scores.item() == pytest.approx(1.6, rel=1e-6)
    assert batch.notes["objective"] == pytest.approx(0.9, rel=1e-6)


@pytest.mark.slow
def test_no_information_gives_a_random_batch_that_says_so():
    certain = torch.eye(3)[[0, 1, 2, 0]][:, None].log()
    for view in (FakeView(certain), FakeView(log_probs(4, 1, 3), torch.zeros(4, 5))):
        counts = collections.Counter()
        for seed in range(90):
            batch = Bait().select(view, 2, seeded(seed))
            assert batch.notes["fell_back"] == "random"
            counts[tuple(batch.positions.tolist())] += 1
        pairs = list(itertools.permutations(range(4), 2))
        assert chisquare([counts[pair] for pair in pairs]).pvalue > 1e-4


def test_blocks_do_not_change_the_batch(monkeypatch):
    view = FakeView(log_probs(40, 2, 3))
    whole = Bait().select(view, 6, seeded(0))
    monkeypatch.setattr("al_bench.strategies.bait.block_size", lambda row_bytes: 7)
    blocked = Bait().select(view, 6, seeded(0))
    assert torch.equal(blocked.positions, whole.positions)
    assert torch.allclose(blocked.scores, whole.scores, rtol=1e-10)


def test_too_many_weights_are_refused_before_anything_is_computed():
    view = FakeView(log_probs(4, 1, 100), torch.zeros(4, 512))
    with pytest.raises(ConfigError, match="GiB for 100 classes and 512 features"):
        Bait().select(view, 1, seeded(0))


@pytest.mark.parametrize(
    "wrong", [{"regularization": 0}, {"regularization": -1.0}, {"oversampling": 0}]
)
def test_impossible_parameters_are_refused(wrong):
    with pytest.raises(ConfigError, match=f"^{next(iter(wrong))} must"):
        Bait(**wrong)
