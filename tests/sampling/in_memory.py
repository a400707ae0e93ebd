"""Trials of active sampling on a small made-up pool, and a store that keeps their rounds."""

import copy
import functools
import io
from pathlib import Path

import torch

from al_bench.data.base import Examples, Pool, TensorInputs
from al_bench.data.target import PoolTargets
from al_bench.engine import Engine
from al_bench.models.deterministic import Deterministic
from al_bench.models.networks.mlp import mlp
from al_bench.results.identity import RunIdentity
from al_bench.results.schema import IDENTITY
from al_bench.sampling.budget import StepBudget
from al_bench.sampling.recipe import StepRecipe
from al_bench.sampling.trial import SamplingRun
from al_bench.seeding import Streams

IDENTITIES = RunIdentity(**dict.fromkeys(IDENTITY, "x"), config="")
UNUSED = Path("unused")  # but by irreducible losses
CPU = Engine(torch.device("cpu"))
NETWORK = functools.partial(mlp, hidden=(8,), dropout=0.5)


def make_pool(size=120, num_classes=3, seed=0):
    """Points around one corner a class; every tenth label is wrong."""
    generator = torch.Generator().manual_seed(seed)
    true = torch.arange(size) % num_classes
    inputs = torch.eye(num_classes, 4)[true] * 2 + torch.randn(size, 4, generator=generator)
    pool = Pool.of(Examples(TensorInputs(inputs), true), num_classes, "made_up")
    labels = torch.where(torch.arange(size) % 10 == 0, (true + 1) % num_classes, true)
    return Pool(**{**pool.__dict__, "labels": labels})


def make_trial(
    selection,
    *,
    pool=None,
    model=None,
    recipe=None,
    budget=None,
    targets=None,
    seed=0,
    test=None,
    results=UNUSED,
):
    """A trial at its beginning."""
    pool = make_pool() if pool is None else pool
    run = SamplingRun(
        identity=IDENTITIES,
        model=Deterministic(NETWORK) if model is None else model,
        engine=CPU,
        recipe=recipe or StepRecipe(batch_size=4),
        selection=selection,
        budget=budget or StepBudget(passes=3, candidates=16),
    )
    targets = PoolTargets().of(None, pool) if targets is None else targets
    test = test or Examples(pool.inputs, pool.true_labels)
    return run.trial(Streams(seed), pool, targets, test, results)


class Kept:
    """A store in memory: rows and, as bytes, checkpoints of every round."""

    def __init__(self):
        self.rows, self.checkpoints, self.failures, self.reasons = [], [], [], []

    def commit(self, trial, row, acquired):
        assert not acquired
        buffer = io.BytesIO()
        torch.save(trial.checkpoint, buffer)
        self.rows.append(copy.deepcopy(row))
        self.checkpoints.append(buffer.getvalue())
        return row

    def checkpoint(self, round):
        return torch.load(io.BytesIO(self.checkpoints[round]), weights_only=True)

    def finish(self, trial):
        self.reasons.append(trial.reason)

    def fail(self, trial, error):
        self.failures.append(error)


def without_seconds(rows):
    """Rows but for what is measured."""
    return [
        {name: value for name, value in row.items() if "seconds" not in name and "peak" not in name}
        for row in rows
    ]
