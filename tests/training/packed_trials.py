"""Trials of a few points for trainers that may pack them."""

import dataclasses

import torch

from al_bench.data.base import TensorInputs
from al_bench.data.labeled import LabeledSet
from al_bench.engine import Engine
from al_bench.seeding import Streams
from al_bench.training.packed import PackedTrainer
from al_bench.training.trainer import SequentialTrainer

CLASSES = 3
NUM_VALIDATION = 12


class FewPoints:
    """A trial whose points and streams follow from its seed.

    Its weights come out with what is fitted, since its recipe starts warm; without earlier weights
    that is a cold start.
    """

    def __init__(
        self, model, recipe, seed, num_labeled=30, shape=(1, 8, 8), width=None, device="cpu"
    ):
        generator = torch.Generator().manual_seed(seed)
        count = num_labeled + NUM_VALIDATION
        self._labels = torch.randint(CLASSES, (count,), generator=generator)
        values = torch.randn(count, *shape, generator=generator)
        values += 0.3 * self._labels.view(-1, *(1,) * len(shape))
        self.inputs = TensorInputs(values)
        self._num_labeled = num_labeled
        self.model = model
        self.recipe = dataclasses.replace(recipe, start="warm")
        self.engine = Engine(torch.device(device), pack_width=width)
        self.streams = Streams(seed)
        self.num_classes = CLASSES
        self.round = 0
        self.weights = None
        self.finished = False

    @property
    def seed(self):
        return self.streams.seed

    def labeled_set(self):
        return self._points(torch.arange(self._num_labeled))

    def validation_set(self):
        return self._points(self._num_labeled + torch.arange(NUM_VALIDATION))

    def _points(self, indices):
        return LabeledSet(self.inputs, indices, self._labels[indices])


def fit_packed(trials):
    """By seed, what comes of trials that are trained in packs."""
    return {trial.seed: outcome for trial, outcome in PackedTrainer().fit(trials)}


def fit_sequential(trials):
    """By seed, what comes of trials that are trained one by one."""
    return {trial.seed: outcome for trial, outcome in SequentialTrainer().fit(trials)}


def told(fitted):
    """Diagnostics that no clock decides."""
    return {name: one for name, one in fitted.diagnostics.items() if name != "seconds_fit"}


def equal(one, other):
    """Whether two fits have the same bits."""
    if told(one) != told(other):
        return False
    pairs = zip(one.weights, other.weights, strict=True)
    return all(torch.equal(mine[name], his[name]) for mine, his in pairs for name in mine)
