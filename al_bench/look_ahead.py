"""What a trial's model would be with other labels: for controls that look ahead."""

from dataclasses import dataclass

from al_bench.data.labeled import LabeledSet
from al_bench.engine import Engine
from al_bench.models.base import Model, Posterior
from al_bench.seeding import Streams
from al_bench.training.recipe import Recipe
from al_bench.training.trainer import Trainable, Weights, fit_one


@dataclass
class _Supposed:
    """A trial with another labeled set."""

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


def refitted(trial: Trainable, labeled: LabeledSet) -> Posterior:
    """The posterior that the next round would fit if ``labeled`` were the labeled set."""
    supposed = _Supposed(
        streams=trial.streams,
        round=trial.round + 1,
        weights=trial.weights,
        model=trial.model,
        recipe=trial.recipe,
        engine=trial.engine,
        num_classes=trial.num_classes,
        labeled=labeled,
        validation=trial.validation_set(),
    )
    return fit_one(supposed).posterior
