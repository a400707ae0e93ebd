"""Train one network epoch by epoch: the one place that watches accuracy and stops early.

M labeled points, n of a batch.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from al_bench.data.labeled import Batches, LabeledSet
from al_bench.engine import PRECISIONS, Engine
from al_bench.information.entropies import predictive_log_probs
from al_bench.models.base import Network
from al_bench.models.mc_dropout import MCDropoutPosterior
from al_bench.training.draws import Drawn, Generators, draw_epoch
from al_bench.training.early_stopping import EarlyStopping
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
    stopping, best_state, steps = EarlyStopping(recipe), None, 0
    while not stopping.is_over:
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
        looks = stopping.looks
        stopping.end_epoch(float(total) / count)
        if after_epoch is not None:
            after_epoch()
        if looks and stopping.improves(
            *_look(network, read_validation, recipe, generators, engine)
        ):
            best_state = copy.deepcopy(network.state_dict())
        if recipe.stop_train_accuracy is not None:
            stopping.count(int(correct) / count)
    if best_state is not None:
        network.load_state_dict(best_state)
    return trained(network, read, stopping, steps, engine)


def trained(
    network: Network, read: Batches, stopping: EarlyStopping, steps: int, engine: Engine
) -> Training:
    """What is to be told of a training that is over; ``network`` is in evaluation mode then.

    Args:
        network: With the weights that are kept.
        read: Reads the training set.
        stopping: Has followed the training.
        steps: Taken.
        engine: Device and precision.
    """
    return Training(
        steps=steps,
        epochs=stopping.epochs,
        best_epoch=stopping.best_epoch,
        train_loss=stopping.mean_loss,
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
    return _means(look(network, read, recipe, generators, engine), len(read))


def look(
    network: Network, read: Batches, recipe: Recipe, generators: Generators, engine: Engine
) -> Tensor:
    """(2,) float64 on the device: points told correctly and the sum of their NLL, nats.

    Args:
        network: As it is trained so far.
        read: Reads the validation set.
        recipe: Says through how many samples it is looked at.
        generators: Draw them.
        engine: Device and precision.
    """
    if recipe.monitor_samples is None:
        return _sums(network, read, engine)
    precision = PRECISIONS[engine.scoring_precision]
    posterior = MCDropoutPosterior(
        network, recipe.monitor_samples, frozenset(), generators.look, precision
    )
    correct = nll = torch.zeros((), dtype=torch.float64, device=engine.device)
    for inputs, labels in read:
        log_probs = predictive_log_probs(posterior.log_probs(inputs))
        correct = correct + (log_probs.argmax(dim=1) == labels).sum()
        nll = nll + F.nll_loss(log_probs.double(), labels, reduction="sum")
    return torch.stack([correct, nll])


def _assess(network: Network, read: Batches, engine: Engine) -> tuple[float, float]:
    """Accuracy and mean NLL (nats) with no unit dropped and no input changed."""
    return _means(_sums(network, read, engine), len(read))


@torch.inference_mode()
def _sums(network: Network, read: Batches, engine: Engine) -> Tensor:
    """As ``look``, with no unit dropped."""
    network.eval()
    correct = nll = torch.zeros((), dtype=torch.float64, device=engine.device)
    for inputs, labels in read:
        with in_training_precision(engine):
            logits = network(inputs)
        correct = correct + (logits.argmax(dim=1) == labels).sum()
        nll = nll + F.cross_entropy(logits.double(), labels, reduction="sum")
    return torch.stack([correct, nll])


def _means(sums: Tensor, count: int) -> tuple[float, float]:
    correct, nll = sums.tolist()
    return correct / count, nll / count
