"""MaxHerding and facility location against greedy maximisation in float64 over all candidates."""

import math

import pytest
import torch
from pool_views import FakeView, log_probs, seeded

from al_bench.errors import ConfigError
from al_bench.strategies.distances import Points
from al_bench.strategies.facility_location import FacilityLocation, MaxHerding
from al_bench.strategies.lazy_greedy import LazyGreedy
from al_bench.strategies.spaces import LastLayer


def pool(num_points=50, num_labeled=4, seed=0):
    embedding = torch.randn(num_points, 4, generator=seeded(seed)) + 2
    return FakeView(log_probs(num_points, 1, 3), embedding, num_labeled=num_labeled)


def check_greedy(similarity, least, view, selection, first_scored=True):
    """Every pick raises the mean of the highest similarity the most."""
    points = view.embedding.double()
    between = similarity(torch.cdist(points, points))  # (candidates, N)
    best = torch.full((len(view),), least, dtype=torch.float64)
    if len(view.labeled_features()):
        to_labeled = similarity(torch.cdist(points, view.labeled_features().double()))
        best = torch.maximum(best, to_labeled.amax(dim=1))
    left = torch.ones(len(view), dtype=torch.bool)
    for rank, pick in enumerate(selection.positions.tolist()):
        gains = (between - best).clamp_min(0).mean(dim=1)
        assert left[pick]
        assert gains[pick] == pytest.approx(float(gains[left].max()), abs=1e-6)
        if rank or first_scored:
            assert float(selection.scores[rank]) == pytest.approx(float(gains[pick]), abs=2e-6)
        else:
            assert selection.scores[rank].isnan()
        best = torch.maximum(best, between[pick])
        left[pick] = False


@pytest.mark.parametrize("num_labeled", [0, 1, 4])
@pytest.mark.parametrize("sigma", [0.5, 2.0])
def test_every_pick_of_max_herding_gains_the_most(num_labeled, sigma):
    view = pool(num_labeled=num_labeled)
    selection = MaxHerding(LastLayer(), sigma).select(view, 50, seeded(1))
    check_greedy(lambda d: torch.exp(-(d**2) / sigma**2), 0.0, view, selection)
    assert 0 < selection.notes["share_evaluated"] <= 1


@pytest.mark.parametrize("num_labeled", [0, 1, 4])
@pytest.mark.parametrize("seed", range(2))
def test_every_pick_of_facility_location_lowers_the_mean_distance_the_most(num_labeled, seed):
    view = pool(num_labeled=num_labeled, seed=seed)
    selection = FacilityLocation(LastLayer()).select(view, 50, seeded(1))
    check_greedy(lambda d: -d, -1e3, view, selection, first_scored=num_labeled > 0)


@pytest.mark.parametrize(("seed", "size", "values"), [(19, 60, 3), (237, 76, 5), (405, 76, 5)])
def test_a_bound_that_equals_the_best_gain_is_no_gain(seed, size, values):
    """Points of few values have equal distances: of a candidate that ties only the bound is old."""
    grid = torch.randint(0, values, (size, 2), generator=seeded(seed)).float()
    points = Points.of(grid)
    greedy = LazyGreedy(points, Points.of(grid[:0]), lambda squared: squared.neg_().exp_(), 0.0)
    between = torch.exp(-torch.cdist(grid.double(), grid.double()).square())
    best = torch.zeros(size, dtype=torch.float64)
    for _ in range(10):
        gains = (between - best).clamp_min(0).mean(dim=1)
        gains[greedy.picks] = -1.0
        greedy.pick()
        pick = greedy.picks[-1]
        assert float(gains[pick]) == pytest.approx(float(gains.max()), abs=1e-6)
        assert greedy.gains[-1] == pytest.approx(float(gains[pick]), abs=1e-6)
        best = torch.maximum(best, between[pick])


def test_first_medoid_has_the_least_mean_distance():
    embedding = torch.tensor([[0.0], [1.0], [2.0], [10.0], [30.0]])
    view = FakeView(log_probs(5, 1, 2), embedding, num_labeled=0)
    selection = FacilityLocation(LastLayer()).select(view, 3, seeded(0))
    assert selection.positions.tolist()[:2] == [2, 4]  # then 30 is 28 from 2
    assert selection.scores[1:].tolist() == pytest.approx([28 / 5, 8 / 5], rel=1e-5)


def test_max_herding_picks_those_of_scikit_activeml():
    """MaxHerding of scikit-activeml 1.0.1 (gamma 1, unit length), the last 8 labeled.

    Its fifth pick is one of two of equal gain, so picks are compared up to there, gains throughout.
    """
    i, j = torch.meshgrid(torch.arange(64.0), torch.arange(5.0), indexing="ij")
    i, j = i.double(), j.double()
    points = ((i + 1) * (j + 2) ** 1.5).sin() * (1 + j)

    class View(FakeView):
        def labeled_features(self):
            return points[56:].float()

    view = View(log_probs(56, 1, 3), points[:56].float())
    selection = MaxHerding(LastLayer(normalize=True)).select(view, 10, seeded(0))
    assert selection.positions.tolist()[:4] == [35, 22, 48, 9]
    expected = [0.038889, 0.031453, 0.029735, 0.029306, 0.013131]
    expected += [0.011033, 0.010779, 0.008196, 0.007940, 0.007543]
    assert selection.scores.tolist() == pytest.approx(expected, abs=2e-6)


def test_lazy_evaluation_leaves_most_candidates_alone():
    view = FakeView(log_probs(600, 1, 3), torch.randn(600, 5, generator=seeded(2)))
    selection = MaxHerding(LastLayer()).select(view, 30, seeded(0))
    assert selection.notes["share_evaluated"] < 0.3
    check_greedy(lambda d: torch.exp(-(d**2)), 0.0, view, selection)


@pytest.mark.parametrize("strategy", [MaxHerding(LastLayer()), FacilityLocation(LastLayer())])
def test_copies_gain_nothing(strategy):
    view = FakeView(log_probs(6, 1, 2), torch.full((6, 3), 0.3), num_labeled=0)
    selection = strategy.select(view, 6, seeded(0))
    assert selection.scores[1:].tolist() == [0] * 5
    assert selection.notes["num_drawn"] == 5 + int(selection.scores[0] == 0)
    assert selection.notes["fell_back"] == "random"


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.inf, math.nan])
def test_length_scale_must_be_positive(sigma):
    with pytest.raises(ConfigError, match=r"^sigma must"):
        MaxHerding(LastLayer(), sigma)
