"""What a selection may answer, and which part of its answer is not that."""

import torch
from torch import Tensor

from al_bench.sampling.base import Chosen, CoreSet, Selection
from al_bench.strategies.contract import json_fault, kind_of, some_of


def with_replacement(selection: Selection | CoreSet) -> bool:
    """Whether the same point may be chosen more than once for a step."""
    return bool(getattr(selection, "with_replacement", False))


def fault(answer: object, batch_size: int, num_candidates: int, repeats: bool) -> str | None:
    """What is wrong with the answer of a selection's ``choose``, in a phrase; ``None`` if nothing.

    Args:
        answer: What it returned.
        batch_size: B, how many positions were asked for.
        num_candidates: n, how many there are.
        repeats: Whether it may choose a position twice.
    """
    if not isinstance(answer, Chosen):
        return f"choose returns a {type(answer).__name__}, no Chosen"
    said = _index_fault("positions", answer.positions, batch_size)
    if said is not None:
        return said
    chosen = answer.positions.tolist()
    if not repeats and len(set(chosen)) != batch_size:
        return f"positions {some_of(chosen)} repeat themselves (with_replacement = True says so)"
    if not (min(chosen) >= 0 and max(chosen) < num_candidates):
        return f"positions {some_of(chosen)} of {num_candidates}"
    return _weights_fault(answer.weights, batch_size) or json_fault("notes", answer.notes)


def core_set_fault(kept: object, indices: Tensor) -> str | None:
    """What is wrong with the answer of a core-set's ``keep``, in a phrase; ``None`` if nothing.

    Args:
        kept: What it returned.
        indices: (N,) int64, the pool indices of the training points.
    """
    said = _index_fault("indices to keep", kept, None)
    if said is not None:
        return said
    assert isinstance(kept, Tensor)
    if len(set(kept.tolist())) != len(kept):
        return f"indices to keep {some_of(kept.tolist())} repeat themselves"
    strange = kept[~torch.isin(kept, indices)]
    if len(strange):
        return f"indices to keep {some_of(strange.tolist())} are no training points"
    return None


def _index_fault(name: str, values: object, count: int | None) -> str | None:
    if not isinstance(values, Tensor):
        return f"{name} are a {type(values).__name__}, no tensor"
    if values.ndim != 1 or not len(values) or count not in (None, len(values)):
        asked = "one or more" if count is None else str(count)
        return f"{name} of shape {tuple(values.shape)}, {asked} were asked for"
    if values.dtype != torch.int64:
        return f"{name} are {kind_of(values)}, not int64"
    if values.device.type != "cpu":
        return f"{name} are not on the CPU"
    return None


def _weights_fault(weights: object, batch_size: int) -> str | None:
    if weights is None:
        return None
    if not isinstance(weights, Tensor):
        return f"weights are a {type(weights).__name__}, no tensor"
    if tuple(weights.shape) != (batch_size,):
        return f"weights of shape {tuple(weights.shape)} for {batch_size} points"
    if not weights.is_floating_point():
        return f"weights are {kind_of(weights)}, no floating-point numbers"
    if not bool(weights.isfinite().all()) or float(weights.min()) < 0:
        return f"weights {[round(float(w), 4) for w in weights[:20]]} are not finite from 0"
    return None
