"""Learning-rate schedules: functions from a step to what the learning rate is multiplied by.

An epoch is one pass of a recipe, so that a schedule follows a recipe whose epochs become longer or
shorter. Nothing is remembered between steps: training that goes on from a step has its rate.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from al_bench.errors import ConfigError, keyed, require_list, require_number


class Schedule(Protocol):
    """What a file under ``conf/training/schedule`` builds."""

    def factor(self, step: int, steps_per_epoch: int, max_epochs: float) -> float:
        """What the recipe's learning rate is multiplied by in a step, at least 0.

        Args:
            step: From 0, counted over all epochs.
            steps_per_epoch: Steps in each epoch.
            max_epochs: Epochs if training is not stopped early.

        Raises:
            ConfigError: The schedule does not fit into so many epochs.
        """


@dataclass(frozen=True)
class Constant:
    """The recipe's learning rate throughout, after a linear warm-up.

    In the n steps of the warm-up the factor is 1 / n, 2 / n, …, 1.

    Args:
        warmup_epochs: Epochs of the warm-up, at least 0 and fewer than all; parts of one count.
    """

    warmup_epochs: float = 0.0

    def __post_init__(self) -> None:
        require_number("warmup_epochs", self.warmup_epochs, 0)

    def factor(self, step: int, steps_per_epoch: int, max_epochs: float) -> float:
        """What the learning rate is multiplied by in ``step`` (from 0)."""
        if self.warmup_epochs >= max_epochs:
            raise ConfigError(
                f"{keyed('warmup_epochs', self)}={self.warmup_epochs} must be below the number of "
                f"epochs, which is {max_epochs:g}."
            )
        warmup = round(self.warmup_epochs * steps_per_epoch)
        if step < warmup:
            return (step + 1) / warmup
        return self._afterwards(step, warmup, steps_per_epoch, max_epochs)

    def _afterwards(self, step: int, warmup: int, steps_per_epoch: int, max_epochs: float) -> float:
        """The factor in a step after the ``warmup`` first ones."""
        return 1.0


@dataclass(frozen=True)
class Cosine(Constant):
    """Half a cosine from 1 down to ``final``, a bit lower every step (Loshchilov & Hutter 2017).

    arXiv:1608.03983, without restarts; the half wave begins after the warm-up.

    Args:
        warmup_epochs: Epochs of the linear warm-up.
        final: Where the half wave ends, a share of the learning rate in [0, 1].
    """

    final: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("final", self.final, 0, 1)

    def _afterwards(self, step: int, warmup: int, steps_per_epoch: int, max_epochs: float) -> float:
        share = (step - warmup) / max(1, steps_per_epoch * max_epochs - warmup)
        return self.final + (1.0 - self.final) * (1.0 + math.cos(math.pi * share)) / 2.0


@dataclass(frozen=True)
class Milestones(Constant):
    """Multiplied by ``gamma`` whenever so many epochs are over.

    Args:
        warmup_epochs: Epochs of the linear warm-up.
        epochs: Numbers of epochs above 0, ascending, counted from the start of training (the
            warm-up included) and below the number of epochs.
        gamma: Above 0 and below 1.
    """

    epochs: Sequence[float] = ()
    gamma: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_list("epochs", self.epochs)
        for epoch in self.epochs:
            require_number(f"A number in {keyed('epochs')}", epoch, above=0)
        if not self.epochs or list(self.epochs) != sorted(set(self.epochs)):
            raise ConfigError(
                f"{keyed('epochs')} must be ascending numbers of epochs, got {list(self.epochs)}.",
                f"Write for example {keyed('epochs')}=[60,120,160].",
            )
        require_number("gamma", self.gamma, above=0, below=1)

    def _afterwards(self, step: int, warmup: int, steps_per_epoch: int, max_epochs: float) -> float:
        if self.epochs[-1] >= max_epochs:
            raise ConfigError(
                f"{keyed('epochs', self)}={list(self.epochs)} must lie below the number of epochs, "
                f"which is {max_epochs:g}.",
                "Give smaller ones, or choose training/schedule=cosine, which follows that number.",
            )
        passed = sum(step >= round(epoch * steps_per_epoch) for epoch in self.epochs)
        return float(self.gamma**passed)


@dataclass(frozen=True)
class OneCycle:
    """From ``initial`` up to the learning rate and down to ``final``, both along half a cosine.

    Smith & Topin (2018), arXiv:1708.07120. The momentum stays what it is.

    Args:
        rise: Share of all steps at which the learning rate is reached, above 0 and below 1.
        initial: Share of the learning rate in the first step, above 0 and at most 1.
        final: Share of the learning rate in the last step, in [0, 1].
    """

    rise: float = 0.3
    initial: float = 0.04
    final: float = 4e-6

    def __post_init__(self) -> None:
        require_number("rise", self.rise, above=0, below=1)
        require_number("initial", self.initial, most=1, above=0)
        require_number("final", self.final, 0, 1)

    def factor(self, step: int, steps_per_epoch: int, max_epochs: float) -> float:
        """What the learning rate is multiplied by in ``step`` (from 0)."""
        steps = steps_per_epoch * max_epochs
        top = max(0.0, self.rise * steps - 1)
        if step <= top:
            begin, end, share = self.initial, 1.0, step / top if top else 1.0
        else:
            begin, end, share = 1.0, self.final, (step - top) / (steps - 1 - top)
        return end + (begin - end) * (1.0 + math.cos(math.pi * share)) / 2.0
