"""Train one network epoch by epoch: the one place that watches accuracy and stops early.

M labeled points, n of a batch.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from al_bench.data.labeled import Batches, LabeledSet
from al_bench.engine import PRECISIONS, Engine
from al_bench.errors import TrainingError, keyed
from al_bench.information.entropies import predictive_log_probs
from al_bench.models.base import Network
from al_bench.models.mc_dropout import MCDropoutPosterior
from al_bench.training.draws import Drawn, Generators, draw_epoch
from al_bench.training.recipe import Recipe
from al_bench.training.step import Points, in_training_precision, take_step


@dataclass(frozen=True)
class Training:
    """What came of training one network: curve columns of the same names."""

    steps: int
    epochs: int
    best_epoch: int | None  # the epoch whose weights were kept, from 1
    train_loss: float | None  # mean over the last epoch's points of what is minimised, nats
    train_accuracy: float | None  # of the kept weights, no unit dropped, no input changed


def train(
    network: Network,
    labeled: LabeledSet,
    validation: LabeledSet,
    recipe: Recipe,
    generators: Generators,
    engine: Engine,
    watch: Callable[[], None] = lambda: None,
    after_epoch: Callable[[], object] | None = None,
) -> Training:
    """Train ``network`` in place.

    Args:
        network: Weights to start from, on the engine's device.
        labeled: The training set; an empty one leaves the network as it is.
        validation: Watched when the recipe monitors something.
        recipe: How.
        generators: Draw batches, masks and augmentation.
        engine: Device and precision.
        watch: Called after each step.
        after_epoch: Called after each epoch, when ``network`` has its weights.

    Raises:
        TrainingError: The loss is not finite.
    """
    if len(labeled) == 0:
        network.eval()
        return Training(steps=0, epochs=0, best_epoch=None, train_loss=None, train_accuracy=None)
    read = labeled.on(engine.device, engine.chunk_bytes)
    read_validation = validation.on(engine.device, engine.chunk_bytes)
    optimizer = recipe.make_optimizer(network)
    per_epoch = recipe.steps_per_epoch(len(labeled))
    best_value, best_epoch, best_state = -math.inf, 0, None
    steps = epoch = num_above = 0
    mean_loss = math.nan
    for epoch in range(1, recipe.max_epochs + 1):
        network.train()
        total = torch.zeros((), device=engine.device)
        correct = torch.zeros((), dtype=torch.int64, device=engine.device)
        count = 0
        for drawn in draw_epoch(network, recipe, len(labeled), generators, engine):
            rate = recipe.learning_rate_in(steps, per_epoch, recipe.max_epochs)
            points = _points(read, drawn, recipe)
            step = take_step(network, optimizer, points, recipe, rate, engine)
            total += step.loss * len(points.labels)
            if recipe.stop_train_accuracy is not None:
                correct += (step.logits.argmax(dim=1) == points.labels).sum()
            count += len(points.labels)
            steps += 1
            watch()
        mean_loss = float(total) / count
        if not math.isfinite(mean_loss):
            raise TrainingError(
                f"The training loss became {mean_loss} in epoch {epoch}.",
                f"Try one below {keyed('learning_rate', recipe)}={recipe.learning_rate}.",
            )
        if after_epoch is not None:
            after_epoch()
        looks = recipe.monitor is not None and epoch % (recipe.monitor_every or 1) == 0
        if looks and recipe.patience is not None:
            accuracy, nll = _look(network, read_validation, recipe, generators, engine)
            value = accuracy if recipe.monitor == "accuracy" else -nll
            if value > best_value:
                best_value, best_epoch = value, epoch
                best_state = copy.deepcopy(network.state_dict())
            elif epoch - best_epoch >= recipe.patience:
                break
        if recipe.stop_train_accuracy is not None:
            num_above += int(correct) / count >= recipe.stop_train_accuracy
            if num_above >= (recipe.stop_after or 1) and epoch >= (recipe.min_epochs or 1):
                break
    if best_state is not None:
        network.load_state_dict(best_state)
    network.eval()
    return Training(
        steps=steps,
        epochs=epoch,
        best_epoch=best_epoch or epoch,
        train_loss=mean_loss,
        train_accuracy=_assess(network, read, engine)[0],
    )


def _points(read: Batches, drawn: Drawn, recipe: Recipe) -> Points:
    """The points of a step, changed where the recipe says so."""
    inputs, labels = read(drawn.places)
    if recipe.augment is not None and drawn.uniform is not None:
        inputs = recipe.augment(inputs, drawn.uniform, read.zero)
    return Points(inputs, labels, drawn.masks)


def _look(
    network: Network, read: Batches, recipe: Recipe, generators: Generators, engine: Engine
) -> tuple[float, float]:
    """Accuracy and mean NLL (nats) of the validation set, as the recipe monitors them."""
    if recipe.monitor_samples is None:
        return _assess(network, read, engine)
    precision = PRECISIONS[engine.scoring_precision]
    posterior = MCDropoutPosterior(
        network, recipe.monitor_samples, frozenset(), generators.look, precision
    )
    correct = nll = torch.zeros((), dtype=torch.float64, device=engine.device)
    for inputs, labels in read:
        log_probs = predictive_log_probs(posterior.log_probs(inputs))
        correct = correct + (log_probs.argmax(dim=1) == labels).sum()
        nll = nll + F.nll_loss(log_probs.double(), labels, reduction="sum")
    return float(correct) / len(read), float(nll) / len(read)


@torch.inference_mode()
def _assess(network: Network, read: Batches, engine: Engine) -> tuple[float, float]:
    """Accuracy and mean NLL (nats) with no unit dropped and no input changed."""
    network.eval()
    correct = nll = torch.zeros((), dtype=torch.float64, device=engine.device)
    for inputs, labels in read:
        with in_training_precision(engine):
            logits = network(inputs)
        correct = correct + (logits.argmax(dim=1) == labels).sum()
        nll = nll + F.cross_entropy(logits.double(), labels, reduction="sum")
    return float(correct) / len(read), float(nll) / len(read)
