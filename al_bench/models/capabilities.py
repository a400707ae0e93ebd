"""What a posterior may offer beside predictions: one table, of which all else is read.

n points, N pool points, K posterior samples, C classes, D features.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from al_bench.errors import AlBenchError
from al_bench.models.base import (
    DENSITY,
    FEATURES,
    GRADIENTS,
    LOGITS,
    NETWORK,
    SAMPLES,
    GradientFactors,
    Network,
    Posterior,
)

ROUNDING = 1e-3  # of what is given for a point: between chunks, and of a sum of probabilities
ONE_NETWORK = "Use model=deterministic or model=mc_dropout."
OF_ONE_NETWORK = frozenset({GRADIENTS, NETWORK, LOGITS})  # which an ensemble has not
MC_DROPOUT = "model=mc_dropout with a network that drops units (model.network.dropout=0.5)"

Fault = Callable[[Posterior, Tensor], str | None]
Example = Callable[[Tensor, Tensor], Any]


@dataclass(frozen=True)
class Capability:
    """Something that a posterior may provide and a strategy may need.

    Args:
        words: What it is, as in "needs … , which model=… does not provide".
        method: Of a posterior: inputs (n, *input_shape) to a tensor, or a named tuple of tensors,
            with a row a point. A view gives it of the whole pool by the same name, and with
            ``labeled_`` and ``target_`` before it of the labeled set and of target inputs.
        promise: What ``al-bench check model=`` says that it holds a model to.
        fault: What is wrong with what a posterior gives for inputs, or ``None``.
        example: From log-probabilities (N, K, C) and features (N, D) to what a view of the small
            pools of ``al-bench check strategy=`` gives; ``None`` for what is no row a point, so
            that views have methods of their own.
        hint: What to type where a model lacks it.
    """

    words: str
    method: str
    promise: str
    fault: Fault
    example: Example | None = None
    hint: str = "Use another model."


def offered(posterior: Posterior, name: str) -> Callable[..., Any]:
    """The method of ``posterior`` that gives the capability ``name``.

    Raises:
        AlBenchError: It says that it provides it, and has no such method.
    """
    method = CAPABILITIES[name].method
    found: Callable[..., Any] | None = getattr(posterior, method, None)
    if found is None:
        kind = type(posterior).__name__
        raise AlBenchError(f"{kind} provides {name}, but has no method {method}.")
    return found


def asked_of_view(method: str) -> tuple[str, str] | None:
    """What a method of a view gives, and of which points: ``pool``, ``labeled`` or ``target``.

    ``None`` where no line of the table makes it one.
    """
    for prefix, points in (("labeled_", "labeled"), ("target_", "target"), ("", "pool")):
        for name, capability in CAPABILITIES.items():
            if capability.example is not None and method == prefix + capability.method:
                return name, points
    return None


def rows_fault(values: object, again: object, count: int) -> str | None:
    """What keeps ``values`` from being a row a point that is the same whatever others are shown.

    Args:
        values: A tensor or a named tuple of tensors, of n points.
        again: The same of the first ``count`` of them, shown by themselves.
        count: Fewer than n.
    """
    for one, other in zip(tensors(values), tensors(again), strict=True):
        if one.dtype not in (torch.float32, torch.float64) or one.requires_grad:
            return f"it is {one.dtype}{' with gradients' if one.requires_grad else ''}, not float32"
        if len(other) != count or one.shape[1:] != other.shape[1:]:
            return f"{count} points give the shape {tuple(other.shape)}"
        if bool(one.isnan().any()):
            return "some of it is NaN"
        # Relative to what is usual: densities are sums of hundreds.
        scale = one.abs().double().clamp_max(1e30).mean().clamp_min(1.0)
        if not torch.allclose(
            one[:count].double(), other.double(), rtol=ROUNDING, atol=float(ROUNDING * scale)
        ):
            return "the same points give something else beside others"
    return None


def tensors(values: object) -> tuple[Tensor, ...]:
    """``values``, a tensor or a named tuple of tensors, as tensors."""
    return (values,) if isinstance(values, Tensor) else tuple(values)  # type: ignore[arg-type]


def of_each_point(name: str) -> Fault:
    """The check of a capability that is a row a point: ``rows_fault``."""

    def fault(posterior: Posterior, inputs: Tensor) -> str | None:
        give = offered(posterior, name)
        given = give(inputs)
        if any(len(rows) != len(inputs) for rows in tensors(given)):
            return f"it has no row a point: {[tuple(rows.shape) for rows in tensors(given)]}"
        few = len(inputs) // 2
        return rows_fault(given, give(inputs[:few]), few)

    return fault


def _samples_fault(posterior: Posterior, inputs: Tensor) -> str | None:
    found = posterior.log_probs(inputs)
    equal = bool((found == found[:, :1]).all())
    return f"all {found.shape[1]} samples are the same" if equal else None


def _gradients_fault(posterior: Posterior, inputs: Tensor) -> str | None:
    factors: GradientFactors = offered(posterior, GRADIENTS)(inputs)
    off = float(factors.log_probs.double().logsumexp(dim=1).abs().max())
    if off > ROUNDING:
        return f"the logarithms of the sums of probabilities are up to {off:.2g}, not 0"
    return of_each_point(GRADIENTS)(posterior, inputs)


def _network_fault(posterior: Posterior, inputs: Tensor) -> str | None:
    give = offered(posterior, NETWORK)
    network, other = give(), give()
    if not isinstance(network, Network):
        return f"it is a {type(network).__name__}, not an al_bench.models.base.Network"
    if network is other:
        return "it is the same object every time, not the caller's own"
    if network.training:
        return "it is in training mode"
    with torch.no_grad():
        shape = tuple(network(inputs[:2]).shape)
    classes = posterior.log_probs(inputs[:1]).shape[2]
    return None if shape == (2, classes) else f"two points give the shape {shape}, not (2, C)"


CAPABILITIES: dict[str, Capability] = {
    SAMPLES: Capability(
        "posterior samples that differ",
        "log_probs",
        "Posterior samples differ where the model says that it has some",
        _samples_fault,
        hint=f"Use model=deep_ensemble, or {MC_DROPOUT}.",
    ),
    FEATURES: Capability(
        "features",
        "features",
        "Features are a row a point, the same beside whatever others",
        of_each_point(FEATURES),
        example=lambda log_probs, features: features,
    ),
    GRADIENTS: Capability(
        "last-layer gradients",
        "gradient_factors",
        "Factors of last-layer gradients are a row a point, whose probabilities sum to 1",
        _gradients_fault,
        example=lambda log_probs, features: GradientFactors(
            log_probs.logsumexp(dim=1).log_softmax(dim=-1), features
        ),
        hint=ONE_NETWORK,
    ),
    NETWORK: Capability(
        "the gradients of one network",
        "network",
        "The network is the caller's own, in evaluation mode, and gives a logit a class",
        _network_fault,
        hint=ONE_NETWORK,
    ),
    LOGITS: Capability(
        "logits of one network",
        "logits",
        "Logits are a row a point, the same beside whatever others",
        of_each_point(LOGITS),
        example=lambda log_probs, features: log_probs.logsumexp(dim=1),
        hint=ONE_NETWORK,
    ),
    DENSITY: Capability(
        "densities of features",
        "log_density",
        "Log densities of features are a number a point, the same beside whatever others",
        of_each_point(DENSITY),
        example=lambda log_probs, features: 2.0 - features.double().square().sum(dim=1),
        hint="Use model=ddu.",
    ),
}
