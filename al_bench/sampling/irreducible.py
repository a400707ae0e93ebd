"""Irreducible losses: what a model that has not been trained on a point loses on it.

N training points, n candidates, C classes. Mindermann et al. (2022), arXiv:2206.07137: the loss of
a label under a model of held-out points stands for what training can not take away. Which epoch of
that model is kept is decided on a tenth of its own points that it is not trained on. The published
script decides it on the test set, the published tutorial on the training labels; either tells the
selection what it must not know.
"""

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from al_bench.data.base import Inputs
from al_bench.data.labeled import LabeledSet
from al_bench.errors import AlBenchError, ConfigError, keyed, placed, require_whole
from al_bench.models.base import Network, NetworkFactory
from al_bench.models.deterministic import Deterministic
from al_bench.models.masks import draw_masks
from al_bench.results.cache import cached
from al_bench.results.schema import NUMERICS_VERSION
from al_bench.sampling.base import CoreSet, Selection
from al_bench.sampling.beside import Beside
from al_bench.training.optimization import Optimization
from al_bench.training.recipe import Recipe
from al_bench.training.step import Points, take_step
from al_bench.training.trainer import weights_of

KIND = "irreducible"  # folder of the cache
WATCHED = 10  # one point in so many is not trained on, but decides which epoch is kept
ROUND = 1  # of stream ``split``: pool transforms and the trial's own split draw from round 0


@dataclass(frozen=True)
class Known:
    """What irreducible losses of one trial are learned from.

    Args:
        training: Points whose losses are wanted, with the labels that the target is trained on.
        holdout: Points that the target is never trained on; may be empty.
        copies: (N,) int64, the same for training points that are copies of one another.
        beside: The trial's model, streams and engine.
        results: The results folder, in which the losses are kept.
        about: What else decides the losses, JSON-compatible: users' own code, versions of parts.
    """

    training: LabeledSet
    holdout: LabeledSet
    copies: Tensor
    beside: Beside
    results: Path
    about: Mapping[str, Any] = field(default_factory=dict)


class Irreducible(Protocol):
    """The irreducible losses of one trial, as its steps ask for them."""

    @property
    def columns(self) -> Mapping[str, float]:
        """``irreducible_accuracy``, ``irreducible_nll`` and ``seconds_irreducible`` of round 0.

        The first two are of the training points with the labels that they have; the seconds are
        those of the training of the models when it was done, be it by another trial.
        """

    @property
    def notes(self) -> Mapping[str, bool]:
        """Things worth storing with round 0: ``equal_irreducible_losses``."""

    def of(self, indices: Tensor, inputs: Tensor, labels: Tensor) -> Tensor:
        """(n,) float64 losses, nats.

        Args:
            indices: (n,) int64 pool indices of training points, on the CPU.
            inputs: (n, *input_shape), as the target network is shown them.
            labels: (n,) int64, where the inputs are.
        """

    def learn(self, points: Points, how: Optimization, learning_rate: float, step: int) -> None:
        """Take a step on the points that were chosen, where the model goes on learning.

        Args:
            points: What the target network takes the step on; the masks are not used.
            how: How it takes it.
            learning_rate: Of this step.
            step: Which one, from 0.
        """

    def state(self) -> dict[str, Any]:
        """What the next step depends on: tensors and plain values."""

    def restore(self, state: Mapping[str, Any], how: Optimization) -> None:
        """Go on from a state."""


class IrreducibleModel(Protocol):
    """What a file under ``conf/selection/irreducible`` builds."""

    def check(self, training: LabeledSet, num_holdout: int, num_classes: int) -> None:
        """Raise ConfigError unless its models take such points, and there are enough of them."""

    def num_passes(self, num_training: int, num_holdout: int) -> int:
        """Points that its models are shown in all, again in every epoch."""

    def of(self, known: Known) -> Irreducible:
        """The losses of one trial, from the cache where they have been computed before."""


