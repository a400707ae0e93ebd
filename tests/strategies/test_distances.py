"""Distances by matrix products against differences in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pool_views import FakeView, log_probs, seeded

from al_bench.strategies import cluster_margin, distances, lazy_greedy, probcover, typiclust
from al_bench.strategies.cluster_margin import ClusterMargin
from al_bench.strategies.clusters import k_means
from al_bench.strategies.coreset import CoreSet
from al_bench.strategies.distances import (
    Points,
    centered,
    joined,
    nearest,
    squared_distances,
    to_point,
)
from al_bench.strategies.facility_location import FacilityLocation, MaxHerding
from al_bench.strategies.probcover import ProbCover
from al_bench.strategies.spaces import LastLayer
from al_bench.strategies.typiclust import TypiClust


def cloud(count, num_features, seed, scale=1.0):
    return Points.of(scale * torch.randn(count, num_features, generator=seeded(seed)))


def exact(first, second):
    a, b = first.values.double(), second.values.double()
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()


@pytest.mark.parametrize("num_features", [1, 5, 700])
def test_blocks_are_low_by_no_more_than_their_error(num_features):
    first, second = cloud(30, num_features, 0), cloud(40, num_features, 1)
    error = 3e-7 * (4 + num_features**0.5) * float(torch.cat([first.squares, second.squares]).max())
    missing = exact(first, second) - squared_distances(first, second)
    assert missing.min() > -0.5 * error
    assert missing.max() < error
    assert (squared_distances(first, first).diagonal() == 0).all()


def test_small_distances_to_a_point_keep_their_digits():
    points = cloud(50, 20, 2)
    near = Points.of(points.values[:9] + 1e-4 * torch.randn(9, 20, generator=seeded(3)))
    points = joined(points, near)
    squared = to_point(points, 3)
    assert squared[3] == 0
    assert torch.allclose(squared.double(), exact(points, points)[3], rtol=1e-3, atol=0)


def test_nearest_center_and_its_distance():
    points, centers = cloud(80, 6, 4), cloud(7, 6, 5)
    points = joined(points, centers[2:4])  # copies
    squared, owner = nearest(points, centers)
    expected = exact(points, centers)
    assert torch.equal(owner, expected.argmin(dim=1))
    assert torch.allclose(squared.double(), expected.amin(dim=1), rtol=1e-3, atol=0)
    assert squared[-2:].tolist() == [0, 0]


def test_small_blocks_change_nothing(monkeypatch):
    points, centers = cloud(80, 6, 4), cloud(7, 6, 5)
    whole = nearest(points, centers), to_point(points, 0)
    monkeypatch.setattr(distances, "BLOCK_BYTES", 500)
    parts = nearest(points, centers), to_point(points, 0)
    assert torch.allclose(whole[0][0], parts[0][0], rtol=1e-5)
    assert torch.equal(whole[0][1], parts[0][1])
    assert torch.allclose(whole[1], parts[1])


def test_without_centers_everything_is_infinitely_far():
    squared, owner = nearest(cloud(3, 2, 0), cloud(0, 2, 0))
    assert squared.tolist() == [float("inf")] * 3
    assert owner.tolist() == [0, 0, 0]


clouds = given(
    seed=st.integers(0, 10_000),
    count=st.integers(3, 40),
    num_features=st.sampled_from([1, 2, 7, 60]),
    far=st.sampled_from([30.0, 1e4, 1e8, 1e15]),
    offset=st.sampled_from([0.0, 100.0]),
    tight=st.booleans(),
)


def bound(points):
    """Of the error of each squared distance, a row term and a column term."""
    share = torch.finfo(torch.float32).eps * (4 + points.values.shape[1] ** 0.5)
    return share * (points.squares[:, None] + points.squares).double()


@pytest.mark.slow
@settings(max_examples=60)
@clouds
def test_a_far_point_changes_distances_of_the_others_by_rounding_only(
    seed, count, num_features, far, offset, tight
):
    values = torch.randn(count, num_features, generator=seeded(seed)) + offset
    if tight:
        values[1:] = values[0] + 1e-3 * (values[1:] - offset)
    values[-1] = values[0]
    alone, labeled = centered(values.clone(), values[:2])
    outlier = torch.full((1, num_features), far / num_features**0.5)
    place = seed % (count + 1)
    others = [i for i in range(count + 1) if i != place]
    beside, still = centered(torch.cat([values[:place], outlier, values[place:]]), values[:2])

    expected = exact(Points.of(values), Points.of(values))
    rounding = (values.double().abs().amax() * 2e-7) ** 2 * num_features  # of the input's own shift
    for points in (alone, beside[torch.tensor(others)]):
        allowed = bound(points) + 3e-3 * expected + 4 * rounding
        found = squared_distances(points, points).double()
        assert ((found - expected).abs() <= allowed).all()
        assert found[0, -1] == found[-1, 0] == 0
        assert (found.diagonal() == 0).all()
        assert (points.squares <= 1.5 * count * expected.max() + 1e-6).all()  # origin in the midst
    for points, centers in ((alone, labeled), (beside, still)):
        squared, owner = nearest(points, centers)
        true = torch.cdist(points.values.double(), centers.values.double()).square()
        chosen = true.gather(1, owner[:, None]).squeeze(1)
        assert torch.allclose(squared.double(), chosen, rtol=1e-5, atol=1e-12)
        limit = true.amin(dim=1) * (1 + 1 / 32) + 1e-12
        assert (chosen <= limit + bound_to(points, centers)).all()


def bound_to(points, centers):
    share = torch.finfo(torch.float32).eps * (4 + points.values.shape[1] ** 0.5)
    return 2 * share * (points.squares + centers.squares.max()).double()


def test_two_far_groups_keep_the_digits_of_their_small_distances():
    groups = torch.randn(60, 20, generator=seeded(1))
    groups[30:] += 1e4
    points, _ = centered(groups.clone(), groups[:1])
    found, expected = squared_distances(points, points), exact(*[Points.of(groups)] * 2)
    assert torch.allclose(found.double(), expected, rtol=1e-2, atol=0)
    assert (found.diagonal() == 0).all()


def test_few_and_many_close_pairs_are_computed_again_alike(monkeypatch):
    points = joined(cloud(40, 30, 0), Points.of(cloud(40, 30, 0).values + 1e-5))
    one_by_one = squared_distances(points, points)
    monkeypatch.setattr(distances, "MANY", 0.0)
    in_float64 = squared_distances(points, points)
    assert torch.allclose(one_by_one, in_float64, rtol=2e-3, atol=0)


def test_k_centers_have_the_radius_they_have_without_a_far_point():
    values = torch.rand(400, 2, generator=seeded(0)) * 4
    far = torch.cat([values, torch.tensor([[10_000.0, 0.0]])])
    radii = []
    for points, size in ((values, 12), (far, 13)):
        view = FakeView(torch.zeros(len(points), 2, 2), points, num_labeled=0)
        picks = CoreSet(LastLayer()).select(view, size, seeded(3)).positions
        radii.append(float(torch.cdist(points.double(), points[picks].double()).amin(1).max()))
    assert radii[1] == pytest.approx(radii[0], rel=0.35)


@pytest.mark.parametrize(
    "strategy",
    [
        ProbCover(LastLayer(), delta=0.5),
        TypiClust(LastLayer()),
        FacilityLocation(LastLayer()),
        MaxHerding(LastLayer()),
        ClusterMargin(LastLayer(), cluster_size=3),
    ],
)
def test_strategies_pick_the_same_beside_a_far_point(strategy):
    """Compared with the same pool in float64 distances, a far point in it or not."""
    values = torch.randn(60, 3, generator=seeded(5))
    far = torch.cat([values, torch.full((1, 3), 1e4)])
    predicted = log_probs(61, 4, 3, seed=6)
    view = FakeView(predicted, far, num_labeled=0)
    selection = strategy.select(view, 6, seeded(2))
    with pytest.MonkeyPatch.context() as patch:
        for module in (probcover, typiclust, lazy_greedy, cluster_margin, distances):
            if hasattr(module, "squared_distances"):
                patch.setattr(module, "squared_distances", in_differences)
        expected = strategy.select(view, 6, seeded(2))
    assert selection.positions.tolist() == expected.positions.tolist()
    assert torch.allclose(selection.scores, expected.scores, rtol=1e-3, atol=1e-6, equal_nan=True)


def in_differences(rows, columns):
    return exact(rows, columns).float()


def test_clusters_of_the_others_stay_beside_a_far_point():
    centers = 10 * torch.randn(6, 4, generator=seeded(1))
    labels = torch.arange(240) % 6
    values = centers[labels] + 0.3 * torch.randn(240, 4, generator=seeded(2))
    far = torch.cat([values, torch.full((1, 4), 1e7)])
    points, _ = centered(far.clone(), values[:1])
    found = k_means(points.values, 7, seeded(0)).labels
    inside = [len(found[:240][labels == label].unique()) for label in range(6)]
    assert sum(count == 1 for count in inside) >= 5  # k-means++ may split one group
    assert (found == found[-1]).sum() == 1
