"""When the training of one network ends, and which of its epochs has the best weights."""

import math

from al_bench.errors import TrainingError, keyed
from al_bench.training.recipe import Recipe


class EarlyStopping:
    """Follows one training from epoch to epoch, as its recipe says.

    Args:
        recipe: What is watched, and when it ends.

    Attributes:
        epochs: Epochs that are over.
        is_over: Nothing is left to train.
        mean_loss: Of the last epoch, nats; NaN before the first.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._best_value = -math.inf
        self._best_epoch = 0
        self._num_above = 0
        self.epochs = 0
        self.is_over = False
        self.mean_loss = math.nan

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights are kept, from 1: the best that was looked at, or the last."""
        return self._best_epoch or self.epochs

    @property
    def looks(self) -> bool:
        """Whether the validation set is looked at when the present epoch ends."""
        recipe = self._recipe
        epoch = self.epochs + 1
        return recipe.monitor is not None and epoch % (recipe.monitor_every or 1) == 0

    def end_epoch(self, mean_loss: float) -> None:
        """Another epoch is over, with this loss a point, nats.

        Raises:
            TrainingError: The loss is not finite.
        """
        self.epochs += 1
        self.mean_loss = mean_loss
        if not math.isfinite(mean_loss):
            rate = f"{keyed('learning_rate', self._recipe)}={self._recipe.learning_rate}"
            raise TrainingError(
                f"The training loss became {mean_loss} in epoch {self.epochs}.",
                f"Try one below {rate}.",
            )
        self.is_over = self.epochs == self._recipe.max_epochs

    def improves(self, accuracy: float, nll: float) -> bool:
        """Whether a look has found the best weights so far; without patience left, training ends.

        Args:
            accuracy: Of the validation set.
            nll: Its mean negative log-likelihood, nats.
        """
        assert self._recipe.patience is not None
        value = accuracy if self._recipe.monitor == "accuracy" else -nll
        if value > self._best_value:
            self._best_value, self._best_epoch = value, self.epochs
            return True
        self.is_over |= self.epochs - self._best_epoch >= self._recipe.patience
        return False

    def count(self, train_accuracy: float) -> None:
        """Count an epoch with this accuracy of its own passes, where that may end the training."""
        recipe = self._recipe
        assert recipe.stop_train_accuracy is not None
        self._num_above += train_accuracy >= recipe.stop_train_accuracy
        enough = self._num_above >= (recipe.stop_after or 1)
        self.is_over |= enough and self.epochs >= (recipe.min_epochs or 1)
