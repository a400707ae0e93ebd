"""The kernel at infinite width against loops, dense networks, and networks that grow wide."""

import itertools
import math

import pytest
import torch

from al_bench.studies.neural_tangents import at_width, drawn, infinite_width


def images(count, side, channels=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, channels, side, side, generator=generator, dtype=torch.float64)


def by_loops(first, second, depth):
    """The kernel of two images, position by position, with angles from trigonometry."""
    channels, side = first.shape[0], first.shape[-1]
    places = [(row, column) for row in range(side) for column in range(side)]

    def patch(values, p, q):
        total = 0.0
        for row in (-1, 0, 1):
            for column in (-1, 0, 1):
                one, other = (p[0] + row, p[1] + column), (q[0] + row, q[1] + column)
                total += values.get((one, other), 0.0)
        return total * 2 / 9

    def rectified(covariance, own, others):
        norm = math.sqrt(own * others)
        angle = math.acos(max(-1.0, min(1.0, covariance / norm)))
        mean = norm * (math.sin(angle) + (math.pi - angle) * math.cos(angle)) / (2 * math.pi)
        return mean, (math.pi - angle) / (2 * math.pi)

    def products(a, b):
        return {
            (p, q): sum(float(a[c, *p] * b[c, *q]) for c in range(channels)) / channels
            for p in places
            for q in places
        }

    mixed, own, others = products(first, second), products(first, first), products(second, second)
    tangent = dict.fromkeys(mixed, 0.0)
    for _ in range(depth):
        mixed, own, others, tangent = (
            {pair: patch(values, *pair) for pair in values}
            for values in (mixed, own, others, tangent)
        )
        tangent = {pair: tangent[pair] + mixed[pair] for pair in mixed}
        answers = {(p, q): rectified(mixed[p, q], own[p, p], others[q, q]) for p, q in mixed}
        own, others = (
            {(p, q): rectified(a[p, q], a[p, p], a[q, q])[0] for p, q in a} for a in (own, others)
        )
        mixed = {pair: mean for pair, (mean, _) in answers.items()}
        tangent = {pair: tangent[pair] * chance for pair, (_, chance) in answers.items()}
    return sum(mixed[pair] + tangent[pair] for pair in mixed) / len(places) ** 2


@pytest.mark.parametrize("depth", [1, 3])
def test_the_limit_is_what_loops_over_positions_find(depth):
    first, second = images(3, 3), images(2, 3, seed=1)
    kernel = infinite_width(first, second, depth)
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            assert float(kernel[i, j]) == pytest.approx(by_loops(one, other, depth), rel=1e-9)


def test_the_limit_of_a_set_with_itself_is_symmetric_and_positive():
    points = images(9, 4)
    kernel = infinite_width(points)
    torch.testing.assert_close(kernel, kernel.T)
    torch.testing.assert_close(kernel, infinite_width(points, points))
    assert torch.linalg.eigvalsh(kernel)[0] > 0


def test_black_images_have_no_kernel_and_break_nothing():
    points = torch.cat([images(2, 3), torch.zeros(1, 2, 3, 3, dtype=torch.float64)])
    kernel = infinite_width(points)
    assert kernel.isfinite().all()
    assert (kernel[2] == 0).all()


@pytest.mark.slow
def test_wide_networks_come_near_the_limit():
    points = images(4, 4)
    limit = infinite_width(points)

    def distance(channels):
        generator = torch.Generator().manual_seed(channels)
        drawn = [at_width(channels, points, generator) for _ in range(12)]
        return float((torch.stack(drawn) - limit).norm(dim=(1, 2)).mean() / limit.norm())

    narrow, wide = distance(8), distance(128)
    assert wide < narrow / 2.5  # 4 but for chance: it falls with the root of the width
    assert wide < 0.2


def test_the_kernel_of_a_network_is_that_of_finite_differences():
    points, channels, step = images(2, 3), 2, 1e-6
    kernel = at_width(channels, points, torch.Generator().manual_seed(3))
    network = drawn(channels, 2, 1, torch.Generator().manual_seed(3))
    slopes = []
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim == 1:
                assert (weight == 0).all()
                continue
            deviation = math.sqrt((2 if weight.ndim > 2 else 1) / weight[0].numel())
            for place in itertools.product(*map(range, weight.shape)):
                kept = weight[place].item()
                weight[place] = kept + deviation * step
                above = network(points)
                weight[place] = kept - deviation * step
                slopes.append((above - network(points)).squeeze(1) / (2 * step))
                weight[place] = kept
    jacobian = torch.stack(slopes, dim=1)
    torch.testing.assert_close(kernel, jacobian @ jacobian.T, rtol=1e-6, atol=1e-9)
