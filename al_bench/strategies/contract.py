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
        return f"positions are {_kind(positions)}, not int64"
    if scores.dtype != torch.float64:
        return f"scores are {_kind(scores)}, not float64"
    if {positions.device.type, scores.device.type} != {"cpu"}:
        return "positions or scores are not on the CPU"
    chosen = positions.tolist()
    if len(set(chosen)) != batch_size:
        return f"positions {_some(chosen)} repeat themselves"
    if not (min(chosen) >= 0 and max(chosen) < pool_size):
        return f"positions {_some(chosen)} of {pool_size}"
    if scores.isinf().any():
        at = positions[scores.isinf()].tolist()
        return f"scores at positions {_some(at)} are infinite (NaN where there is none)"
    return _no_json("notes", answer.notes) or (
        None if answer.state is None else _no_json("state", answer.state)
    )


def _no_json(name: str, content: object) -> str | None:
    if not isinstance(content, Mapping):
        return f"{name} are a {type(content).__name__}, no mapping"
    if wrong := [key for key in content if not isinstance(key, str)]:
        return f"{name} have the key {wrong[0]!r}, no text"
    try:
        json.dumps(dict(content), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        return f"{name} do not fit into JSON: {error}"
    return None


def _kind(values: Tensor) -> str:
    return str(values.dtype).removeprefix("torch.")


def _some(numbers: list[int]) -> str:
    return str(numbers) if len(numbers) <= 20 else f"[{', '.join(map(str, numbers[:20]))}, …]"
