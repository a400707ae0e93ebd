"""Core-set and LCMD against their definitions in float64, and core-set against a peer's picks."""

import math

import pytest
import torch
from pool_views import FakeView, log_probs, seeded

from al_bench.strategies.coreset import LCMD, CoreSet
from al_bench.strategies.spaces import LastLayer


def pool(num_points=40, num_labeled=6, num_features=7, seed=0):
    embedding = torch.randn(num_points, num_features, generator=seeded(seed)) + 3
    return FakeView(log_probs(num_points, 1, 3), embedding, num_labeled=num_labeled)


def distances(view, centers):
    """(N, centers) distances to labeled points and picks, in float64."""
    where = torch.cat([view.labeled_features(), view.embedding[centers]]).double()
    return torch.cdist(view.embedding.double(), where)


@pytest.mark.parametrize("num_labeled", [0, 1, 6])
@pytest.mark.parametrize("seed", range(3))
def test_every_coreset_pick_is_the_farthest_point(num_labeled, seed):
    view = pool(num_labeled=num_labeled, seed=seed)
    selection = CoreSet(LastLayer()).select(view, 40, seeded(seed))
    picks = selection.positions.tolist()
    assert sorted(picks) == list(range(40))
    assert bool(selection.scores[0].isnan()) == (num_labeled == 0)
    for rank in range(int(num_labeled == 0), 40):
        worth = distances(view, picks[:rank]).amin(dim=1)
        assert worth[picks[rank]] == pytest.approx(float(worth.max()), rel=1e-5)
        assert float(selection.scores[rank]) == pytest.approx(float(worth.max()), rel=1e-5)


@pytest.mark.slow
def test_first_coreset_pick_without_labels_is_uniform():
    view = pool(num_points=4, num_labeled=0)
    firsts = [
        int(CoreSet(LastLayer()).select(view, 1, seeded(seed)).positions) for seed in range(200)
    ]
    assert all(30 < firsts.count(place) < 70 for place in range(4))


def test_coreset_picks_those_of_scikit_activeml():
    """CoreSet of scikit-activeml 1.0.1 on the same points, the last 8 labeled."""
    i, j = torch.meshgrid(torch.arange(64.0), torch.arange(5.0), indexing="ij")
    i, j = i.double(), j.double()
    points = ((i + 1) * (j + 2) ** 1.5).sin() * (1 + j)

    class View(FakeView):
        def labeled_features(self):
            return points[56:].float()

    view = View(log_probs(56, 1, 3), points[:56].float())
    selection = CoreSet(LastLayer()).select(view, 10, seeded(0))
    assert selection.positions.tolist() == [9, 7, 55, 24, 52, 35, 46, 51, 32, 47]
    expected = [5.957955, 5.455515, 4.985910, 4.969329, 4.318512]
    expected += [4.163457, 3.929811, 3.891401, 3.702130, 3.686726]
    assert selection.scores.tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("num_labeled", [0, 1, 6])
@pytest.mark.parametrize("seed", range(3))
def test_every_lcmd_pick_is_the_farthest_of_the_largest_cluster(num_labeled, seed):
    view = pool(num_labeled=num_labeled, seed=seed)
    picks = LCMD(LastLayer()).select(view, 20, seeded(seed)).positions.tolist()
    assert len(set(picks)) == 20
    for rank, pick in enumerate(picks):
        if rank + num_labeled == 0:
            assert pick == int(view.embedding.norm(dim=1).argmax())
            continue
        to_center, cluster = distances(view, picks[:rank]).min(dim=1)
        sizes = [float((to_center[cluster == c] ** 2).sum()) for c in range(rank + num_labeled)]
        largest = sizes.index(max(sizes))
        members = (cluster == largest).nonzero().squeeze(1)
        assert pick == int(members[to_center[members].argmax()])


def test_lcmd_leaves_a_far_point_for_a_heavy_cluster():
    """By hand: labeled 0 and 100; 7, 8, 9 around 0 weigh 194, 110 near 100 weighs 100."""
    embedding = torch.tensor([[7.0], [8.0], [9.0], [110.0]])

    class View(FakeView):
        def labeled_features(self):
            return torch.tensor([[0.0], [100.0]])

    view = View(log_probs(4, 1, 2), embedding)
    selection = LCMD(LastLayer()).select(view, 3, seeded(0))
    assert selection.positions.tolist() == [2, 3, 0]
    assert selection.scores.tolist() == pytest.approx([9, 10, 2])
    assert CoreSet(LastLayer()).select(view, 1, seeded(0)).positions.tolist() == [3]


@pytest.mark.parametrize("strategy", [CoreSet(LastLayer()), LCMD(LastLayer())])
def test_copies_of_centers_come_last_and_are_drawn(strategy):
    embedding = torch.tensor([[0.0, 1000.1]] * 3 + [[3.0, 1000.3]] * 3 + [[1000.0, 1000.7]])
    view = FakeView(log_probs(7, 1, 2), embedding, num_labeled=0)
    lasts = set()
    for seed in range(12):
        selection = strategy.select(view, 7, seeded(seed))
        assert (selection.scores[3:] == 0).all()
        assert {0, 3, 6} == {min(p, 6) // 3 * 3 for p in selection.positions[:3].tolist()}
        assert selection.notes["num_drawn"] >= 4
        assert "fell_back" not in selection.notes
        lasts.add(int(selection.positions[-1]))
    assert len(lasts) > 2


def test_pool_of_copies_says_that_the_batch_is_random():
    view = FakeView(log_probs(5, 1, 2), torch.full((5, 3), 0.1), num_labeled=0)
    selection = CoreSet(LastLayer()).select(view, 3, seeded(0))
    assert selection.notes == {"num_drawn": 3, "fell_back": "random"}
    assert math.isnan(selection.scores[0])
