"""Information between the label of a point and the predictions on target inputs, in nats.

n candidates x, T target inputs x*, K posterior samples ω_1 … ω_K, C classes. Labels in capitals are
random: all of this is expected; ``al_bench.information.observed`` has what a known label tells.

Candidate and target labels are independent given ω, so whatever V is made of target labels tells
of Y only through ω, and

    I[Y; V | x] = I[Y; Ω | x] - I[Y; Ω | x, V].

That difference is at most I[Y; Ω | x] (BALD), and 0 where that is.
"""

import math

import torch
from torch import Tensor
from torch.special import entr

from al_bench.information.entropies import (
    COARSE,
    ROUNDING,
    mutual_information,
    predictive_log_probs,
)
from al_bench.information.joint import JointOutcomes
from al_bench.information.precision import refined

SATURATED = 1e-6  # nats left about Ω once the targets' labels are known: no more are needed
IMPOSSIBLE = math.log(1e-12)  # log-probabilities of soft labels are no lower


def marginal_outcomes(target_log_probs: Tensor) -> JointOutcomes:
    """The label of one target input drawn at random, as outcomes: T · C of them at most.

    Args:
        target_log_probs: Log-probabilities (T, K, C) under the same posterior samples.
    """
    check_shape(target_log_probs)
    num_targets, num_samples, _ = target_log_probs.shape
    logs = _normalized(target_log_probs)
    joint = logs.exp().transpose(1, 2).reshape(-1, num_samples)  # (T * C, K)
    mass = joint.sum(dim=1)
    possible = mass > 0
    posterior = joint[possible] / mass[possible, None]
    mass = mass[possible] / (num_samples * num_targets)
    nats = mass * entr(posterior).sum(dim=1)
    return JointOutcomes(posterior, mass, nats, chance=torch.ones_like(mass))


def joint_outcomes(
    target_log_probs: Tensor, max_outcomes: int, generator: torch.Generator
) -> JointOutcomes:
    """The labels of all target inputs together, as outcomes.

    Exact while the outcomes that leave something to be learnt about Ω fit, then a weighted sample
    of them that leaves expectations unbiased. Targets are no longer looked at once the others'
    labels leave less than ``SATURATED`` nats of Ω in doubt: no score can change by more.

    Args:
        target_log_probs: Log-probabilities (T, K, C) under the same posterior samples.
        max_outcomes: Outcomes to keep at most.
        generator: Draws the sample; unused while everything fits.
    """
    check_shape(target_log_probs)
    logs = _normalized(target_log_probs)
    outcomes = JointOutcomes.none(target_log_probs.shape[1], target_log_probs.device)
    for point in logs:
        if outcomes.remaining < SATURATED:
            break
        outcomes = outcomes.extended(point, max_outcomes, generator)
    return outcomes


def soft_outcome(target_log_probs: Tensor) -> JointOutcomes:
    """The one outcome in which every target input has the average prediction as a soft label.

    Self-distillation in K samples: p(ω_k) ∝ exp Σ_t Σ_y p̄(y | x*_t) log p(y | x*_t, ω_k), where
    log-probabilities count as no lower than log 1e-12. With many targets few of the K samples keep
    any weight.

    Args:
        target_log_probs: Log-probabilities (T, K, C) under the same posterior samples.
    """
    check_shape(target_log_probs)
    logs = _normalized(target_log_probs)
    soft = predictive_log_probs(logs).exp()  # (T, C)
    clipped = logs.clamp_min(IMPOSSIBLE)
    posterior = torch.einsum("tc,tkc->k", soft, clipped).softmax(dim=0)[None]  # (1, K)
    one = torch.ones(1, dtype=torch.float64, device=posterior.device)
    return JointOutcomes(posterior, one, entr(posterior).sum(dim=1), chance=one)


def conditional_information(
    log_probs: Tensor, outcomes: JointOutcomes, dtype: torch.dtype = torch.float32
) -> Tensor:
    """I[Y; Ω | x, V], what the label of x still tells once the outcome of V is known.

    The matrix product is in ``dtype``, sums are in float64: in float32 good to about 1e-6 nats.

    Args:
        log_probs: Log-probabilities (n, K, C).
        outcomes: Of V, under the same posterior samples.
        dtype: float32 or float64.

    Returns:
        Nats, float64, between 0 and log min(K, C), (n,).
    """
    size = outcomes.block_size(log_probs.shape[2])
    return torch.cat([outcomes.gains(part, dtype) for part in torch.split(log_probs, size)])


def information_about(log_probs: Tensor, outcomes: JointOutcomes) -> Tensor:
    """I[Y; V | x] between the label of x and the outcome of V.

    V is whatever ``outcomes`` describes: ``marginal_outcomes`` of targets make it EPIG,
    ``joint_outcomes`` JEPIG, and those of another point the information between two labels.
    Computed in float32, and again in float64 where it is below ``COARSE`` nats.

    Args:
        log_probs: Log-probabilities (n, K, C).
        outcomes: Of V, under the same posterior samples.

    Returns:
        Nats, float64, (n,), between 0 and I[Y; Ω | x]; good to about a relative 1e-3 and to 1e-7 of
        I[Y; Ω | x]; exactly 0 below ``ROUNDING`` nats.
    """
    return _difference(log_probs, outcomes).clamp_min(0.0)


