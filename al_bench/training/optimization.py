"""How one step changes the weights of a network: what all recipes say, whoever takes the steps."""

import functools
import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from al_bench.data.base import Inputs
from al_bench.errors import ConfigError, choose, keyed, placed, require_number
from al_bench.training.augment import Augmentation
from al_bench.training.schedules import Schedule

OPTIMIZERS = ("adam", "adamw", "sgd")


@dataclass(frozen=True)
class Optimization:
    """How one step changes the weights of a network.

    Args:
        optimizer: ``adam``, ``adamw`` or ``sgd``.
        learning_rate: Above 0; the ``schedule`` multiplies it.
        momentum: Of SGD, in [0, 1); must be 0 with the others.
        nesterov: Whether SGD's momentum looks ahead; ``None`` is no.
        weight_decay: At least 0: an L2 coefficient; with ``adamw`` decoupled from the gradient
            (Loshchilov & Hutter 2019, arXiv:1711.05101).
        label_smoothing: Probability, above 0 and below 1, that a training label spreads evenly over
            all C classes; ``None`` spreads none.
        clip_norm: Largest norm of the gradient of all parameters together, above 0; a longer one is
            made that long. ``None`` leaves it.
        schedule: Changes the learning rate from step to step, anew each time that training starts;
            ``None`` keeps it.
        augment: Changes training inputs at random; ``None`` shows them as they are.
    """

    optimizer: str = "adam"
    learning_rate: float = 0.001
    momentum: float = 0.0
    nesterov: bool | None = None
    weight_decay: float = 0.0
    label_smoothing: float | None = None
    clip_norm: float | None = None
    schedule: Schedule | None = None
    augment: Augmentation | None = None

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError(
                f"{keyed('optimizer')}={self.optimizer} is unknown.",
                choose(str(self.optimizer), OPTIMIZERS),
            )
        require_number("learning_rate", self.learning_rate, above=0)
        require_number("weight_decay", self.weight_decay, 0)
        require_number("momentum", self.momentum, 0, below=1)
        off = "Use null for none."
        if self.label_smoothing is not None:
            require_number("label_smoothing", self.label_smoothing, above=0, below=1, hint=off)
        if self.clip_norm is not None:
            require_number("clip_norm", self.clip_norm, above=0, hint=off)
        if self.momentum and self.optimizer != "sgd":
            raise ConfigError(
                f"{keyed('momentum')}={self.momentum} needs {keyed('optimizer')}=sgd, "
                f"got {self.optimizer}."
            )
        if self.nesterov not in (None, True, False):
            raise ConfigError(f"{keyed('nesterov')} must be true or null, got {self.nesterov!r}.")
        if self.nesterov and not self.momentum:
            raise ConfigError(
                f"{keyed('nesterov')}=true needs {keyed('optimizer')}=sgd with a momentum, got "
                f"{self.optimizer} and {self.momentum}.",
                f"Add {keyed('optimizer')}=sgd {keyed('momentum')}=0.9.",
            )

    def check(self, inputs: Inputs, max_epochs: float) -> None:
        """Raise ConfigError unless schedule and augmentation suit what will be trained on.

        Args:
            inputs: What the pool's inputs are made of.
            max_epochs: Epochs at most.
        """
        if self.schedule is not None:
            with placed(self.schedule):
                factor = self.schedule.factor(0, 1, max_epochs)
                require_number("The factor of a learning rate", factor, 0)
        if self.augment is not None:
            _check_augment(self.augment, inputs, f"Use {keyed('augment', self)}=null.")

    def make_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """A fresh optimizer of the network's parameters."""
        if self.optimizer == "sgd":
            sgd: type[torch.optim.SGD] = _uncompiled(torch.optim.SGD)
            return sgd(
                network.parameters(),
                lr=self.learning_rate,
                momentum=self.momentum,
                weight_decay=self.weight_decay,
                nesterov=bool(self.nesterov),
            )
        kind = _uncompiled(torch.optim.Adam if self.optimizer == "adam" else torch.optim.AdamW)
        return kind(network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)

    def learning_rate_in(self, step: int, steps_per_epoch: int, max_epochs: float) -> float:
        """The learning rate in a step, counted from 0 over all epochs."""
        if self.schedule is None:
            return self.learning_rate
        with placed(self.schedule):
            return self.learning_rate * self.schedule.factor(step, steps_per_epoch, max_epochs)


@functools.cache
def _uncompiled(kind: Any) -> Any:
    """The same optimizer without the wrappers that are for torch's compiler.

    They import it, unused, which takes as long as importing torch.
    """
    names = ("add_param_group", "zero_grad")
    own = {name: inspect.unwrap(getattr(kind, name)) for name in names}
    own["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), own)


def _check_augment(augment: Augmentation, inputs: Inputs, hint: str) -> None:
    shape = inputs.input_shape
    if not hasattr(inputs, "zero"):
        raise ConfigError(
            f"{type(inputs).__name__} does not say what a value of 0 is after normalising, which "
            "augmentations are told.",
            "Give it the attribute zero of al_bench.data.base.Inputs.",
        )
    with placed(augment):
        try:
            drawn = torch.zeros(1, augment.num_draws)
            changed = augment(torch.zeros(1, *shape), drawn, inputs.zero)
        except ConfigError as error:
            raise ConfigError(error.message, error.hint or hint) from error
    if changed.shape != (1, *shape):
        raise ConfigError(
            f"{type(augment).__name__} makes inputs of shape {tuple(changed.shape[1:])} of those "
            f"of shape {tuple(shape)}.",
            "An augmentation keeps the shape.",
        )
