"""Functions of single points: in float32 where that is good enough, and in the cache.

n points, K posterior samples, C classes.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

PIECE = 2**16  # numbers for each thread, on the CPU: they and a temporary stay in a core's cache
SHARED = 2**15  # numbers of one sum that torch divides among threads, if it is the only one
DEVICE_PIECE = 2**26  # numbers elsewhere: enough to keep the device busy
LEAST = -1000.0  # log-probabilities from here down are those of 0


def in_float32(function: Callable[[Tensor], list[Tensor]], log_probs: Tensor) -> list[Tensor]:
    """What ``function`` makes of each point, by pieces of them, (n, …) float64 each.

    A pass in float32 costs less than one in float64.

    Args:
        function: Of log-probabilities (n, K, C), to several numbers of each point.
        log_probs: Log-probabilities; float64 ones stay so.
    """
    parts = [function(at_least_float32(piece)) for piece in pieces(log_probs)]
    return [torch.cat(part).double() for part in zip(*parts, strict=True)]


def refined(
    values: Tensor, good: Tensor, exact: Callable[[Tensor], Tensor], log_probs: Tensor
) -> Tensor:
    """``values``, computed again in float64 where they are not good, or can be better.

    Args:
        values: Of each point, (n,) float64, overwritten.
        good: Where float32 was precise enough, (n,); not where a value is NaN. Values of other than
            float32 log-probabilities are all computed again.
        exact: The values of float64 log-probabilities, which are at least ``LEAST``.
        log_probs: Log-probabilities (n, K, C).

    Returns:
        (n,) float64; NaN where a log-probability is NaN.
    """
    if log_probs.dtype != torch.float32:
        good = torch.zeros_like(good)
    for rows in torch.split((~good).nonzero().squeeze(1), points_in_piece(log_probs)):
        values[rows] = exact(log_probs[rows].double().clamp_min_(LEAST))
    return values


def pieces(log_probs: Tensor) -> Iterator[Tensor]:
    """The points (n, K, C) in pieces that temporaries can be made of without leaving the cache."""
    yield from torch.split(log_probs, points_in_piece(log_probs))


def points_in_piece(log_probs: Tensor) -> int:
    """At least 1; never another number for the last piece where that would change results."""
    each = max(1, log_probs[:1].numel())
    if log_probs.device.type != "cpu":
        return max(1, DEVICE_PIECE // each)
    if each >= SHARED:
        return 1
    return max(1, PIECE * torch.get_num_threads() // each)


def at_least_float32(log_probs: Tensor) -> Tensor:
    """The same numbers in float32, or in float64 if they are."""
    return log_probs if log_probs.dtype == torch.float64 else log_probs.float()