def epig(log_probs: Tensor, target_log_probs: Tensor) -> Tensor:
    """Expected predictive information gain E_x* I[Y; Y* | x, x*].

    Bickford Smith et al. (2023), arXiv:2304.08151. The expectation over x* is the average over the
    T given targets. Given those and the K samples it is exact up to rounding (1e-6 nats; a relative
    1e-6 and better below ``COARSE``, where it is computed again in float64).

    Cost: a matrix product of 2 N K T C² operations and N T C² logarithms, and three to four times
    that again for the candidates below ``COARSE``.

    Args:
        log_probs: Log-probabilities of the candidates (n, K, C).
        target_log_probs: Log-probabilities of the targets (T, K, C), under the same samples.

    Returns:
        Nats, float64, (n,), between 0 and I[Y; Ω | x].
    """
    check_targets(log_probs, target_log_probs)
    return information_about(log_probs, marginal_outcomes(target_log_probs))


def jepig(
    log_probs: Tensor,
    target_log_probs: Tensor,
    max_outcomes: int = 10_000,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Joint expected predictive information gain I[Y; Y*_1, …, Y*_T | x, x*_1, …, x*_T].

    Kirsch et al. (2021), arXiv:2106.11719. At least E_x* I[Y; Y* | x, x*] (EPIG) of the same
    targets, at most I[Y; Ω | x] (BALD), which it reaches as the targets' labels together tell which
    of the K samples is true.

    Args:
        log_probs: Log-probabilities of the candidates (n, K, C).
        target_log_probs: Log-probabilities of the targets (T, K, C), under the same samples.
        max_outcomes: Joint labelings of the targets to keep: exact while they fit, then an unbiased
            sample (before the clamp at 0).
        generator: Draws the sample; ``None`` refuses to sample.

    Returns:
        Nats, float64, (n,), between 0 and I[Y; Ω | x].

    Raises:
        ValueError: The labelings do not fit and there is no generator.
    """
    check_targets(log_probs, target_log_probs)
    outcomes = joint_outcomes(target_log_probs, max_outcomes, generator or torch.Generator())
    if generator is None and not outcomes.exact:
        raise ValueError(f"more than {max_outcomes} outcomes need a generator to be sampled")
    return information_about(log_probs, outcomes)


def evaluation_information_gain(log_probs: Tensor, target_log_probs: Tensor) -> Tensor:
    """I[Y; Ω | x] minus the same once Ω has been fitted to its own predictions on the targets.

    Kirsch et al. (2021), arXiv:2106.11719. An estimate of JEPIG in which one soft outcome
    (``soft_outcome``) stands for the expectation over the targets' labels, so it may be negative.

    Args:
        log_probs: Log-probabilities of the candidates (n, K, C).
        target_log_probs: Log-probabilities of the targets (T, K, C), under the same samples.

    Returns:
        Nats, float64, (n,), between -log min(K, C) and log min(K, C); 0 where the samples agree.
    """
    check_targets(log_probs, target_log_probs)
    return _difference(log_probs, soft_outcome(target_log_probs))


def _difference(log_probs: Tensor, outcomes: JointOutcomes) -> Tensor:
    """I[Y; Ω | x] - I[Y; Ω | x, V], (n,), in float64 where float32 is too coarse for it."""
    information = mutual_information(log_probs)

    def exact(part: Tensor) -> Tensor:
        before = mutual_information(part)
        return before - conditional_information(part, outcomes, torch.float64)

    difference = information - conditional_information(log_probs, outcomes)
    good = (difference.abs() >= COARSE) | (information == 0)
    difference = refined(difference, good, exact, log_probs)
    return difference.masked_fill((information == 0) | (difference.abs() < ROUNDING), 0.0)


def _normalized(target_log_probs: Tensor) -> Tensor:
    """In float64, their probabilities summing to 1: float32's do so to 1e-7 only.

    Else weights of the samples, averaged over outcomes, are not equal, and I[Y; Ω | x] would not
    cancel in a difference to better than 1e-7 of it.
    """
    if target_log_probs.isnan().any():
        raise ValueError("log-probabilities of target inputs are NaN")
    return target_log_probs.double().log_softmax(dim=-1)


def check_shape(log_probs: Tensor) -> None:
    """Raise ValueError unless ``log_probs`` are (n, K, C)."""
    if log_probs.ndim != 3 or 0 in log_probs.shape[1:]:
        raise ValueError(f"log_probs must have shape (n, K, C), got {tuple(log_probs.shape)}")


def check_targets(log_probs: Tensor, target_log_probs: Tensor) -> None:
    """Raise ValueError unless targets are (T, K, C) with the K and C of ``log_probs``."""
    check_shape(log_probs)
    if len(target_log_probs) == 0 or target_log_probs.shape[1:] != log_probs.shape[1:]:
        raise ValueError(
            f"target_log_probs must have shape (T, K, C) with K, C = {tuple(log_probs.shape[1:])}, "
            f"got {tuple(target_log_probs.shape)}"
        )
