"""k-means picks against blobs with known centroids; D² sampling against its law."""

import itertools
from collections import Counter

import pytest
import torch
from pool_views import FakeView, log_probs, seeded
from scipy.stats import chisquare

from al_bench.strategies.kmeans import KMeans, KMeansPlusPlus
from al_bench.strategies.spaces import LastLayer


def test_picks_are_the_points_nearest_to_the_centroids_largest_cluster_first():
    sizes = [5, 11, 8]
    parts = [
        torch.randn(size, 3, generator=seeded(size)) + 50 * blob for blob, size in enumerate(sizes)
    ]
    expected = []
    for blob in (1, 2, 0):
        part = parts[blob].double()
        nearest = int((part - part.mean(dim=0)).norm(dim=1).argmin())
        expected.append(sum(sizes[:blob]) + nearest)
    view = FakeView(log_probs(24, 1, 3), torch.cat(parts))
    for seed in range(5):
        selection = KMeans(LastLayer()).select(view, 3, seeded(seed))
        assert selection.positions.tolist() == expected
        assert selection.scores.tolist() == [11, 8, 5]


def test_as_many_clusters_as_points_are_the_points():
    view = FakeView(log_probs(9, 1, 2))
    selection = KMeans(LastLayer()).select(view, 9, seeded(0))
    assert sorted(selection.positions.tolist()) == list(range(9))
    assert selection.scores.tolist() == [1] * 9


def test_clusters_of_copies_give_one_pick_and_the_rest_is_drawn():
    embedding = torch.tensor([[0.0]] * 4 + [[9.0]] * 2)
    view = FakeView(log_probs(6, 1, 2), embedding)
    drawn = set()
    for seed in range(12):
        selection = KMeans(LastLayer()).select(view, 3, seeded(seed))
        assert selection.positions[0] < 4 <= selection.positions[1]
        assert selection.scores[:2].tolist() == [4, 2]
        assert selection.scores[2].isnan()
        assert selection.notes == {"num_drawn": 1}
        drawn.add(int(selection.positions[2]))
    assert len(drawn) > 2


def law(points, centers, batch_size):
    """Probability of every ordered batch, by enumeration in float64."""
    found = {}
    for batch in itertools.permutations(range(len(points)), batch_size):
        probability = 1.0
        for rank, pick in enumerate(batch):
            where = torch.cat([centers, points[list(batch[:rank])]])
            weights = torch.ones(len(points), dtype=torch.float64)
            if len(where):
                weights = torch.cdist(points, where).amin(dim=1) ** 2
            probability *= float(weights[pick] / weights.sum())
        found[batch] = probability
    return found


@pytest.mark.slow
@pytest.mark.parametrize("use_labeled", [True, False])
def test_batches_follow_the_law_of_d2_sampling(use_labeled):
    view = FakeView(log_probs(4, 1, 2), torch.tensor([[0.0], [1.0], [2.5], [6.0]]), num_labeled=2)
    labeled = view.labeled_features().double() if use_labeled else torch.empty(0, 1).double()
    expected = law(view.embedding.double(), labeled, 2)
    strategy = KMeansPlusPlus(LastLayer(), use_labeled)
    counts = Counter(
        tuple(strategy.select(view, 2, seeded(seed)).positions.tolist()) for seed in range(1500)
    )
    batches = [batch for batch, probability in expected.items() if probability > 0]
    observed = [counts[batch] for batch in batches]
    assert sum(observed) == 1500
    assert chisquare(observed, [1500 * expected[batch] for batch in batches]).pvalue > 1e-4


def test_scores_are_distances_to_the_nearest_center():
    view = FakeView(log_probs(20, 1, 2), num_labeled=3)
    selection = KMeansPlusPlus(LastLayer()).select(view, 20, seeded(3))
    picks = selection.positions.tolist()
    for rank, pick in enumerate(picks):
        centers = torch.cat([view.labeled_features(), view.embedding[picks[:rank]]]).double()
        distance = torch.cdist(view.embedding[[pick]].double(), centers).min()
        assert float(selection.scores[rank]) == pytest.approx(float(distance), rel=1e-4)
