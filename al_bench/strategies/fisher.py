"""Fisher forms of EIG, EPIG and JEPIG on a last-layer Laplace posterior.

N pool points, M labeled points, T targets, C classes, D features, B batch size. The posterior has
precision δ I + the labeled set's Fisher information, of the last layer's weights and bias. It is
made of the view's gradient factors alone, so these strategies go with every model that provides
GRADIENTS, whatever its own posterior is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.errors import ConfigError, choose, keyed, require_number, require_whole
from al_bench.information.fisher import (
    Conditioned,
    cleaned,
    given_targets,
    half_trace,
)
from al_bench.information.last_layer import Points, posterior_of
from al_bench.models.base import GRADIENTS, GradientFactors
from al_bench.strategies.base import Notes, PoolView, Selection, require_batch_size
from al_bench.strategies.last_layer import require_float64, require_matrices
from al_bench.strategies.rules import top

FORMS = ("logdet", "trace")


@dataclass(frozen=True)
class FisherEIG:
    """Expected information gain of the batch about the last layer, in its Fisher form.

    Kirsch and Gal (2022), arXiv:2208.00549. ``form=logdet`` maximises ½ log det(I + Σ_B F Σ)
    greedily, where F = (diag p - p pᵀ) ⊗ z zᵀ is a point's Fisher information and Σ the posterior
    covariance: what BatchBALD estimates from samples, without saturation at log K. ``form=trace``
    takes the B largest ½ tr(F Σ), an upper bound that knows nothing of redundancy in the batch.

    Cost: O(N C² D²) once, then O(N C² (C + D)) a pick; memory O(N (D + C²) + C² D²). Never N × C D.
    Beyond 6,000 weights C (D + 1) the labeled set's Fisher information is Kronecker-factored.

    The authors' notebook scores single points one by one and fits δ to the evidence; here the batch
    is greedy and δ a parameter, since a view tells gradients but no weights. The log-det form is
    submodular, so greedy has at least 1 - 1/e of the best batch's information; every candidate is
    brought up to date at every pick all the same.

    Args:
        form: ``logdet`` or ``trace``.
        prior_precision: δ of the prior N(0, I / δ) over weights and bias.
    """

    form: str = "logdet"
    prior_precision: float = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({GRADIENTS})

    def __post_init__(self) -> None:
        _check(self.form, self.prior_precision)

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks in greedy order; scores are the nats that each added (trace: its own).

        Notes ``information`` (nats, of the batch; log-det form), ``structure`` (``full`` or
        ``kronecker``) and ``fell_back`` = ``random`` when no point has any information.
        """
        pool, order = _permuted(view, batch_size, generator, 1)
        posterior = posterior_of(_points(view.labeled_gradient_factors()), self.prior_precision)
        notes: Notes = {"structure": posterior.structure}
        if self.form == "trace":
            scores = cleaned(half_trace(posterior.uncertainty(pool))).cpu()
            places = top(scores, batch_size, generator)
            if not bool(scores.any()):
                notes["fell_back"] = "random"
            return Selection(order[places], scores[places], notes)
        pool_left = Conditioned(pool, posterior)
        selection = _greedy(pool, order, batch_size, pool_left.expected_information_gain, pool_left)
        information = float(selection.scores.sum())
        notes |= {**selection.notes, "information": information}
        return Selection(selection.positions, selection.scores, notes)


