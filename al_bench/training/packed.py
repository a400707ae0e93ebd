"""Fit the posteriors of many trials, their networks in packs."""

import functools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from al_bench.data.labeled import Batches
from al_bench.engine import Engine
from al_bench.errors import within
from al_bench.models.base import Network, NetworkModel
from al_bench.training.draws import Generators
from al_bench.training.early_stopping import EarlyStopping
from al_bench.training.epochs import Training
from al_bench.training.packs import Pack, Replica
from al_bench.training.recipe import Recipe
from al_bench.training.trainer import (
    Fitted,
    SequentialTrainer,
    fit_posterior,
    starting_network,
)

WHAT = "The model or its training"


@dataclass(frozen=True)
class Kind:
    """What the replicas of a pack agree in.

    Args:
        architecture: What the model builds its networks from.
        input_shape: Of one input.
        num_classes: C.
        recipe: How they are trained.
        engine: How it is computed.
        steps: In each epoch.
        rows: Points of the largest batch.
    """

    architecture: tuple[Any, ...]
    input_shape: tuple[int, ...]
    num_classes: int
    recipe: Recipe
    engine: Engine
    steps: int
    rows: int


@dataclass(eq=False)
class _Fit:
    """A trial whose networks are trained, in whatever packs.

    Attributes:
        failed: The first of its networks that has failed, with why; later ones are not needed.
        seconds: Its share of the time that its packs have taken, and its own beside them.
    """

    trial: Any
    model: NetworkModel
    networks: dict[int, Network] = field(default_factory=dict)
    runs: dict[int, Training] = field(default_factory=dict)
    failed: tuple[int, Exception] | None = None
    seconds: float = 0.0

    @functools.cached_property
    def read(self) -> Batches:
        """Reads the labeled set."""
        return self._on_device(self.trial.labeled_set())

    @functools.cached_property
    def read_validation(self) -> Batches:
        """Reads the validation set."""
        return self._on_device(self.trial.validation_set())

    @property
    def num_needed(self) -> int:
        """Networks whose training decides what comes of the trial: those before one that failed."""
        return self.model.num_networks if self.failed is None else self.failed[0]

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be trained."""
        return sum(member < self.num_needed for member in self.runs) == self.num_needed

    def fail(self, member: int, error: Exception) -> None:
        """One of its networks has failed."""
        if member < self.num_needed:
            self.failed = (member, error)

    def _on_device(self, points: Any) -> Batches:
        engine = self.trial.engine
        on_device: Batches = points.on(engine.device, engine.chunk_bytes)
        return on_device


@dataclass(frozen=True, eq=False)
class _Member:
    """One network of a trial."""

    fit: _Fit
    number: int


class PackedTrainer:
    """Trains trials whose engine has a ``pack_width`` in packs, and the others one by one.

    A trial that is yielded, and advanced to its next round before the next one is asked for, is
    trained for that round too, so that its place is not empty while others are still trained: a
    trial may be yielded several times. Where trials of another kind wait it is not, or they would
    wait for its last round.

    Where a pack fails as a whole, as it does when the forward pass of one network raises, its
    networks are trained again, each in a pack without others: only the one at fault fails.

    Args:
        watch: Called after each step of a trial's training, of each of its networks.
    """

    def __init__(self, watch: Callable[[Any], None] = lambda trial: None) -> None:
        self._watch = watch

    def fit(self, trials: Iterable[Any]) -> Iterator[tuple[Any, Fitted | Exception]]:
        """Each trial with its posterior as it finishes, or with the error that stopped it."""
        waiting: list[tuple[Kind, deque[_Member]]] = []
        alone = [trial for trial in trials if not _enqueue(trial, waiting)]
        nobody_waits = not alone and len(waiting) == 1
        yield from SequentialTrainer(self._watch).fit(alone)
        while waiting:
            kind, members = waiting[0]
            for trial, outcome in self._train(kind, members):
                round = trial.round
                yield trial, outcome
                if nobody_waits and trial.round != round and not trial.finished:
                    _enqueue(trial, waiting)
            waiting.pop(0)

    def _train(
        self, kind: Kind, members: deque[_Member]
    ) -> Iterator[tuple[Any, Fitted | Exception]]:
        """Train members of a kind, also those that come later, until none is left."""
        pack: Pack | None = None
        in_training: dict[Replica, _Member] = {}
        while members or in_training:
            ended: list[_Fit] = []
            apart: list[_Member] = []
            while members and len(in_training) < (kind.engine.pack_width or 0):
                member = members.popleft()
                if member.number >= member.fit.num_needed:
                    continue
                started = time.perf_counter()
                try:
                    with within(WHAT):
                        replica = _replica(member)
                        pack = pack or _pack(kind, replica)
                        pack.add(replica)
                    in_training[replica] = member
                except Exception as error:  # the other trials go on
                    member.fit.fail(member.number, error)
                    ended.append(member.fit)
                member.fit.seconds += time.perf_counter() - started
            if pack is not None and in_training:
                pack = self._train_epoch(pack, in_training)
                over = [one for one in in_training if one.outcome is not None]
                for replica in over:
                    ended.append(_end(replica, in_training.pop(replica)))
                if pack is None:
                    apart = list(in_training.values())
                    in_training.clear()
                else:
                    for replica in over:
                        pack.drop(replica)
                    for replica, member in list(in_training.items()):
                        if member.number >= member.fit.num_needed:
                            pack.drop(replica)
                            del in_training[replica]
            for fit in dict.fromkeys(ended):
                if fit.is_over:
                    yield fit.trial, _outcome(fit)
            for member in apart:
                yield from self._train(kind, deque([member]))

    def _train_epoch(self, pack: Pack, in_training: dict[Replica, _Member]) -> Pack | None:
        """Train an epoch; the pack, or ``None`` where it has failed as a whole.

        Whose fault that is is not known: a replica has failed only if it was there alone.
        """
        started = time.perf_counter()
        sharing = list(in_training.values())
        try:
            with within(WHAT):
                pack.train_epoch(lambda replica: self._watch(in_training[replica].fit.trial))
        except Exception as error:
            if len(in_training) == 1:
                next(iter(in_training)).outcome = error
            return None
        finally:
            share = (time.perf_counter() - started) / len(sharing)
            for member in sharing:
                member.fit.seconds += share
        return pack


def _enqueue(trial: Any, waiting: list[tuple[Kind, deque[_Member]]]) -> bool:
    """Let the networks of a trial wait among those of their kind; whether they are to be packed."""
    if trial.engine.pack_width is None or not isinstance(trial.model, NetworkModel):
        return False
    try:
        with within(WHAT):
            labeled = trial.labeled_set()
            if len(labeled) == 0:
                return False
            kind = Kind(
                architecture=_architecture(trial.model),
                input_shape=tuple(labeled.inputs.input_shape),
                num_classes=trial.num_classes,
                recipe=trial.recipe,
                engine=trial.engine,
                steps=trial.recipe.steps_per_epoch(len(labeled)),
                rows=trial.recipe.largest_batch(len(labeled)),
            )
            fit = _Fit(trial, trial.model)
            members = [_Member(fit, number) for number in range(trial.model.num_networks)]
    except Exception:  # it fails alone, and is told so
        return False
    for other, queue in waiting:
        if _agree(other, kind):
            queue.extend(members)
            return True
    waiting.append((kind, deque(members)))
    return True


def _agree(one: Kind, other: Kind) -> bool:
    """Whether two kinds are one; those of values that cannot be compared, as tensors, are not."""
    try:
        return one == other
    except Exception:
        return False


def _architecture(model: NetworkModel) -> tuple[Any, ...]:
    """What tells networks of one architecture: the model with its parameters, of whatever run."""
    if not is_dataclass(model):
        return (model,)
    values = [getattr(model, one.name) for one in fields(model)]
    return (type(model), *map(_plain, values))


def _plain(value: Any) -> Any:
    """A value that equals others built from the same words, as partial functions do not."""
    if isinstance(value, functools.partial):
        return (value.func, value.args, {name: _plain(one) for name, one in value.keywords.items()})
    return value


def _replica(member: _Member) -> Replica:
    fit, trial = member.fit, member.fit.trial
    return Replica(
        starting_network(trial, fit.model, member.number),
        fit.read,
        fit.read_validation,
        Generators.of(trial.streams, trial.round, member.number),
        EarlyStopping(trial.recipe),
    )


def _pack(kind: Kind, replica: Replica) -> Pack:
    return Pack(replica.network, kind.input_shape, kind.recipe, kind.engine, len(replica.read))


def _end(replica: Replica, member: _Member) -> _Fit:
    """Tell the trial what came of one of its networks."""
    fit = member.fit
    if isinstance(replica.outcome, Training):
        fit.runs[member.number] = replica.outcome
        fit.networks[member.number] = replica.network
    elif replica.outcome is not None:
        fit.fail(member.number, replica.outcome)
    return fit


def _outcome(fit: _Fit) -> Fitted | Exception:
    """What came of a trial whose networks are trained."""
    if fit.failed is not None:
        return fit.failed[1]
    started = time.perf_counter()
    try:
        with within(WHAT):
            members = range(fit.model.num_networks)
            networks, runs = [fit.networks[i] for i in members], [fit.runs[i] for i in members]
            fitted = fit_posterior(fit.trial, fit.model, networks, runs)
    except Exception as error:
        return error
    seconds = fit.seconds + time.perf_counter() - started
    return replace(fitted, diagnostics={**fitted.diagnostics, "seconds_fit": seconds})
