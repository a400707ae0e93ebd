"""D² sampling, the seeding of k-means++: spread-out points, drawn one by one.

N points, B points to draw.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

EXPECTED = 16  # columns that are computed in about the time of two


def d2_sample(
    column: Callable[[int], Tensor],
    num_points: int,
    batch_size: int,
    generator: torch.Generator,
    *,
    first: int | None = None,
    nearest: Tensor | None = None,
    expect: Callable[[list[int]], None] | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw distinct points in proportion to their squared distance to the nearest center.

    Arthur and Vassilvitskii (2007). Every point drawn is a center for the following draws. Points
    at distance 0 of a center are drawn only when nothing else is left, then uniformly.

    Draws are decided by one unit exponential clock a point, run down at the rate of its weight:
    the first to ring is drawn, and by memorylessness the others remain unit exponential. That needs
    N random numbers in all and no cumulative sum, so a rounding error in a distance, or another
    order of the points, cannot pass a draw on to a neighbor.

    Args:
        column: Squared distances (N,) of all points to the point at a position, on any device; 0
            for exact copies. Called once a draw except for the last.
        num_points: N.
        batch_size: B, between 1 and N.
        generator: The only source of randomness.
        first: Position of the first center; ``None`` draws it as the others are.
        nearest: (N,) squared distances to the nearest of the centers that are there already, for
            example the labeled points; ``None`` for no centers, the first is then uniform.
        expect: Called before ``column`` with that position and those of some points that are likely
            to be drawn soon, likeliest first, so that their columns can be computed together; what
            it does cannot change what is drawn.

    Returns:
        Positions (B,) int64 in the order in which they were drawn, and their squared distances to
        the nearest center at that moment, (B,) float64, NaN where there was no center; both on the
        CPU.

    Raises:
        ValueError: B is not between 1 and N, or a distance is NaN or infinite.
    """
    if not 1 <= batch_size <= num_points:
        raise ValueError(f"cannot draw {batch_size} of {num_points} points")
    clock = torch.empty(num_points, dtype=torch.float64).exponential_(generator=generator)
    left = torch.ones(num_points, dtype=torch.float64)  # 0 where drawn
    if nearest is not None:
        clock, left = clock.to(nearest.device), left.to(nearest.device)
        nearest = nearest.double()
    positions: list[int] = []
    squared: list[float] = []
    for rank in range(batch_size):
        rates = _rates(nearest, left)
        times = clock / rates  # infinite where the rate is 0
        position = first if rank == 0 and first is not None else int(times.argmin())
        if position != first or rank:
            clock = (clock - rates * times[position]).clamp_min_(torch.finfo(clock.dtype).tiny)
        positions.append(position)
        squared.append(math.nan if nearest is None else float(nearest[position]))
        missing = batch_size - rank - 1
        if missing:
            if expect is not None:
                # Clocks only slow down from here on, so the next to ring now are good guesses.
                soon = min(EXPECTED, missing if nearest is not None else 1)
                rings, guesses = times.topk(min(soon + 1, num_points), largest=False)
                guesses = guesses[rings.isfinite() & (guesses != position)]
                expect([position, *guesses.tolist()][:soon])
            distances = column(position).double()
            clock, left = clock.to(distances.device), left.to(distances.device)
            left[position] = 0.0
            nearest = distances if nearest is None else torch.minimum(nearest, distances)
    return torch.tensor(positions), torch.tensor(squared, dtype=torch.float64)


def _rates(nearest: Tensor | None, left: Tensor) -> Tensor:
    """(N,) weights, the largest 1; equal ones where every point left is a copy of a center."""
    if nearest is None:
        return left
    weights = nearest.clamp_min(0.0) * left
    largest = float(weights.max())
    if not math.isfinite(largest):
        raise ValueError("squared distances are NaN or infinite")
    return weights / largest if largest > 0 else left
