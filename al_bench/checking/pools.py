"""The pools that a strategy is checked on: ordinary ones, and every kind of degenerate one."""

from collections.abc import Callable

import torch

from al_bench.checking.views import FakeView, log_probs, one_hot

POOLS: dict[str, Callable[[], FakeView]] = {
    "ordinary": lambda: FakeView(log_probs(12, 6, 4)),
    "two classes": lambda: FakeView(log_probs(9, 5, 2)),
    "one posterior sample": lambda: FakeView(log_probs(8, 1, 3)),
    "one point": lambda: FakeView(log_probs(1, 4, 3)),
    "uniform predictions": lambda: FakeView(torch.full((8, 4, 5), 0.2).log()),
    "one-hot predictions": lambda: FakeView(one_hot(10, 5, 3)),
    "certain predictions": lambda: FakeView(
        torch.eye(3)[[0, 1, 2, 0, 1, 2]][:, None].repeat(1, 4, 1).log()
    ),
    "equal predictions": lambda: FakeView(log_probs(1, 6, 4).repeat(7, 1, 1)),
    "identical samples": lambda: FakeView(log_probs(8, 1, 4).repeat(1, 5, 1)),
    "identical points": lambda: identical_points(7),
    "features that are zero": lambda: FakeView(log_probs(8, 4, 3), torch.zeros(8, 5)),
    "one labeled point": lambda: FakeView(log_probs(8, 4, 3), num_labeled=1),
    "no labeled point": lambda: FakeView(log_probs(8, 4, 3), num_labeled=0),
}


def identical_points(num_points: int) -> FakeView:
    """Points that nothing tells apart."""
    return FakeView(log_probs(1, 4, 3).repeat(num_points, 1, 1), torch.ones(num_points, 5))


def two_copies() -> FakeView:
    """Six points, of which those at 1 and 5 are the same."""
    view = FakeView(log_probs(6, 5, 3, seed=4))
    view.given[5], view.embedding[5] = view.given[1], view.embedding[1]
    return view


def disagreeing(num_points: int, num_disagreeing: int) -> FakeView:
    """Certain posterior samples that agree, but for those of the points from 10 on."""
    agreed = torch.zeros(num_points, 6, dtype=torch.int64)
    generator = torch.Generator().manual_seed(5)
    drawn = torch.randint(3, (num_disagreeing, 6), generator=generator)
    drawn[:, 0], drawn[:, 1] = 1, 2
    agreed[10 : 10 + num_disagreeing] = drawn
    return FakeView(torch.nn.functional.one_hot(agreed, 3).float().log())
