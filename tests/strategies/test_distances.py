"""Distances by matrix products against differences in float64."""

import pytest
import torch
from pool_views import seeded

from al_bench.strategies import distances
from al_bench.strategies.distances import Points, joined, nearest, squared_distances, to_point


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
