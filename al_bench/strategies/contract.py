"""What a strategy may answer, and which part of its answer is not that."""

import json
from collections.abc import Mapping

import torch
from torch import Tensor

from al_bench.strategies.base import Selection


def fault(answer: object, batch_size: int, pool_size: int) -> str | None:
    """What is wrong with the answer of a strategy's ``select``, in a phrase; ``None`` if nothing.

    Args:
        answer: What it returned.
        batch_size: B, how many positions were asked for.
        pool_size: N, how many there are.
    """
    if not isinstance(answer, Selection):
        return f"select returns a {type(answer).__name__}, no Selection"
    positions, scores = answer.positions, answer.scores
    for name, values in (("positions", positions), ("scores", scores)):
        if not isinstance(values, Tensor):
            return f"{name} are a {type(values).__name__}, no tensor"
    if not tuple(positions.shape) == tuple(scores.shape) == (batch_size,):
        return f"{tuple(positions.shape)} positions and {tuple(scores.shape)} scores"
    if positions.dtype != torch.int64:
        return f"positions are {kind_of(positions)}, not int64"
    if scores.dtype != torch.float64:
        return f"scores are {kind_of(scores)}, not float64"
    if {positions.device.type, scores.device.type} != {"cpu"}:
        return "positions or scores are not on the CPU"
    chosen = positions.tolist()
    if len(set(chosen)) != batch_size:
        return f"positions {some_of(chosen)} repeat themselves"
    if not (min(chosen) >= 0 and max(chosen) < pool_size):
        return f"positions {some_of(chosen)} of {pool_size}"
    if scores.isinf().any():
        at = positions[scores.isinf()].tolist()
        return f"scores at positions {some_of(at)} are infinite (NaN where there is none)"
    return json_fault("notes", answer.notes) or (
        None if answer.state is None else json_fault("state", answer.state)
    )


def json_fault(name: str, content: object) -> str | None:
    """What keeps a mapping called ``name`` from being stored, in a phrase; ``None`` if nothing."""
    if not isinstance(content, Mapping):
        return f"{name} are a {type(content).__name__}, no mapping"
    if wrong := [key for key in content if not isinstance(key, str)]:
        return f"{name} have the key {wrong[0]!r}, no text"
    try:
        json.dumps(dict(content), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        return f"{name} do not fit into JSON: {error}"
    return None


def kind_of(values: Tensor) -> str:
    """The numbers' type, as messages name it."""
    return str(values.dtype).removeprefix("torch.")


def some_of(numbers: list[int]) -> str:
    """Up to twenty of these numbers, as messages show them."""
    return str(numbers) if len(numbers) <= 20 else f"[{', '.join(map(str, numbers[:20]))}, …]"
