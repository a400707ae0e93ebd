"""LogDet against determinants of explicit kernel matrices, in float64."""

import collections
import itertools
import math

import pytest
import torch
from pool_views import FakeView, log_probs, seeded
from scipy.stats import chisquare

from al_bench.errors import ConfigError
from al_bench.models.base import FEATURES, GRADIENTS
from al_bench.strategies.logdet import LogDet


def vectors(factors, kernel):
    """(n, C·D) gradients or (n, D) features, float64."""
    rows = []
    for log_p, h in zip(factors.log_probs.double(), factors.features.double(), strict=True):
        error = log_p.exp()
        error[log_p.argmax()] -= 1
        rows.append(torch.outer(error, h).flatten() if kernel == "gradients" else h)
    return torch.stack(rows) if rows else torch.zeros(0, 1, dtype=torch.float64)


def conditional_logdet(batch, given, noise):
    """Log det S_{batch | given}, as the difference of two determinants."""

    def logdet(points):
        matrix = points @ points.T + noise * torch.eye(len(points), dtype=torch.float64)
        return float(torch.linalg.slogdet(matrix).logabsdet)

    if not len(given):
        return logdet(batch)
    return logdet(torch.cat([given, batch])) - logdet(given)


def objective(view, batch, kernel, num_targets, noise):
    points = vectors(view.gradient_factors(), kernel)[batch]
    labeled = points[:0]
    if view.num_labeled:
        labeled = vectors(view.labeled_gradient_factors(), kernel)
    value = conditional_logdet(points, labeled, noise)
    if num_targets is None:
        return (value - len(batch) * math.log(noise)) / 2
    targets = vectors(view.target_gradient_factors(num_targets), kernel)
    return (value - conditional_logdet(points, torch.cat([labeled, targets]), noise)) / 2


@pytest.mark.parametrize("num_targets", [None, 1, 7])
@pytest.mark.parametrize("kernel", ["gradients", "features"])
@pytest.mark.parametrize(("num_labeled", "noise"), [(4, 1.0), (0, 0.01), (1, 0.1)])
def test_greedy_on_determinants(kernel, num_targets, num_labeled, noise):
    view = FakeView(log_probs(12, 2, 3), num_labeled=num_labeled)
    batch, values = [], [0.0]
    for _ in range(5):
        left = [i for i in range(12) if i not in batch]
        value, best = max(
            (objective(view, [*batch, i], kernel, num_targets, noise), i) for i in left
        )
        batch.append(best)
        values.append(value)
    gains = [after - before for before, after in itertools.pairwise(values)]
    strategy = LogDet(kernel, num_targets, noise)
    for seed in range(2):
        selection = strategy.select(view, 5, seeded(seed))
        assert selection.positions.tolist() == batch
        assert selection.scores.tolist() == pytest.approx(gains, rel=1e-6, abs=1e-9)
        assert selection.notes["information"] == pytest.approx(values[-1], rel=1e-6)


def test_greedy_batch_is_within_its_bound_of_the_best_batch():
    view = FakeView(log_probs(8, 2, 3))
    best = max(
        objective(view, list(batch), "gradients", None, 0.1)
        for batch in itertools.combinations(range(8), 3)
    )
    got = LogDet(regularization=0.1).select(view, 3, seeded(0)).notes["information"]
    assert (1 - 1 / math.e) * best <= got <= best + 1e-9


def test_three_points_by_hand():
    """Features (3, 0), (3, 0), (0, 1), λ = 1: ½ log 10, then the other direction, ½ log 2."""
    view = FakeView(log_probs(3, 1, 2), torch.tensor([[3.0, 0], [3, 0], [0, 1]]), num_labeled=0)
    for seed in range(5):
        batch = LogDet("features").select(view, 3, seeded(seed))
        assert batch.positions[0] in (0, 1)
        assert batch.positions[1] == 2
        gains = [math.log(10) / 2, math.log(2) / 2, math.log(19 / 10) / 2]
        assert batch.scores.tolist() == pytest.approx(gains)


def test_what_is_labeled_is_not_wanted_again():
    view = FakeView(log_probs(6, 1, 2), num_labeled=3)
    view.embedding[:3] = view.labeled_features()
    batch = LogDet("features", regularization=1e-6).select(view, 2, seeded(0))
    assert set(batch.positions.tolist()) <= {3, 4, 5}


def test_targets_in_one_direction_draw_the_batch_there():
    embedding = torch.eye(2).repeat(5, 1) * torch.linspace(1, 2, 10)[:, None]
    view = FakeView(log_probs(10, 1, 2), embedding, num_labeled=0)
    factors = view.target_gradient_factors(6)
    view.target_gradient_factors = lambda count: factors._replace(
        features=torch.tensor([[0.0, 1.0]]).expand(count, 2)
    )
    batch = LogDet("features", num_targets=6).select(view, 4, seeded(0))
    assert (batch.positions % 2 == 1).all()
    assert LogDet("features").select(view, 4, seeded(0)).positions[:2].remainder(2).sum() == 1


def test_many_points_far_from_the_origin_and_little_noise_keep_the_factor_real():
    """Kernel matrices of rank 2 with entries of 10^8 and λ = 10^-3."""
    embedding = 1e4 + torch.rand(50, 2, generator=seeded(0))
    view = FakeView(log_probs(50, 1, 3), embedding, num_labeled=40)
    view.labeled_features = lambda: embedding[:40].clone()
    for kernel in ("gradients", "features"):
        batch = LogDet(kernel, regularization=0.001).select(view, 20, seeded(0))
        assert len(batch.positions.unique()) == 20
        assert batch.scores.isfinite().all()


@pytest.mark.slow
def test_kernels_of_zeros_give_a_random_batch_that_says_so():
    certain = torch.eye(3)[[0, 1, 2, 0]][:, None].log()
    cases = [
        (LogDet(), FakeView(certain)),
        (LogDet("features"), FakeView(log_probs(4, 1, 3), torch.zeros(4, 5))),
        (LogDet(num_targets=3), FakeView(certain)),
    ]
    for strategy, view in cases:
        counts = collections.Counter()
        for seed in range(120):
            batch = strategy.select(view, 2, seeded(seed))
            assert batch.notes["fell_back"] == "random"
            counts[tuple(batch.positions.tolist())] += 1
        pairs = list(itertools.permutations(range(4), 2))
        assert chisquare([counts[pair] for pair in pairs]).pvalue > 1e-4


def test_blocks_do_not_change_the_batch(monkeypatch):
    view = FakeView(log_probs(40, 2, 3))
    whole = LogDet().select(view, 6, seeded(0))
    monkeypatch.setattr("al_bench.strategies.logdet.block_size", lambda row_bytes: 7)
    assert torch.equal(LogDet().select(view, 6, seeded(0)).positions, whole.positions)


def test_it_asks_for_no_more_than_it_looks_at():
    assert LogDet().needs == LogDet("features", num_targets=5).needs == {GRADIENTS}
    assert LogDet("features").needs == {FEATURES}


@pytest.mark.parametrize("wrong", [{"kernel": "rbf"}, {"num_targets": 0}, {"regularization": 0}])
def test_impossible_parameters_are_refused(wrong):
    with pytest.raises(ConfigError, match=f"^{next(iter(wrong))}"):
        LogDet(**wrong)