@dataclass(frozen=True)
class FisherEPIG:
    """Expected predictive information gain about target inputs, in its Fisher form.

    Kirsch and Gal (2022), arXiv:2208.00549. With F̄ the mean Fisher information of T target inputs,
    ``form=logdet`` picks greedily what lowers ½ log det(I + F̄ Σ) most, computed as the information
    about the last layer before minus after the targets are known; ``form=trace`` what lowers
    ½ tr(F̄ Σ) most, which is BAIT's objective without its weighting and its backward pass.

    Cost: that of ``FisherEIG``, twice for log-det; for trace O(N T C² D) once and a pick twice as
    dear. With Kronecker factors the log-det form needs memory O(T C² D).

    Neither form is submodular: a point may tell little about the targets by itself and more beside
    another one. Every candidate is brought up to date at every pick, and a small gain ends nothing.

    Args:
        num_targets: T, drawn once a round from the run's target distribution.
        form: ``logdet`` or ``trace``.
        prior_precision: δ of the prior N(0, I / δ) over weights and bias.
    """

    num_targets: int = 100
    form: str = "logdet"
    prior_precision: float = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({GRADIENTS})
    joint: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require_whole("num_targets", self.num_targets, 1)
        _check(self.form, self.prior_precision)

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks in greedy order; scores are the nats that each added about the targets.

        Notes as ``FisherEIG``'s.
        """
        pool, order = _permuted(view, batch_size, generator, 2)
        posterior = posterior_of(_points(view.labeled_gradient_factors()), self.prior_precision)
        targets = _points(view.target_gradient_factors(self.num_targets))
        weight = 1.0 if self.joint else 1.0 / targets.num_points
        if self.form == "trace":
            left = Conditioned(pool, posterior, targets, weight)
            selection = _greedy(pool, order, batch_size, left.trace_gain, left)
        else:
            before = Conditioned(pool, posterior)
            after = given_targets(pool, posterior, targets, weight)

            def gains() -> Tensor:
                return before.expected_information_gain() - after.expected_information_gain()

            selection = _greedy(pool, order, batch_size, gains, before, after)
        notes = {**selection.notes, "structure": posterior.structure}
        notes["information"] = float(selection.scores.sum())
        return Selection(selection.positions, selection.scores, notes)


@dataclass(frozen=True)
class FisherJEPIG(FisherEPIG):
    """The same about the targets' labels together: the sum of their Fisher information, not F̄.

    Kirsch and Gal (2022), arXiv:2208.00549. ``form=trace`` ranks as ``FisherEPIG`` does.

    Args:
        num_targets: T, drawn once a round from the run's target distribution.
        form: ``logdet`` or ``trace``.
        prior_precision: δ of the prior N(0, I / δ) over weights and bias.
    """

    joint: ClassVar[bool] = True


def _check(form: str, prior_precision: float) -> None:
    if form not in FORMS:
        raise ConfigError(f"{keyed('form')}={form} is unknown.", choose(str(form), FORMS))
    require_number("prior_precision", prior_precision, above=0)


def _points(factors: GradientFactors) -> Points:
    return Points.of(factors.log_probs, factors.features)


def _permuted(
    view: PoolView, batch_size: int, generator: torch.Generator, num_matrices: int
) -> tuple[Points, Tensor]:
    """The pool in a random order, so that the first of equals, up to rounding, is a fair choice.

    Refused where ``num_matrices`` (C, C) for each of its points do not fit into memory.
    """
    require_batch_size(batch_size, len(view))
    require_matrices(view, "Fisher information", num_matrices)
    order = torch.randperm(len(view), generator=generator)
    factors = view.gradient_factors()
    require_float64("Fisher information", *factors)
    there = order.to(factors.features.device)
    return Points.of(factors.log_probs[there], factors.features[there]), order


def _greedy(
    pool: Points,
    order: Tensor,
    batch_size: int,
    gains: Callable[[], Tensor],
    *left: Conditioned,
) -> Selection:
    """Pick the point of the highest gain, make it known to all of ``left``, and so on."""
    places: list[int] = []
    scores: list[float] = []
    for _ in range(batch_size):
        if places:
            known = pool.at(slice(places[-1], places[-1] + 1))
            for conditioned in left:
                conditioned.know(known)
        current = cleaned(gains())
        current[places] = -torch.inf
        best = int(current.argmax())
        places.append(best)
        scores.append(float(current[best]))
    notes: Notes = {} if any(scores) else {"fell_back": "random"}
    return Selection(order[places], torch.tensor(scores, dtype=torch.float64), notes)
