"""Published forms of strategies, written again from their arithmetic, so that they can be timed.

N pool points, T targets, K posterior samples, C classes, D features, B batch size.
"""

from collections.abc import Callable

import numpy as np
import torch
from scipy import stats
from torch import Tensor

BROADCAST_BYTES = 2**26  # of one block of the broadcast form
GRADIENT_CHUNK = 50  # points whose gradients are formed at once, as in dynamicAL's code


def epig_broadcast(pool: Tensor, targets: Tensor) -> Tensor:
    """EPIG (N,) with a term for every pair, sample and two classes, in blocks of the pool.

    Args:
        pool: Probabilities (N, K, C).
        targets: Probabilities (T, K, C).
    """
    block = max(1, BROADCAST_BYTES // (4 * targets.numel() * targets.shape[2]))
    return torch.cat([_epig_block(part, targets) for part in pool.split(block)])


def _epig_block(pool: Tensor, targets: Tensor) -> Tensor:
    joint = (pool[:, None, :, :, None] * targets[None, :, :, None, :]).mean(dim=2)  # (n, T, C, C)
    apart = pool.mean(dim=1)[:, None, :, None] * targets.mean(dim=1)[None, :, None, :]
    return (joint.xlogy(joint) - joint.xlogy(apart)).sum(dim=(2, 3)).mean(dim=1)


def epig_matmul(pool: Tensor, targets: Tensor) -> Tensor:
    """EPIG (N,) as H[Y] + E H[Y*] - E H[Y, Y*], the joint entropy by one batched product."""
    num_targets, num_samples, num_classes = targets.shape
    flat = targets.permute(1, 0, 2).reshape(num_samples, num_targets * num_classes)
    joint = pool.transpose(1, 2) @ flat / num_samples  # (N, C, T·C)
    joint_entropy = -joint.xlogy(joint).sum(dim=(1, 2)) / num_targets
    pool, targets = pool.mean(dim=1), targets.mean(dim=1)
    entropy = -pool.xlogy(pool).sum(dim=1)
    return entropy - targets.xlogy(targets).sum(dim=1).mean() - joint_entropy


def badge_materialized(log_probs: Tensor, features: Tensor, batch_size: int) -> list[int]:
    """BADGE with every gradient embedding stored, and a difference of all for every center.

    Args:
        log_probs: (N, C).
        features: (N, D).
        batch_size: B.
    """
    errors = log_probs.exp()
    errors[torch.arange(len(errors)), log_probs.argmax(dim=1)] -= 1
    gradients = (errors[:, :, None] * features[:, None, :]).flatten(1)  # (N, C·D)
    generator = torch.Generator().manual_seed(0)
    picks = [int(gradients.square().sum(dim=1).argmax())]
    nearest = torch.full((len(gradients),), torch.inf)
    while len(picks) < batch_size:
        squared = (gradients - gradients[picks[-1]]).square_().sum(dim=1)
        nearest = torch.minimum(nearest, squared)
        nearest[picks] = 0
        picks.append(int(torch.multinomial(nearest.double(), 1, generator=generator)))
    return picks


def badge_numpy(
    probs: "np.ndarray[tuple[int, int], np.dtype[np.float64]]",
    features: "np.ndarray[tuple[int, int], np.dtype[np.float64]]",
    batch_size: int,
) -> list[int]:
    """BADGE from factored distances as in LabelBench and the authors' code.

    Float64 in NumPy, one matrix-vector product a factor, Python's own ``sum`` over the squared
    distances, and a discrete distribution of SciPy's for every center.

    Args:
        probs: (N, C).
        features: (N, D).
        batch_size: B.
    """
    state = np.random.RandomState(0)
    errors = -probs
    errors[np.arange(len(errors)), probs.argmax(axis=1)] += 1
    error_norms, feature_norms = (errors**2).sum(axis=1), (features**2).sum(axis=1)
    norms = error_norms * feature_norms
    picks = [int(norms.argmax())]
    nearest = None
    while len(picks) < batch_size:
        center = picks[-1]
        products = (errors @ errors[center]) * (features @ features[center])
        distances = np.sqrt(np.clip(norms + norms[center] - 2 * products, 0, None))
        nearest = distances if nearest is None else np.minimum(nearest, distances)
        nearest[picks] = 0
        weights = nearest**2 / sum(nearest**2)
        drawn = stats.rv_discrete(values=(np.arange(len(weights)), weights)).rvs(random_state=state)
        picks.append(int(drawn))
    return picks


def bait_direct(
    pool: tuple[Tensor, Tensor], labeled: tuple[Tensor, Tensor], batch_size: int, weight: float
) -> list[int]:
    """BAIT with every point's C × p matrix stored and applied anew to the inverse for each pick.

    As in the authors' code, without its moves between devices.

    Args:
        pool: Probabilities (N, C) and features (N, D).
        labeled: The same of the labeled set, (M, C) and (M, D).
        batch_size: B.
        weight: λ.
    """
    points, bought = fisher_roots(*pool), fisher_roots(*labeled)
    total = len(points) + len(bought)
    fisher = _gram(points).add_(_gram(bought)).div_(total)
    share = len(bought) / (len(bought) + batch_size)
    precision = _gram(bought).mul_(share / len(bought))
    precision.diagonal().add_(weight)
    inverse = torch.linalg.inv(precision)
    points = points * (1 - share) ** 0.5
    chosen: list[int] = []
    for _ in range(2 * batch_size):
        gains = _bait_gains(points, inverse, fisher, 1.0)
        best = next(int(i) for i in np.argsort(gains.numpy())[::-1] if i not in chosen)
        chosen.append(best)
        inverse = _bait_updated(points[best], inverse, 1.0)
    while len(chosen) > batch_size:
        losses = -_bait_gains(points[chosen], inverse, fisher, -1.0)
        worst = int(losses.argmin())
        inverse = _bait_updated(points[chosen[worst]], inverse, -1.0)
        del chosen[worst]
    return chosen


def fisher_roots(probs: Tensor, features: Tensor) -> Tensor:
    """X (n, C, C·D) with XᵀX the Fisher information of each prediction."""
    eye = torch.eye(probs.shape[1], dtype=probs.dtype)
    errors = probs.sqrt()[:, :, None] * (eye - probs[:, None, :])  # (n, C, C)
    return (errors[..., None] * features[:, None, None, :]).flatten(2)


def _gram(roots: Tensor) -> Tensor:
    rows = roots.flatten(0, 1)
    return rows.T @ rows


def _bait_gains(points: Tensor, inverse: Tensor, fisher: Tensor, sign: float) -> Tensor:
    left = points @ inverse  # (n, C, p)
    eye = sign * torch.eye(points.shape[1], dtype=points.dtype)
    inner = torch.linalg.inv(eye + left @ points.mT)
    outer = points @ inverse @ fisher @ inverse @ points.mT
    return (outer @ inner).diagonal(dim1=1, dim2=2).sum(dim=1)


def _bait_updated(point: Tensor, inverse: Tensor, sign: float) -> Tensor:
    eye = sign * torch.eye(len(point), dtype=point.dtype)
    middle = torch.linalg.inv(eye + point @ inverse @ point.T)
    return inverse - inverse @ point.T @ middle @ point @ inverse


def stored_gradients(
    network: torch.nn.Module, pool: Tensor, labeled: Tensor, labels: Tensor
) -> Tensor:
    """DynamicAL's scores (N,) from the stored gradient of every point, by ``torch.func``."""
    gradients, total = _gradients_of(network)
    stored = torch.cat([gradients(part) for part in pool.split(GRADIENT_CHUNK)])  # (N, P)
    return stored.square().sum(dim=1) + 2 * (stored @ total(labeled, labels))


def chunked_gradients(
    network: torch.nn.Module, pool: Tensor, labeled: Tensor, labels: Tensor
) -> Tensor:
    """The same, forgetting a chunk's gradients before the next."""
    gradients, total = _gradients_of(network)
    direction = total(labeled, labels)
    parts = []
    for part in pool.split(GRADIENT_CHUNK):
        found = gradients(part)
        parts.append(found.square().sum(dim=1) + 2 * (found @ direction))
    return torch.cat(parts)


def _gradients_of(
    network: torch.nn.Module,
) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]:
    """Per-sample gradients (n, P) for pseudo-labels, and the sum (P,) for labels."""
    parameters = {name: value.detach() for name, value in network.named_parameters()}

    def loss(values: dict[str, Tensor], point: Tensor, label: Tensor) -> Tensor:
        logits = torch.func.functional_call(network, values, (point[None],))
        return torch.nn.functional.cross_entropy(logits, label[None])

    of_each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))

    def flat(inputs: Tensor, labels: Tensor) -> Tensor:
        found = of_each(parameters, inputs, labels)
        return torch.cat([value.flatten(1) for value in found.values()], dim=1).detach()

    def gradients(inputs: Tensor) -> Tensor:
        with torch.no_grad():
            labels = network(inputs).argmax(dim=1)
        return flat(inputs, labels)

    def total(inputs: Tensor, labels: Tensor) -> Tensor:
        chunks = zip(inputs.split(GRADIENT_CHUNK), labels.split(GRADIENT_CHUNK), strict=True)
        return torch.stack([flat(*chunk).sum(dim=0) for chunk in chunks]).sum(dim=0)

    return gradients, total
