"""Fit the posteriors of many trials."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from torch import Tensor

from al_bench.data.labeled import LabeledSet
from al_bench.engine import PRECISIONS, Engine
from al_bench.errors import TrainingError, within
from al_bench.models.base import DirectModel, Model, Network, NetworkModel, Posterior
from al_bench.seeding import Streams, isolated
from al_bench.training.draws import Generators
from al_bench.training.epochs import Training, train
from al_bench.training.recipe import Recipe

Weights = list[dict[str, Tensor]]  # a state dict a network


class Trainable(Protocol):
    """What a trainer needs of a trial."""

    streams: Streams
    round: int
    weights: Weights | None  # of the round before, where training starts warm

    @property
    def model(self) -> Model:
        """The posterior family."""

    @property
    def recipe(self) -> Recipe:
        """How its networks are trained."""

    @property
    def engine(self) -> Engine:
        """How it is computed."""

    @property
    def num_classes(self) -> int:
        """C."""

    def labeled_set(self) -> LabeledSet:
        """The points to train on."""

    def validation_set(self) -> LabeledSet:
        """The points that early stopping watches."""


@dataclass(frozen=True)
class Fitted:
    """A trained posterior.

    Args:
        posterior: Ready for evaluation and scoring.
        diagnostics: Curve columns: steps, epochs, best_epoch, train_loss, train_accuracy,
            seconds_fit.
        weights: The networks' weights on the CPU when the recipe starts warm, else ``None``.
    """

    posterior: Posterior
    diagnostics: Mapping[str, Any]
    weights: Weights | None = None


class Trainer(Protocol):
    """Trains any number of trials, in whatever packs."""

    def fit(self, trials: Iterable[Any]) -> Iterator[tuple[Any, Fitted | Exception]]:
        """Each trial with its posterior as it finishes, or with the error that stopped it."""


class SequentialTrainer:
    """Trains one network after the other.

    Args:
        watch: Called after each step of a trial's training.
    """

    def __init__(self, watch: Callable[[Any], None] = lambda trial: None) -> None:
        self._watch = watch

    def fit(self, trials: Iterable[Any]) -> Iterator[tuple[Any, Fitted | Exception]]:
        """Each trial with its posterior as it finishes, or with the error that stopped it."""
        for trial in trials:
            outcome: Fitted | Exception
            try:
                with within("The model or its training"):
                    outcome = fit_one(trial, self._watch)
            except Exception as error:  # the other trials go on
                outcome = error
            yield trial, outcome


def fit_one(trial: Trainable, watch: Callable[[Any], None] = lambda trial: None) -> Fitted:
    """Fit one trial's model to its labeled set; ``watch`` is called after each step."""
    started = time.perf_counter()
    model = trial.model
    if isinstance(model, NetworkModel):
        fitted = _fit_networks(trial, model, lambda: watch(trial))
    else:
        fitted = _fit_direct(trial)
    seconds = {"seconds_fit": time.perf_counter() - started}
    return replace(fitted, diagnostics={**fitted.diagnostics, **seconds})


def _fit_networks(trial: Trainable, model: NetworkModel, watch: Callable[[], None]) -> Fitted:
    streams, engine, recipe = trial.streams, trial.engine, trial.recipe
    networks, runs = [], []
    labeled, validation = trial.labeled_set(), trial.validation_set()
    for member in range(model.num_networks):
        network = starting_network(trial, model, member)
        generators = Generators.of(streams, trial.round, member)
        runs.append(train(network, labeled, validation, recipe, generators, engine, watch))
        networks.append(network)
    return fit_posterior(trial, model, networks, runs)


def starting_network(trial: Trainable, model: NetworkModel, member: int) -> Network:
    """The network of one member before this round's training, on the engine's device."""
    network = initial_network(trial, model, member)
    if trial.recipe.start == "warm" and trial.weights is not None:
        _load(network, trial.weights, member)
    return network.to(trial.engine.device)


def fit_posterior(
    trial: Trainable, model: NetworkModel, networks: Sequence[Network], runs: Sequence[Training]
) -> Fitted:
    """The posterior of a trial's trained networks, with the diagnostics of their training."""
    engine = trial.engine
    posterior = model.posterior(
        networks,
        trial.labeled_set().on(engine.device, engine.chunk_bytes),
        trial.streams.generator("posterior", trial.round),
        PRECISIONS[engine.scoring_precision],
    )
    diagnostics = {
        "steps": sum(run.steps for run in runs),
        "epochs": max(run.epochs for run in runs),
        "best_epoch": runs[0].best_epoch if len(runs) == 1 else None,
        "train_loss": _mean([run.train_loss for run in runs]),
        "train_accuracy": _mean([run.train_accuracy for run in runs]),
    }
    weights = None
    if trial.recipe.start == "warm":
        weights = [weights_of(network) for network in networks]
    return Fitted(posterior, diagnostics, weights)


def _load(network: Network, weights: Weights, member: int) -> None:
    try:
        network.load_state_dict(weights[member])
    except (IndexError, RuntimeError) as error:
        raise TrainingError(
            "The weights of the round before are not those of such a network.",
            "Move the run's folder checkpoints away to start the trial again.",
        ) from error


def _fit_direct(trial: Trainable) -> Fitted:
    assert isinstance(trial.model, DirectModel)
    engine = trial.engine
    labeled = trial.labeled_set().on(engine.device, engine.chunk_bytes)
    generator = trial.streams.generator("posterior", trial.round)
    return Fitted(trial.model.fit(labeled, trial.num_classes, generator), {"steps": 0})


def initial_network(trial: Trainable, model: NetworkModel, member: int) -> Network:
    """The untrained network of one member: fresh weights every round, equal for all strategies."""
    round = 0 if trial.recipe.start == "warm" else trial.round
    with isolated(trial.streams.generator("init", round, member)):
        return model.build(trial.labeled_set().inputs.input_shape, trial.num_classes)


def weights_of(network: Network) -> dict[str, Tensor]:
    """A copy of the network's state dict on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
