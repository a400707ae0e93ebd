"""A pack: networks of one architecture trained in lockstep under one recipe.

S slots, T steps that are drawn together, n points of a step, R rates of the optimizer.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from al_bench.data.labeled import Batches
from al_bench.engine import Engine
from al_bench.models.base import Network
from al_bench.models.replicas import ALIGNED, Replicas, is_block_network
from al_bench.training.captured import captured
from al_bench.training.draws import BYTES_A_UNIT, Drawn, Generators, draw_epoch
from al_bench.training.early_stopping import EarlyStopping
from al_bench.training.epochs import Training, look, trained
from al_bench.training.recipe import Recipe
from al_bench.training.stacked_optimizers import stacked_optimizer
from al_bench.training.step import at_least_float32, in_training_precision


@dataclass(eq=False)
class Replica:
    """A network that is being trained.

    Args:
        network: As it is before; it has the weights that are kept when ``outcome`` is there.
        read: Reads its training set, which is not empty.
        read_validation: Reads the validation set that its recipe may watch.
        generators: Draw batches, masks and augmentation.
        stopping: Follows its training.

    Attributes:
        steps: Taken so far.
        outcome: What came of it, or why it failed; ``None`` while it is being trained.
        has_best: Whether the weights of an earlier epoch are kept.
    """

    network: Network
    read: Batches
    read_validation: Batches
    generators: Generators
    stopping: EarlyStopping
    steps: int = 0
    outcome: Training | Exception | None = None
    has_best: bool = False


class Pack:
    """``width`` slots for replicas that agree in all that a pack has one of.

    What happens in a slot depends on its replica alone, to the bit: not on the others, nor on which
    slot it is, since the number of slots is fixed and shapes do not depend on labeled sets. Empty
    slots are computed like the others, with a learning rate and points' weights of 0.

    Args:
        template: A network of the architecture, on the engine's device.
        input_shape: Of one input.
        recipe: How all are trained.
        engine: How it is computed; its ``pack_width`` is S, at least 2.
        num_labeled: Of any of the training sets, whose epochs have equally many steps.
    """

    def __init__(
        self,
        template: Network,
        input_shape: tuple[int, ...],
        recipe: Recipe,
        engine: Engine,
        num_labeled: int,
    ) -> None:
        assert engine.pack_width is not None
        self._recipe = recipe
        self._engine = engine
        self._width = width = engine.pack_width
        self._per_epoch = recipe.steps_per_epoch(num_labeled)
        self._rows = recipe.largest_batch(num_labeled)
        if is_block_network(template):
            self._rows += -self._rows % ALIGNED
        self._replicas = Replicas(template, width)
        weights = self._replicas.weights
        self._optimizer = stacked_optimizer(recipe, weights.detach())
        self._slots: list[Replica | None] = [None] * width
        self._totals = weights.new_zeros(width)
        self._correct = weights.new_zeros(width)
        draws = recipe.augment.num_draws if recipe.augment is not None else 0
        point = 4 * (math.prod(input_shape) + draws) + BYTES_A_UNIT * sum(template.mask_units)
        at_once = engine.chunk_bytes // (width * self._rows * point)
        self._at_once = max(1, min(at_once, self._per_epoch))
        self._drawing = replace(engine, chunk_bytes=max(1, engine.chunk_bytes // width))
        shape = (self._at_once, width, self._rows)
        self._inputs: Tensor | None = None  # of the type that data sets have
        self._labels = weights.new_zeros(shape, dtype=torch.int64)
        self._weights = weights.new_zeros(shape)  # of points in the loss of their replica
        # The optimizer's rates, then points of the step.
        self._numbers = weights.new_zeros(self._at_once, self._optimizer.num_rates + 1, width)
        self._masks = [
            weights.new_zeros(*shape, units, dtype=torch.float32) for units in template.mask_units
        ]
        self._turn = weights.new_zeros(1, dtype=torch.int64)  # which of the steps is next
        self._replay: Callable[[], None] | None = None  # of a step that was recorded

    @property
    def replicas(self) -> list[Replica]:
        """Those that are being trained."""
        return [one for one in self._slots if one is not None]

    def add(self, replica: Replica) -> None:
        """Let an empty slot have this replica."""
        slot = self._slots.index(None)
        self._replicas.put(slot, replica.network)
        self._optimizer.forget(slot)
        self._slots[slot] = replica

    def drop(self, replica: Replica) -> None:
        """Empty the slot of this replica."""
        slot = self._slots.index(replica)
        self._slots[slot] = None
        self._optimizer.forget(slot)
        for mask in self._masks:
            mask[:, slot] = 0.0

    def train_epoch(self, watch: Callable[[Replica], None]) -> None:
        """Train all replicas for an epoch; those that are over or have failed get their outcome.

        Args:
            watch: Called after each step with each of the replicas.
        """
        self._totals.zero_()
        self._correct.zero_()
        counts = [0] * self._width
        epochs = {
            slot: draw_epoch(
                one.network, self._recipe, len(one.read), one.generators, self._drawing
            )
            for slot, one in self._occupied()
        }
        left = self._per_epoch
        while left:
            steps = min(left, self._at_once)
            self._fill(epochs, steps, counts)
            if all(one.outcome is not None for one in self.replicas):
                break
            if self._replay is None:
                self._replay = captured(self._step, self._changed())
            take_step = self._replay or self._step
            for _ in range(steps):
                take_step()
                for one in self.replicas:
                    one.steps += 1
                    watch(one)
            left -= steps
        self._end_epoch(counts)

    def _occupied(self) -> list[tuple[int, Replica]]:
        return [(slot, one) for slot, one in enumerate(self._slots) if one is not None]

    def _changed(self) -> list[Tensor]:
        """What a step changes."""
        replicas, sums = self._replicas, (self._totals, self._correct)
        moments = self._optimizer.moments
        return [replicas.weights, *replicas.buffers.values(), *moments, *sums, self._turn]

    def _fill(self, epochs: dict[int, Iterator[Drawn]], steps: int, counts: list[int]) -> None:
        """Put what the next steps take into place; where a replica's data fail, it has failed."""
        weights = torch.zeros(steps, self._width, self._rows, dtype=self._totals.dtype)
        numbers = [
            [[0.0] * self._width for _ in range(self._optimizer.num_rates + 1)]
            for _ in range(steps)
        ]
        for slot, one in self._occupied():
            if one.outcome is not None:
                continue
            try:
                sizes = self._place(slot, one, list(islice(epochs[slot], steps)))
            except Exception as error:  # the others go on
                one.outcome = error
                continue
            for t, size in enumerate(sizes):
                weights[t, slot, :size] = 1.0 / size
                rate = self._recipe.learning_rate_in(
                    one.steps + t, self._per_epoch, self._recipe.max_epochs
                )
                rates = [*self._optimizer.rates(one.steps + t + 1, rate), float(size)]
                for row, number in zip(numbers[t], rates, strict=True):
                    row[slot] = number
            counts[slot] += sum(sizes)
        self._weights[:steps] = weights.to(self._weights.device)
        self._numbers[:steps] = torch.tensor(numbers, dtype=weights.dtype).to(self._numbers.device)
        self._turn.zero_()

    def _place(self, slot: int, replica: Replica, drawn: Sequence[Drawn]) -> list[int]:
        """Put the points of a replica's next steps into its slot; how many each step has."""
        rows, steps, read = self._rows, len(drawn), replica.read
        sizes = [len(one.places) for one in drawn]
        picks = None if set(sizes) == {rows} else _filled_up(sizes, rows)
        inputs, labels = read(_joined([one.places for one in drawn], picks))
        augment = self._recipe.augment
        if augment is not None:
            uniform = _joined([one.uniform for one in drawn if one.uniform is not None], picks)
            inputs = augment(inputs, uniform, read.zero)
        if self._inputs is None:
            shape = (self._at_once, self._width, rows, *read.input_shape)
            self._inputs = inputs.new_zeros(shape)
        self._inputs[:steps, slot] = inputs.view(steps, rows, *inputs.shape[1:])
        self._labels[:steps, slot] = labels.view(steps, rows)
        for layer, mask in enumerate(self._masks):
            joined = _joined([one.masks[layer] for one in drawn], picks)
            mask[:steps, slot] = joined.view(steps, rows, -1)
        return sizes

    def _step(self) -> None:
        """The next step of all slots, on the device alone."""
        assert self._inputs is not None
        inputs, labels, weights, numbers, *masks = (
            steps.index_select(0, self._turn).squeeze(0)
            for steps in (self._inputs, self._labels, self._weights, self._numbers, *self._masks)
        )
        with in_training_precision(self._engine):
            logits = self._replicas.logits(inputs, masks)
        logits = at_least_float32(logits)
        losses = F.cross_entropy(
            logits.flatten(0, 1),
            labels.flatten(),
            label_smoothing=self._recipe.label_smoothing or 0.0,
            reduction="none",
        )
        means = (losses.view(labels.shape) * weights).sum(dim=1)  # (S,)
        # No replica's loss depends on another's weights: the gradient of the sum is that of each.
        (gradient,) = torch.autograd.grad(means.sum(), self._replicas.weights)
        self._optimizer.step(self._replicas.weights, gradient, numbers[:-1])
        self._totals += means.detach() * numbers[-1]
        if self._recipe.stop_train_accuracy is not None:
            is_correct = logits.detach().argmax(dim=2) == labels
            self._correct += (is_correct & (weights > 0)).sum(dim=1)
        self._turn += 1

    def _end_epoch(self, counts: Sequence[int]) -> None:
        """Ask after every replica once, and end the training of those that are over."""
        looked = {slot: self._look(slot, one) for slot, one in self._occupied()}
        found = [self._totals.double(), self._correct.double()]
        sums = torch.cat([*found, *(one for one in looked.values() if one is not None)]).tolist()
        totals, correct = sums[: self._width], sums[self._width : 2 * self._width]
        looks = iter(sums[2 * self._width :])
        better = []
        for slot, one in self._occupied():
            seen = None if looked[slot] is None else (next(looks), next(looks))
            if one.outcome is not None:
                continue
            try:
                one.stopping.end_epoch(totals[slot] / counts[slot])
            except Exception as error:
                one.outcome = error
                continue
            if seen is not None:
                told, nll = (value / len(one.read_validation) for value in seen)
                if one.stopping.improves(told, nll):
                    better.append(slot)
                    one.has_best = True
            if self._recipe.stop_train_accuracy is not None:
                one.stopping.count(int(correct[slot]) / counts[slot])
        if better:
            self._replicas.keep(better)
        for slot, one in self._occupied():
            if one.outcome is None and one.stopping.is_over:
                self._end(slot, one)

    def _look(self, slot: int, replica: Replica) -> Tensor | None:
        """What ``look`` finds where the recipe looks at the validation set now."""
        if replica.outcome is not None or not replica.stopping.looks:
            return None
        try:
            self._replicas.take(slot, replica.network)
            return look(
                replica.network,
                replica.read_validation,
                self._recipe,
                replica.generators,
                self._engine,
            )
        except Exception as error:
            replica.outcome = error
            return None

    def _end(self, slot: int, replica: Replica) -> None:
        try:
            self._replicas.take(slot, replica.network, kept=replica.has_best)
            replica.outcome = trained(
                replica.network, replica.read, replica.stopping, replica.steps, self._engine
            )
        except Exception as error:
            replica.outcome = error


def _filled_up(sizes: Sequence[int], rows: int) -> Tensor:
    """Places in batches that follow each other, each filled up with its first point: (T · n,)."""
    parts: list[Any] = []
    start = 0
    for size in sizes:
        own = torch.arange(rows)
        parts.append(start + own.where(own < size, 0))
        start += size
    return torch.cat(parts)


def _joined(parts: Sequence[Tensor], picks: Tensor | None) -> Tensor:
    """Tensors of points one after the other, or these of their places."""
    whole = parts[0] if len(parts) == 1 else torch.cat(list(parts))
    return whole if picks is None else whole[picks.to(whole.device)]