@dataclass(frozen=True)
class _Trained:
    """Base: models that are trained by an ordinary recipe.

    Args:
        training: How; its monitor and patience are replaced: the epoch with the lowest loss on the
            points that are watched is kept.
        network: Builds another network than the target's; in a configuration its name, a choice of
            ``model/network``.
        parameters: Of the network that a configuration names; part of ``network`` once it is built.
        least_steps: A model of few points is trained for more epochs than ``training`` says, until
            it has taken so many steps: with batches of 320 ten epochs of some hundred points would
            teach it nothing. ``None`` trains as many epochs as ``training`` says.
    """

    training: Recipe
    network: NetworkFactory | None = None
    parameters: Mapping[str, Any] | None = None
    least_steps: int | None = 300

    def __post_init__(self) -> None:
        if self.least_steps is not None:
            require_whole("least_steps", self.least_steps, 1)
        if self.network is not None and not callable(self.network):
            raise ConfigError(
                f"{keyed('network')} must build a network when called, got {self.network!r}."
            )
        if self.parameters is not None:
            raise ConfigError(
                f"{keyed('parameters')} are those of {keyed('network')}, which is null.",
                f"Add for example {keyed('network')}=mlp.",
            )
        if self.training.start != "cold":
            raise ConfigError(
                "The model of irreducible losses is trained once, from fresh weights, and "
                f"{keyed('training.start')} is {self.training.start}.",
                f"Use {keyed('training.start')}=cold.",
            )

    def check(self, training: LabeledSet, num_holdout: int, num_classes: int) -> None:
        """Raise ConfigError unless the network takes the inputs."""
        if self.network is None:
            return
        try:
            Deterministic(self.network).check(training.inputs.input_shape, num_classes)
        except ConfigError as error:
            key = keyed("network", self)
            hint = error.hint and error.hint.replace("model/network", key)
            raise ConfigError(f"{key}: {error.message}", hint) from error

    def recipe(self, num_trained: int) -> Recipe:
        """How a model is trained on so many points."""
        epochs = self.training.max_epochs
        if self.least_steps is not None:
            epochs = max(epochs, -(-self.least_steps // self.training.steps_per_epoch(num_trained)))
        patience = self.training.patience or epochs
        return replace(self.training, max_epochs=epochs, monitor="nll", patience=patience)

    def _beside(self, known: Known) -> Beside:
        if self.network is None:
            return known.beside
        return replace(known.beside, model=Deterministic(self.network))

    def _shown(self, num_points: int) -> int:
        """Points that a model of so many is shown while it is trained."""
        watched = _num_watched(num_points)
        trained = num_points - watched
        shown = trained if self.training.epoch_size is None else self.training.epoch_size
        return self.recipe(trained).max_epochs * (shown + watched)

    def _about(self, known: Known, beside: Beside, members: range) -> dict[str, Any]:
        """All that decides the losses."""
        shape = known.training.inputs.input_shape
        streams = beside.streams
        names = ("order", "mask", "augment")
        return {
            "kind": type(self).__name__,
            "version": getattr(self, "numerics_version", None),
            "numerics_version": NUMERICS_VERSION,
            "points": [_digest(points) for points in (known.training, known.holdout)],
            "copies": _hash([known.copies]),
            "recipe": repr(self.training),
            "least_steps": self.least_steps,
            "networks": [_described(beside.network(shape, member)) for member in members],
            "streams": [streams.key(name, 0, member) for member in members for name in names],
            "split": [streams.key("split", ROUND, member) for member in members],
            "engine": beside.engine.columns(),
            **known.about,
        }

    def _learned(self, beside: Beside, member: int, points: LabeledSet, copies: Tensor) -> Network:
        """The network of a member, trained on most of these points and chosen by the others."""
        generator = beside.streams.generator("split", ROUND, member)
        watched, rest = _parts(copies, _num_watched(_count(copies)), generator)
        network = beside.network(points.inputs.input_shape, member)
        with placed(self.training):
            recipe = self.recipe(len(rest))
            beside.train(network, member, _at(points, rest), _at(points, watched), recipe)
        return network


@dataclass(frozen=True)
class Holdout(_Trained):
    """One model of the holdout, and its loss on every training point.

    Args:
        update: Whether the model takes the steps of the points that are chosen too: the loss is
            then that of D_ho and all points trained on, the form that the paper starts from. It
            takes them as the target does, with an optimizer of its own, and its losses are of the
            inputs that the target is shown. Otherwise the losses are computed once, without
            augmentation.
    """

    update: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.update, bool):
            raise ConfigError(f"{keyed('update')} must be true or false, got {self.update!r}.")

    def check(self, training: LabeledSet, num_holdout: int, num_classes: int) -> None:
        """Raise ConfigError also where there are fewer than two held-out points."""
        super().check(training, num_holdout, num_classes)
        if num_holdout < 2:
            raise ConfigError(
                f"selection/irreducible=holdout learns from held-out points; there "
                f"{'are none' if num_holdout == 0 else 'is one'}.",
                "Use budget.holdout_size=0.5, or selection/irreducible=two_halves.",
            )

    def num_passes(self, num_training: int, num_holdout: int) -> int:
        """Points that the model is shown in all."""
        return self._shown(num_holdout) + num_training

    def of(self, known: Known) -> Irreducible:
        """The losses of one trial.

        Raises:
            ConfigError: Too few points are held out.
            TrainingError: The model's training loss is not finite.
        """
        self.check(known.training, len(known.holdout), known.beside.num_classes)
        beside = self._beside(known)

        def compute() -> dict[str, Any]:
            started = time.perf_counter()
            each = torch.arange(len(known.holdout))
            network = self._learned(beside, 1, known.holdout, each)
            log_probs = beside.log_probs(network, known.training)
            stored = _measured(log_probs, known.training, started)
            return {**stored, "weights": weights_of(network)} if self.update else stored

        about = {**self._about(known, beside, range(1, 2)), "update": self.update}
        stored = cached(known.results, KIND, about, compute)
        table = Table(known.training.indices, stored)
        if not self.update:
            return table
        network = beside.network(known.training.inputs.input_shape, 1)
        network.load_state_dict(stored["weights"])
        return Learning(table, network, beside)


@dataclass(frozen=True)
class TwoHalves(_Trained):
    """Two models, each of one half of the training points: no holdout is needed.

    A point gets the loss of the model that has not seen it, nor a copy of it. The halves are drawn
    once a seed.
    """

    def check(self, training: LabeledSet, num_holdout: int, num_classes: int) -> None:
        """Raise ConfigError also where the halves have fewer than two points."""
        super().check(training, num_holdout, num_classes)
        _check_halves(len(training))

    def num_passes(self, num_training: int, num_holdout: int) -> int:
        """Points that the models are shown in all."""
        half = num_training // 2
        return self._shown(half) + self._shown(num_training - half) + num_training

    def of(self, known: Known) -> Irreducible:
        """The losses of one trial.

        Raises:
            ConfigError: There are too few different training points.
            TrainingError: The loss of a model is not finite.
        """
        self.check(known.training, len(known.holdout), known.beside.num_classes)
        _check_halves(_count(known.copies))
        beside = self._beside(known)

        def compute() -> dict[str, Any]:
            started = time.perf_counter()
            one, other = self.halves(known)
            log_probs = torch.empty(
                len(known.training), beside.num_classes, device=beside.engine.device
            )
            for member, seen, unseen in ((1, one, other), (2, other, one)):
                points, copies = _at(known.training, seen), known.copies[seen]
                network = self._learned(beside, member, points, copies)
                log_probs[unseen.to(log_probs.device)] = beside.log_probs(
                    network, _at(known.training, unseen)
                )
            return _measured(log_probs, known.training, started)

        about = self._about(known, beside, range(1, 3))
        return Table(known.training.indices, cached(known.results, KIND, about, compute))

    def halves(self, known: Known) -> tuple[Tensor, Tensor]:
        """Places among the training points, int64 and ascending, of either half."""
        generator = known.beside.streams.generator("split", ROUND)
        half = _count(known.copies) // 2
        return _parts(known.copies, half, generator)


class Table:
    """Losses that were computed once.

    Args:
        indices: (N,) int64 pool indices of the training points.
        stored: ``losses`` (N,) float64 and the columns.
    """

    def __init__(self, indices: Tensor, stored: Mapping[str, Any]) -> None:
        self.losses: Tensor = stored["losses"]
        self.columns = {
            name: float(stored[name])
            for name in ("irreducible_accuracy", "irreducible_nll", "seconds_irreducible")
        }
        equal = bool((self.losses == self.losses[0]).all())
        self.notes = {"equal_irreducible_losses": True} if equal else {}
        self._place = torch.full((int(indices.max()) + 1,), -1)
        self._place[indices] = torch.arange(len(indices))

    def of(self, indices: Tensor, inputs: Tensor, labels: Tensor) -> Tensor:
        """(n,) float64 losses of training points, as they were stored."""
        return self.losses[self._place[indices]]

    def learn(self, points: Points, how: Optimization, learning_rate: float, step: int) -> None:
        """What was computed once does not change."""

    def state(self) -> dict[str, Any]:
        """Nothing changes."""
        return {}

    def restore(self, state: Mapping[str, Any], how: Optimization) -> None:
        """Nothing has changed."""


class Learning:
    """Losses of a model that takes the target's steps too.

    Args:
        table: Its losses before the first step, and what is told of them.
        network: The model, trained on the holdout.
        beside: What networks beside the target have in common.
    """

    def __init__(self, table: Table, network: Network, beside: Beside) -> None:
        self.columns, self.notes = table.columns, table.notes
        self._network = network.eval()
        self._beside = beside
        self._optimizer: torch.optim.Optimizer | None = None

    def of(self, indices: Tensor, inputs: Tensor, labels: Tensor) -> Tensor:
        """(n,) float64 losses of the present weights, no unit dropped."""
        with torch.no_grad():
            logits = self._network.eval()(inputs)
        return F.cross_entropy(logits.double(), labels, reduction="none")

    def learn(self, points: Points, how: Optimization, learning_rate: float, step: int) -> None:
        """Take the step that the target takes, with this model's own weights and masks."""
        network, engine = self._network, self._beside.engine
        generator = self._beside.streams.generator("mask", step, 1)
        masks = draw_masks(network, len(points.labels), generator, engine.device)
        network.train()
        own = points._replace(masks=masks)
        take_step(network, self._of(how), own, how, learning_rate, engine)

    def state(self) -> dict[str, Any]:
        """Weights, buffers and the state of the optimizer."""
        of_optimizer = None if self._optimizer is None else self._optimizer.state_dict()
        return {"weights": weights_of(self._network), "optimizer": copy.deepcopy(of_optimizer)}

    def restore(self, state: Mapping[str, Any], how: Optimization) -> None:
        """Go on from a state."""
        self._network.load_state_dict(state["weights"])
        if state["optimizer"] is not None:
            self._of(how).load_state_dict(state["optimizer"])

    def _of(self, how: Optimization) -> torch.optim.Optimizer:
        if self._optimizer is None:
            self._optimizer = how.make_optimizer(self._network)
        return self._optimizer


def model_of(selection: Selection | CoreSet) -> IrreducibleModel:
    """What gives the irreducible losses that a selection needs.

    Raises:
        ConfigError: The selection has none.
    """
    model: IrreducibleModel | None = getattr(selection, "irreducible", None)
    if model is None:
        raise ConfigError(
            f"{type(selection).__name__} needs irreducible losses, and nothing gives them.",
            "Add +selection/irreducible=holdout.",
        )
    for method in ("check", "num_passes", "of"):
        if not callable(getattr(model, method, None)):
            raise ConfigError(
                f"selection.irreducible: {type(model).__name__} has no method {method}.",
                "al_bench.sampling.irreducible says what such a class has.",
            )
    return model


def _check_halves(num_points: int) -> None:
    if num_points < 4:
        raise ConfigError(
            f"selection/irreducible=two_halves needs 4 training points, there are {num_points}."
        )


class _Drawn(NamedTuple):
    """Places, ascending: first of those drawn, then of the rest."""

    drawn: Tensor
    rest: Tensor


def _parts(copies: Tensor, count: int, generator: torch.Generator) -> _Drawn:
    """Divide points so that copies stay together: ``count`` different ones, and the others."""
    distinct, group = torch.unique(copies, return_inverse=True)
    order = torch.randperm(len(distinct), generator=generator)
    is_drawn = torch.zeros(len(distinct), dtype=torch.bool)
    is_drawn[order[:count]] = True
    mask = is_drawn[group]
    return _Drawn(mask.nonzero().squeeze(1), (~mask).nonzero().squeeze(1))


def _count(copies: Tensor) -> int:
    """Different points among these."""
    return len(set(copies.tolist()))


def _num_watched(num_points: int) -> int:
    return max(1, num_points // WATCHED)


def _at(points: LabeledSet, places: Tensor) -> LabeledSet:
    return LabeledSet(points.inputs, points.indices[places], points.labels[places])


def _measured(log_probs: Tensor, points: LabeledSet, started: float) -> dict[str, Any]:
    """What is stored of predictions (N, C) of the training points."""
    labels = points.labels.to(log_probs.device)
    losses = -log_probs.gather(1, labels[:, None]).squeeze(1).double().cpu()
    if not bool(losses.isfinite().all()):
        raise AlBenchError(
            f"{int((~losses.isfinite()).sum())} of {len(losses)} irreducible losses are not finite."
        )
    return {
        "losses": losses,
        "irreducible_accuracy": float((log_probs.argmax(dim=1) == labels).double().mean()),
        "irreducible_nll": float(losses.mean()),
        "seconds_irreducible": time.perf_counter() - started,
    }


def _described(network: Network) -> str:
    """A text that tells untrained networks apart: their layers and their weights."""
    return f"{network} {_hash(network.state_dict().values())}"


def _digest(points: LabeledSet) -> str:
    """A hash of points as a network is shown them, and of their labels."""
    return _hash([points.labels, *_gathered(points.inputs, points.indices)])


def _gathered(inputs: Inputs, indices: Tensor) -> Any:
    for chunk in torch.split(indices, 1024):
        if len(chunk):
            yield inputs.gather(chunk, torch.device("cpu"))


def _hash(tensors: Any) -> str:
    digest = blake2b(digest_size=16)
    for tensor in tensors:
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{plain.dtype} {tuple(plain.shape)} ".encode())
        digest.update(plain.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
