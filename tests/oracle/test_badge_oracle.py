"""BADGE against materialised gradient embeddings in float64."""

import collections
import itertools
import math

import pytest
import torch
from pool_views import FakeView, log_probs, seeded
from scipy.stats import chisquare

from al_bench.errors import ConfigError
from al_bench.strategies.badge import Badge


def embeddings(view):
    """(N, C·D) float64 gradients of -log p(ŷ | x), by their definition."""
    factors = view.gradient_factors()
    rows = []
    for log_p, h in zip(factors.log_probs.double(), factors.features.double(), strict=True):
        error = log_p.exp()
        error[log_p.argmax()] -= 1
        rows.append(torch.outer(error, h).flatten())
    return torch.stack(rows)


def seeding(points, batch_size, generator, first=None):
    """k-means++ seeding with one unit exponential waiting time a point, on given vectors."""
    waiting = torch.empty(len(points), dtype=torch.float64).exponential_(generator=generator)
    chosen, worth = [], []
    while len(chosen) < batch_size:
        left = [i for i in range(len(points)) if i not in chosen]
        if chosen:
            nearest = [
                min(float((points[i] - points[c]).square().sum()) for c in chosen) for i in left
            ]
        else:
            nearest = [1.0] * len(left)
        weights = nearest if any(nearest) else [1.0] * len(left)
        if not chosen and first is not None:
            pick = first
        else:
            times = [float(waiting[i]) / w if w else math.inf for i, w in zip(left, weights)]  # noqa: B905
            pick = left[times.index(min(times))]
            for i, w in zip(left, weights, strict=True):
                waiting[i] -= w * min(times)
        worth.append(nearest[left.index(pick)] if chosen else math.nan)
        chosen.append(pick)
    return chosen, worth


@pytest.mark.parametrize(
    ("num_points", "num_classes", "dim"), [(40, 4, 5), (25, 2, 3), (30, 10, 1)]
)
@pytest.mark.parametrize("first_center", ["uniform", "largest_norm"])
def test_same_draws_as_materialised_embeddings(num_points, num_classes, dim, first_center):
    for seed in range(5):
        embedding = torch.randn(num_points, dim, generator=seeded(seed)).relu()
        view = FakeView(log_probs(num_points, 2, num_classes, seed=seed), embedding)
        points = embeddings(view)
        generator, first = seeded(seed), None
        if first_center == "largest_norm":
            torch.randperm(num_points, generator=generator)
            first = int(points.square().sum(dim=1).argmax())
        picks, worth = seeding(points, 12, generator, first)
        batch = Badge(first_center=first_center).select(view, 12, seeded(seed))
        assert batch.positions.tolist() == picks
        assert batch.scores.tolist() == pytest.approx(worth, rel=1e-4, abs=1e-12, nan_ok=True)


@pytest.mark.slow
def test_each_ordered_batch_comes_as_often_as_the_law_of_kmeanspp_says():
    view = FakeView(log_probs(5, 1, 3, seed=3), torch.randn(5, 2, generator=seeded(1)))
    points = embeddings(view)
    distances = torch.cdist(points, points).square()
    laws = {}
    for i, j, k in itertools.permutations(range(5), 3):
        nearest = torch.minimum(distances[i], distances[j])
        law = distances[i, j] / distances[i].sum() * nearest[k] / nearest.sum()
        laws[i, j, k] = float(law) / 5
    assert sum(laws.values()) == pytest.approx(1)
    count = 800
    counts = collections.Counter(
        tuple(Badge().select(view, 3, seeded(seed)).positions.tolist()) for seed in range(count)
    )
    often = [batch for batch, law in laws.items() if count * law >= 5]
    observed = [counts[batch] for batch in often]
    expected = [count * laws[batch] for batch in often]
    observed.append(count - sum(observed))
    expected.append(count - sum(expected))
    assert chisquare(observed, expected).pvalue > 1e-4


