"""What a file under ``conf/training`` says: how one network is trained on a labeled set."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from al_bench.errors import ConfigError, choose, keyed, require_number, require_whole

OPTIMIZERS = ("adam", "sgd")
MONITORS = ("accuracy", "nll")
STARTS = ("cold", "warm")


@dataclass(frozen=True)
class Recipe:
    """How one network is trained.

    Args:
        optimizer: ``adam`` or ``sgd``.
        learning_rate: Above 0.
        momentum: Of SGD, in [0, 1); must be 0 with Adam.
        weight_decay: L2 coefficient, at least 0.
        batch_size: Points a step; ``None`` is the full labeled set.
        epoch_size: Points an epoch, drawn with replacement, so that a small labeled set still gets
            many steps; ``None`` shows every labeled point once an epoch.
        max_epochs: Epochs at most.
        monitor: ``accuracy`` or ``nll`` on the validation set (no unit dropped) after every epoch;
            training stops after ``patience`` epochs without improvement and the best weights are
            restored. ``None`` trains all epochs and keeps the last weights.
        patience: Epochs; required with ``monitor``.
        start: ``cold`` trains from fresh weights every round, ``warm`` from the last round's.
    """

    optimizer: str = "adam"
    learning_rate: float = 0.001
    momentum: float = 0.0
    weight_decay: float = 0.0
    batch_size: int | None = 64
    epoch_size: int | None = 1024
    max_epochs: int = 10
    monitor: str | None = None
    patience: int | None = None
    start: str = "cold"

    def __post_init__(self) -> None:
        for name, valid in (("optimizer", OPTIMIZERS), ("start", STARTS)):
            if getattr(self, name) not in valid:
                value = getattr(self, name)
                raise ConfigError(f"{keyed(name)}={value} is unknown.", choose(str(value), valid))
        if self.monitor is not None and self.monitor not in MONITORS:
            hint = choose(str(self.monitor), MONITORS) + " Use null to train all epochs."
            raise ConfigError(f"{keyed('monitor')}={self.monitor} is unknown.", hint)
        if (self.monitor is None) != (self.patience is None):
            raise ConfigError(
                f"{keyed('monitor')} and {keyed('patience')} go together, got "
                f"monitor={self.monitor} and patience={self.patience}.",
                "Set both, or both to null.",
            )
        for name in ("batch_size", "epoch_size", "max_epochs", "patience"):
            if name == "max_epochs" or getattr(self, name) is not None:
                require_whole(name, getattr(self, name), 1)
        require_number("learning_rate", self.learning_rate, above=0)
        require_number("weight_decay", self.weight_decay, 0)
        require_number("momentum", self.momentum, 0, below=1)
        if self.momentum and self.optimizer != "sgd":
            raise ConfigError(
                f"{keyed('momentum')}={self.momentum} needs {keyed('optimizer')}=sgd, "
                f"got {self.optimizer}."
            )
        if self.batch_size is None and self.epoch_size is not None:
            raise ConfigError(
                f"{keyed('batch_size')}=null is the full labeled set, but {keyed('epoch_size')} is "
                f"{self.epoch_size}.",
                f"Add {keyed('epoch_size')}=null.",
            )

    def make_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """A fresh optimizer of the network's parameters."""
        if self.optimizer == "adam":
            return torch.optim.Adam(
                network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
            )
        return torch.optim.SGD(
            network.parameters(),
            lr=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
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
        alone = count > 1 and count % self.batch_size == 1 and self.batch_size > 1
        return -(-count // self.batch_size) - alone


def _split(drawn: Tensor, batch_size: int) -> Iterator[Tensor]:
    """Batches; a last one of a single point joins the one before (BatchNorm needs two)."""
    parts = list(torch.split(drawn, batch_size))
    if len(parts) > 1 and len(parts[-1]) == 1 and batch_size > 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    yield from parts
