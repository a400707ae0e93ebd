"""What a file under ``conf/training`` says: how one network is trained on a labeled set."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from al_bench.errors import ConfigError, choose, keyed, require_number, require_whole
from al_bench.training.optimization import Optimization

MONITORS = ("accuracy", "nll")
STARTS = ("cold", "warm")


@dataclass(frozen=True)
class Recipe(Optimization):
    """How one network is trained: in epochs, whose steps are those of an ``Optimization``.

    Its schedule covers ``max_epochs``, also where training stops early, and starts anew every
    round, from warm weights too.

    Args (beside those of ``Optimization``):
        batch_size: Points a step; ``None`` is the full labeled set.
        epoch_size: Points an epoch, drawn with replacement, so that a small labeled set still gets
            many steps; ``None`` shows every labeled point once an epoch.
        max_epochs: Epochs at most.
        monitor: ``accuracy`` or ``nll`` on the validation set (no unit dropped, no input changed)
            after every epoch; training stops after ``patience`` epochs without improvement and the
            best weights are restored. ``None`` trains all epochs and keeps the last weights.
        patience: Epochs; required with ``monitor``.
        monitor_every: Epochs from one look at the validation set to the next; ``None`` is one.
        monitor_samples: Looks are through so many posterior samples, as MC dropout predicts, each
            time with masks of their own; ``None`` drops no unit.
        stop_train_accuracy: Training accuracy, above 0 and at most 1, whose reaching ends the
            training before ``max_epochs``. It is that of an epoch's own passes, counted while the
            weights change, units drop and inputs are augmented, so it costs nothing and looks at
            no other point. ``None`` doesn't end it.
        stop_after: Epochs that must have reached it, in a row or not; ``None`` is one.
        min_epochs: Epochs at least, whatever they reach; ``None`` is one.
        start: ``cold`` trains from fresh weights every round, ``warm`` from the last round's.
    """

    batch_size: int | None = 64
    epoch_size: int | None = 1024
    max_epochs: int = 10
    monitor: str | None = None
    patience: int | None = None
    monitor_every: int | None = None
    monitor_samples: int | None = None
    stop_train_accuracy: float | None = None
    stop_after: int | None = None
    min_epochs: int | None = None
    start: str = "cold"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start not in STARTS:
            hint = choose(str(self.start), STARTS)
            raise ConfigError(f"{keyed('start')}={self.start} is unknown.", hint)
        if self.monitor is not None and self.monitor not in MONITORS:
            hint = choose(str(self.monitor), MONITORS) + " Use null to train all epochs."
            raise ConfigError(f"{keyed('monitor')}={self.monitor} is unknown.", hint)
        if (self.monitor is None) != (self.patience is None):
            raise ConfigError(
                f"{keyed('monitor')} and {keyed('patience')} go together, got "
                f"monitor={self.monitor} and patience={self.patience}.",
                "Set both, or both to null.",
            )
        self._check_stop()
        looks = ("monitor_every", "monitor_samples")
        for name in looks:
            if getattr(self, name) is not None and self.monitor is None:
                raise ConfigError(
                    f"{keyed(name)}={getattr(self, name)} says how {keyed('monitor')} looks, which "
                    "is null.",
                    f"Add {keyed('monitor')}=nll {keyed('patience')}=10, or use "
                    f"{keyed(name)}=null.",
                )
        counts = ("batch_size", "epoch_size", "max_epochs", "patience", "stop_after", "min_epochs")
        for name in (*counts, *looks):
            if name == "max_epochs" or getattr(self, name) is not None:
                require_whole(name, getattr(self, name), 1)
        if (self.monitor_every or 0) > self.max_epochs:
            raise ConfigError(
                f"{keyed('monitor_every')}={self.monitor_every} is more than {keyed('max_epochs')}="
                f"{self.max_epochs}: the validation set would never be looked at."
            )
        if self.min_epochs is not None and self.min_epochs > self.max_epochs:
            raise ConfigError(
                f"{keyed('min_epochs')}={self.min_epochs} is more than {keyed('max_epochs')}="
                f"{self.max_epochs}."
            )
        if self.batch_size is None and self.epoch_size is not None:
            raise ConfigError(
                f"{keyed('batch_size')}=null is the full labeled set, but {keyed('epoch_size')} is "
                f"{self.epoch_size}.",
                f"Add {keyed('epoch_size')}=null.",
            )

    def _check_stop(self) -> None:
        """Raise ConfigError unless what ends the training by its accuracy is told as a whole."""
        if self.stop_train_accuracy is None:
            for name in ("stop_after", "min_epochs"):
                if getattr(self, name) is not None:
                    raise ConfigError(
                        f"{keyed(name)}={getattr(self, name)} says when "
                        f"{keyed('stop_train_accuracy')} ends the training, which is null.",
                        f"Add {keyed('stop_train_accuracy')}=0.97, or use {keyed(name)}=null.",
                    )
            return
        hint = "Use null to train all epochs."
        require_number("stop_train_accuracy", self.stop_train_accuracy, most=1, above=0, hint=hint)
        if self.max_epochs is None:
            raise ConfigError(
                f"{keyed('stop_train_accuracy')}={self.stop_train_accuracy} may never be reached, "
                f"and {keyed('max_epochs')} is null.",
                f"Add {keyed('max_epochs')}=500.",
            )

    def batches(self, num_labeled: int, generator: torch.Generator) -> Iterator[Tensor]:
        """One epoch's batches as places in the labeled set, each (batch_size,) but for the last."""
        if self.batch_size is None:
            yield torch.arange(num_labeled)
        elif self.epoch_size is None:
            drawn = torch.randperm(num_labeled, generator=generator)
            yield from _split(drawn, self.batch_size)
        else:
            drawn = torch.randint(num_labeled, (self.epoch_size,), generator=generator)
            yield from _split(drawn, self.batch_size)

    def steps_per_epoch(self, num_labeled: int) -> int:
        """Optimizer steps in one epoch over ``num_labeled`` points."""
        if self.batch_size is None:
            return 1
        count = self.epoch_size or num_labeled
        return -(-count // self.batch_size) - self._is_joined(count)

    def largest_batch(self, num_labeled: int) -> int:
        """Points of a batch at most, whatever the labeled set where batches are of any size."""
        if self.batch_size is None:
            return num_labeled
        if self.epoch_size is None:
            return self.batch_size + (self.batch_size > 1)
        return min(self.epoch_size, self.batch_size + self._is_joined(self.epoch_size))

    @property
    def has_short_batches(self) -> bool:
        """Whether there may be batches of several sizes."""
        if self.batch_size is None:
            return False
        if self.epoch_size is None:
            return True
        return self.epoch_size > self.batch_size and self.epoch_size % self.batch_size != 0

    def _is_joined(self, count: int) -> bool:
        """Whether a last point of ``count`` would be alone, and joins the batch before."""
        size = self.batch_size
        return size is not None and size > 1 and count > 1 and count % size == 1


def _split(drawn: Tensor, batch_size: int) -> Iterator[Tensor]:
    """Batches; a last one of a single point joins the one before (BatchNorm needs two)."""
    parts = list(torch.split(drawn, batch_size))
    if len(parts) > 1 and len(parts[-1]) == 1 and batch_size > 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    yield from parts
