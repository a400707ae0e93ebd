"""Standard normal noise that is a function of where it is, not of when it is asked for.

SplitMix64 (Steele, Lea and Flood 2014) hashes a point and an element to 64 bits; 16 bits at a time
they choose one of 65,536 equally likely steps of the normal distribution. Hashing, looking up and
adding two numbers are exact, so the noise is the same bits in any chunk, order and on any device.
"""

import functools
import math

import torch
from torch import Tensor

STEPS = 2**16
_GOLDEN = 0x9E3779B97F4A7C15 - 2**64  # the odd constants of SplitMix64 as signed numbers
_FIRST = 0xBF58476D1CE4E5B9 - 2**64
_SECOND = 0x94D049BB133111EB - 2**64


def normal_noise(key: int, copy: Tensor, position: Tensor, num_elements: int) -> Tensor:
    """Independent draws from N(0, 1), float32, at most about 6 in size: (n, num_elements).

    Args:
        key: Between 0 and 2**64 - 1.
        copy: (n,) int64.
        position: (n,) int64, on the same device.
        num_elements: Draws per point.
    """
    pairs = -(-num_elements // 2)  # 64 bits make two draws
    signed_key = key - 2**64 if key >= 2**63 else key
    point = _mix(_mix(copy * _GOLDEN + signed_key) + position * _GOLDEN)  # (n,)
    counter = torch.arange(1, pairs + 1, device=point.device) * _GOLDEN
    bits = _mix(point[:, None] + counter)  # (n, pairs)
    steps = bits.view(torch.int16).to(torch.int32).add_(STEPS // 2)  # (n, 4 * pairs)
    values = _table(point.device).index_select(0, steps.view(-1)).view(-1, 2 * pairs, 2)
    return (values[..., 0] + values[..., 1])[:, :num_elements]


def _mix(state: Tensor) -> Tensor:
    """SplitMix64's output function on int64, which wraps around as unsigned numbers would."""
    state = state ^ _shift(state, 30)
    state *= _FIRST
    state ^= _shift(state, 27)
    state *= _SECOND
    state ^= _shift(state, 31)
    return state


def _shift(state: Tensor, by: int) -> Tensor:
    """Logical shift to the right; the operator's own would repeat the sign bit."""
    return (state >> by).bitwise_and_(2 ** (64 - by) - 1)


@functools.cache
def _table(device: torch.device) -> Tensor:
    """N(0, 1/2) in equally likely steps, each at its mean: (STEPS,), float32.

    Two of them add up to N(0, 1); the sum of two tables is finer (2**32 values) and its tails are
    longer than one table's.
    """
    edges = torch.special.ndtri(torch.linspace(0, 1, STEPS + 1, dtype=torch.float64))
    density = torch.exp(-edges.square() / 2) / math.sqrt(2 * math.pi)
    means = (density[:-1] - density[1:]) * STEPS
    means = means / (2 * means.square().mean()).sqrt()  # the steps' own spread is left out
    return means.to(torch.float32).to(device)