def test_largest_norm_is_the_first_center_of_the_published_code():
    view = FakeView(log_probs(30, 1, 4))
    largest = int(embeddings(view).square().sum(dim=1).argmax())
    for seed in range(5):
        batch = Badge(first_center="largest_norm").select(view, 3, seeded(seed))
        assert batch.positions[0] == largest


def test_near_copies_far_from_the_origin_keep_their_distances():
    """Squared distances 10^10 times smaller than the norms are not lost to rounding."""
    given = log_probs(1, 1, 4).expand(20, 1, 4).contiguous()
    embedding = 1000.0 + torch.rand(20, 50, generator=seeded(2)) * 0.01
    view = FakeView(given, embedding)
    picks, worth = seeding(embeddings(view), 10, seeded(4))
    batch = Badge().select(view, 10, seeded(4))
    assert batch.positions.tolist() == picks
    assert batch.scores.tolist() == pytest.approx(worth, rel=1e-6, nan_ok=True)


def test_copies_are_at_distance_zero_and_come_last():
    """Four noiseless copies of each point, as in RepeatedMNIST."""
    given = log_probs(10, 1, 5, seed=8).repeat(4, 1, 1)
    embedding = torch.rand(10, 300, generator=seeded(3)).repeat(4, 1)
    for seed in range(10):
        batch = Badge().select(FakeView(given, embedding), 12, seeded(seed))
        assert len(set((batch.positions[:10] % 10).tolist())) == 10
        assert (batch.scores[10:] == 0).all()
        assert "fell_back" not in batch.notes


def test_three_clusters_one_of_them_at_the_origin_share_the_batch():
    """scikit-activeml #588: no hidden center at the origin that would shadow the third cluster."""
    logits = torch.zeros(60, 3)
    logits[:20, 0] = 30.0  # certain: gradients near 0
    embedding = torch.zeros(60, 2)
    embedding[:20, 0] = 1.0
    embedding[20:40, 0] = 5.0
    embedding[40:, 1] = 5.0
    embedding += 0.01 * torch.randn(60, 2, generator=seeded(0))
    view = FakeView(logits.log_softmax(dim=1)[:, None], embedding)
    for seed in range(20):
        picks = Badge().select(view, 3, seeded(seed)).positions
        assert sorted((picks // 20).tolist()) == [0, 1, 2]


@pytest.mark.slow
@pytest.mark.parametrize("first_center", ["uniform", "largest_norm"])
def test_gradients_of_zero_are_drawn_uniformly_without_repetition(first_center):
    certain = torch.eye(3)[[0, 1, 2, 0]][:, None].log()
    strategy = Badge(first_center=first_center)
    for view in (FakeView(certain), FakeView(log_probs(4, 1, 3), torch.zeros(4, 5))):
        counts = collections.Counter()
        for seed in range(200):
            batch = strategy.select(view, 2, seeded(seed))
            assert batch.notes["fell_back"] == "random"
            counts[tuple(batch.positions.tolist())] += 1
        pairs = list(itertools.permutations(range(4), 2))
        assert chisquare([counts[pair] for pair in pairs]).pvalue > 1e-4


def test_tiny_gradients_of_certain_predictions_still_count():
    """p_ŷ within 10^-30 of 1: float32 probabilities would say that nothing is left."""
    log_p = torch.full((6, 2), -70.0)
    log_p[:, 0] = -math.exp(-70)
    log_p[3:, 1] = -71.0
    log_p[3:, 0] = -math.exp(-71)
    view = FakeView(log_p[:, None], torch.eye(6))
    view.gradient_factors = lambda: type(FakeView.gradient_factors(view))(log_p, torch.eye(6))
    batch = Badge().select(view, 6, seeded(0))
    assert "fell_back" not in batch.notes
    assert (batch.scores[1:] > 0).all()


def test_wrong_first_center_and_features_that_are_no_numbers_are_refused():
    with pytest.raises(ConfigError, match=r"^first_center"):
        Badge(first_center="largest")
    view = FakeView(log_probs(4, 1, 3), torch.full((4, 2), math.inf))
    with pytest.raises(ValueError, match="infinite"):
        Badge().select(view, 2, seeded(0))
