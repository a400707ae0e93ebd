"""The privilege of controls: labels that have not been bought, and models trained on them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from al_bench.data.base import Pool
from al_bench.data.labeled import LabeledSet
from al_bench.engine import Engine
from al_bench.models.base import Model
from al_bench.models.chunks import in_chunks
from al_bench.seeding import Streams
from al_bench.strategies.base import REFUSED
from al_bench.training.recipe import Recipe
from al_bench.training.trainer import Trainable, Weights, fit_one

LEAST_PROBABILITY = 1e-12  # an impossible answer costs 27.6 nats instead of infinitely many


@dataclass
class _Supposed:
    """What a trainer needs of a trial, with another labeled set; no test set."""

    streams: Streams
    round: int
    weights: Weights | None
    model: Model
    recipe: Recipe
    engine: Engine
    num_classes: int
    labeled: LabeledSet
    validation: LabeledSet

    def labeled_set(self) -> LabeledSet:
        return self.labeled

    def validation_set(self) -> LabeledSet:
        return self.validation


class LabelAccess:
    """Labels of a pool, for a strategy that declares that it looks at them.

    Args:
        trial: The trial whose next round is supposed.
        pool: Its pool.
    """

    def __init__(self, trial: Trainable, pool: Pool) -> None:
        self._pool = pool
        self._supposed = _Supposed(
            streams=trial.streams,
            round=trial.round + 1,
            weights=trial.weights,
            model=trial.model,
            recipe=trial.recipe,
            engine=trial.engine,
            num_classes=trial.num_classes,
            labeled=trial.labeled_set(),
            validation=trial.validation_set(),
        )

    def labels(self, indices: Tensor) -> Tensor:
        """(n,) int64, what the annotator would answer at the pool's ``indices``, or REFUSED."""
        return self._pool.labels[indices].masked_fill(self._pool.refused[indices], REFUSED)

    def look_ahead(self, indices: Tensor, reference: Tensor) -> float:
        """Mean log-likelihood, nats, of ``reference`` by the next round's model.

        Points that the annotator refuses have no answer to be predicted; 0 where none has one.

        Args:
            indices: (b,) pool indices that are labeled too; refused ones teach nothing.
            reference: (r,) pool indices to predict.
        """
        pool, supposed = self._pool, self._supposed
        reference = reference[~pool.refused[reference]]
        if len(reference) == 0:
            return 0.0
        known = supposed.labeled
        together = torch.cat([known.indices, indices[~pool.refused[indices]]])
        supposed.labeled = LabeledSet(pool.inputs, together, pool.labels[together])
        try:
            posterior = fit_one(supposed).posterior
        finally:
            supposed.labeled = known
        engine = supposed.engine
        device, budget = engine.device, engine.chunk_bytes
        parts = in_chunks(posterior, pool.inputs, reference, device, budget, posterior.log_probs)
        log_probs = torch.cat([part.cpu() for part in parts])  # (r, K, C)
        answers = pool.labels[reference]
        likelihood = log_probs[torch.arange(len(answers)), :, answers].double().exp().mean(dim=1)
        return float(likelihood.clamp_min(LEAST_PROBABILITY).log().mean())
