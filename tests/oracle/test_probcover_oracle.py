"""ProbCover against maximum coverage by enumeration, and its radius against a search."""

import pytest
import torch
from pool_views import FakeView, log_probs, seeded
from sklearn.cluster import KMeans

from al_bench.errors import ConfigError
from al_bench.strategies import probcover
from al_bench.strategies.probcover import ProbCover
from al_bench.strategies.spaces import LastLayer


def pool(num_points=60, num_labeled=4, seed=0):
    embedding = torch.randn(num_points, 3, generator=seeded(seed))
    return FakeView(log_probs(num_points, 1, 3), embedding, num_labeled=num_labeled)


def check_greedy(view, selection, delta):
    """Every pick newly covers as many points as any other would."""
    points = view.embedding.double()
    inside = torch.cdist(points, points) < delta
    covered = (torch.cdist(points, view.labeled_features().double()) < delta).any(dim=1)
    left = torch.ones(len(view), dtype=torch.bool)
    for pick, score in zip(selection.positions.tolist(), selection.scores.tolist(), strict=True):
        gains = (inside & ~covered).sum(dim=1)
        assert left[pick]
        assert score == gains[pick] == gains[left].max()
        covered |= inside[pick]
        left[pick] = False
    assert selection.notes["coverage"] == pytest.approx(float(covered.double().mean()))
    assert selection.notes.get("num_drawn", 0) == int((selection.scores == 0).sum())


@pytest.mark.parametrize("num_labeled", [0, 4])
@pytest.mark.parametrize("delta", [0.3, 0.8, 2.5])
def test_every_pick_covers_the_most(num_labeled, delta):
    view = pool(num_labeled=num_labeled)
    check_greedy(view, ProbCover(LastLayer(), delta).select(view, 60, seeded(1)), delta)


def test_graph_that_is_not_stored_gives_the_same_batch(monkeypatch):
    view = pool()
    stored = ProbCover(LastLayer(), 0.8).select(view, 30, seeded(2))
    monkeypatch.setattr(probcover, "BITMAP_BYTES", 0)
    computed = ProbCover(LastLayer(), 0.8).select(view, 30, seeded(2))
    assert torch.equal(stored.positions, computed.positions)
    assert torch.equal(stored.scores, computed.scores)


def test_newly_covered_counts_are_those_of_scikit_activeml():
    """ProbCover of scikit-activeml 1.0.1, radius 3, on the same points, the last 8 labeled."""
    i, j = torch.meshgrid(torch.arange(64.0), torch.arange(5.0), indexing="ij")
    i, j = i.double(), j.double()
    points = ((i + 1) * (j + 2) ** 1.5).sin() * (1 + j)

    class View(FakeView):
        def labeled_features(self):
            return points[56:].float()

    view = View(log_probs(56, 1, 3), points[:56].float())
    selection = ProbCover(LastLayer(), 3.0).select(view, 10, seeded(0))
    assert selection.positions[0] == 17  # the only best one
    assert selection.scores.tolist() == [6, 5, 4, 3, 2, 2, 2, 2, 1, 1]


@pytest.mark.parametrize("purity", [0.7, 0.95, 1.0])
def test_estimated_radius_is_the_largest_with_enough_pure_balls(purity):
    view = pool(num_labeled=5, seed=3)
    view.embedding = view.embedding + 6 * (torch.arange(60) % 3)[:, None]  # k-means finds these
    selection = ProbCover(LastLayer(), purity=purity).select(view, 4, seeded(0))
    points = torch.cat([view.embedding, view.labeled_features()]).double()
    labels = torch.from_numpy(KMeans(3, n_init=5, random_state=0).fit_predict(points.numpy()))
    distances = torch.cdist(points, points)

    def share_pure(radius):
        impure = (distances < radius) & (labels[:, None] != labels)
        return float((~impure.any(dim=1)).double().mean())

    delta = selection.notes["delta"]
    assert share_pure(delta * (1 - 1e-5)) >= purity
    assert share_pure(delta * (1 + 1e-5)) < purity
    check_greedy(view, selection, delta)


def test_one_pseudo_label_means_one_ball_for_all():
    view = FakeView(log_probs(5, 1, 2), torch.ones(5, 3), num_labeled=0)
    selection = ProbCover(LastLayer()).select(view, 2, seeded(0))
    assert selection.notes["fell_back"] == "random"
    assert "delta" not in selection.notes


@pytest.mark.parametrize("wrong", [{"delta": 0.0}, {"delta": -1.0}, {"purity": 0.0}, {"purity": 2}])
def test_impossible_radius_or_purity_is_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ProbCover(LastLayer(), **wrong)
