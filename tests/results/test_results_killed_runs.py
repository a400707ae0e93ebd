"""Whole runs, killed at any instant and started again, end as if nothing had happened."""

import contextlib
import dataclasses
import os
import random
import signal
import time

import pandas as pd
import pytest
from breaking_disk import BreakingDisk, Killed

from al_bench.configuration.composing import compose
from al_bench.results.frame import read_acquisitions, read_curves
from al_bench.results.schema import MEASURED
from al_bench.rounds import loop
from al_bench.rounds.active_learning import ActiveLearningTrial
from al_bench.running import execution
from al_bench.running.loading import Data
from al_bench.running.prepare import prepare
from al_bench.sampling import irreducible
from al_bench.sampling import loop as sampling
from al_bench.sampling.trial import SamplingTrial
from al_bench.training import packs, trainer

OVERRIDES = (
    "seeds=1",
    "model.num_samples=3",
    "model/network=mlp",  # the quickest
    "model.network.hidden=[16]",
)
LABELS = ("training.max_epochs=1", "training.epoch_size=64")
STEPS = (
    "budget.steps=6",
    "budget.candidates=64",
    "budget.evaluate_every=3",
    "training.batch_size=8",
    "selection.irreducible.training.max_epochs=1",
    "selection.irreducible.least_steps=null",
)


class Silent:
    def begin(self, *said): ...

    def steps(self, *said): ...

    def round(self, *said): ...

    def end(self, *said): ...


class Reported(Silent):
    """Remembers which rounds were reported as finished."""

    def __init__(self):
        self.rounds = set()

    def round(self, key, row, num_rounds):
        self.rounds.add((key, row["round"], row["test_nll"]))


BANDIT = (  # its state, and warm weights of trainings that end by themselves
    "strategy=albl",
    "training=dynamical",
    "training.stop_train_accuracy=0.5",
    "training.stop_after=2",
    "training.max_epochs=6",
    "budget.total=40",
)
TOGETHER = ("evaluation.joint_size=5", "evaluation.online=true")
WARM = (*LABELS, "strategy=bald", "training.start=warm")
RUNS = {
    "cold": [[*LABELS, "strategy=bald", "training.start=cold", "budget.total=40"]],
    "warm": [[*WARM, *TOGETHER, "budget.total=40"]],
    "packed": [[*WARM, "budget.total=30", "pack_width=2", "seeds=3"]],
    "bandit": [[*BANDIT]],
    "together": [[*LABELS, "strategy=margin", "budget.total=30"], [*WARM, "budget.total=30"]],
    "sampling": [["selection=rho_loss", *STEPS]],
    "sampling together": [  # two that share what is learned of a holdout, and two others
        ["selection=irreducible_loss", *STEPS],
        ["selection=rho_loss", *STEPS],
        ["selection=rho_loss", "selection.irreducible.update=true", *STEPS],
        [*WARM, "budget.total=30"],
    ],
}
SLOW = ("packed", "bandit", "together", "sampling", "sampling together")


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in RUNS],
)
def runs(request):
    """One run, or several that are executed together."""
    data = Data()
    return [prepare(compose([*OVERRIDES, *words]), data) for words in RUNS[request.param]]


@pytest.fixture(scope="module")
def undisturbed(runs, tmp_path_factory):
    """The files of the whole runs, and how many disk operations it took."""
    folder = tmp_path_factory.mktemp("whole")
    disk = BreakingDisk(None)
    with pytest.MonkeyPatch.context() as patch:
        disk.install(patch)
        execute(into(runs, folder))
    return stored(folder), len(disk.operations)


def into(runs, folder):
    return [dataclasses.replace(run, results=folder) for run in runs]


def execute(runs, report=None):
    trials = execution.first_seeds_first([execution.assignments(run) for run in runs])
    outcomes = execution.run_trials(trials, report or Silent())
    assert [ended.status for ended in outcomes] == ["done"] * len(trials)


def stored(folder):
    curves = read_curves([folder]).drop(columns=list(MEASURED))
    order = ["run_id", "seed", "round"]
    bought = read_acquisitions([folder]).sort_values([*order, "rank"]).reset_index(drop=True)
    return curves.sort_values(order).reset_index(drop=True), bought


def phases(runs):
    if any(run.composed.config.selection is not None for run in runs):
        return PHASES_OF_SAMPLING
    if any(run.run.engine.pack_width is not None for run in runs):
        return PHASES_OF_PACKS
    return PHASES


def assert_same(folder, expected):
    for got, wanted in zip(stored(folder), expected, strict=True):
        pd.testing.assert_frame_equal(got, wanted)


# Before an operation is after the one before it: every second one, both before and after, is all.
@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_killed_at_a_disk_operation_ends_as_if_undisturbed(
    tmp_path, runs, undisturbed, moment
):
    expected, count = undisturbed
    trials = sum(len(run.seeds) for run in runs)
    for at in range(0, count, 3 * trials - 3 or 2):  # several have more
        runs = into(runs, tmp_path / str(at))
        reported = Reported()
        with pytest.MonkeyPatch.context() as patch:
            BreakingDisk(at, moment).install(patch)
            with pytest.raises(Killed):
                execute(runs, reported)
        before = set(reported.rounds)
        execute(runs, reported)
        assert_same(tmp_path / str(at), expected)
        kept = {(key, round) for key, round, _ in before}
        again = {(key, round) for key, round, _ in reported.rounds - before}
        assert not kept & again, "a round that was reported as finished was done again"


STORED = [(execution.Rounds, "commit"), (execution.Rounds, "finish")]
PHASES = [
    (trainer, "fit_one"),
    (loop, "validate"),
    (loop, "evaluate"),
    (ActiveLearningTrial, "row"),
    (ActiveLearningTrial, "select"),
    (ActiveLearningTrial, "label"),
    *STORED,
]
PHASES_OF_PACKS = [(packs.Pack, "train_epoch"), *PHASES[1:]]
PHASES_OF_SAMPLING = [
    (irreducible, "cached"),
    (sampling, "validate"),
    (sampling, "evaluate"),
    (SamplingTrial, "take_step"),
    (SamplingTrial, "row"),
    (SamplingTrial, "go_on"),
    *STORED,
]


@pytest.mark.slow
@pytest.mark.parametrize("place", range(len(PHASES)))
@pytest.mark.parametrize("call", [1, 0])
def test_a_run_killed_at_a_phase_ends_as_if_undisturbed(tmp_path, runs, undisturbed, place, call):
    expected, _ = undisturbed
    home, name = phases(runs)[place]
    for moment in ("before", "after"):
        runs = into(runs, tmp_path / moment)
        with pytest.MonkeyPatch.context() as patch:
            last = 0 if name in ("finish", "cached") else call
            patch.setattr(home, name, dying(getattr(home, name), last, moment))
            with pytest.raises(Killed):
                execute(runs)
        execute(runs)
        assert_same(tmp_path / moment, expected)


def dying(function, call, moment):
    """``function``, but the process dies before or after its ``call``-th use."""
    calls = iter(range(10**6))

    def wrapped(*arguments, **options):
        if next(calls) != call:
            return function(*arguments, **options)
        if moment == "after":
            function(*arguments, **options)
        raise Killed

    return wrapped


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.slow
def test_a_run_killed_at_random_instants_ends_as_if_undisturbed(tmp_path, runs):
    runs = [dataclasses.replace(run, seeds=range(3)) for run in runs]
    started = time.perf_counter()
    execute(into(runs, tmp_path / "whole"))
    seconds = time.perf_counter() - started
    runs = into(runs, tmp_path / "killed")
    instants = random.Random(0)
    survived = 0
    for _ in range(20):
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                execute(runs)
            os._exit(0)
        time.sleep(instants.uniform(0, 0.6 * seconds))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        files = list((tmp_path / "killed").glob("**/curves/seed=*.parquet"))
        rounds = len(read_curves(files)) if files else 0
        assert rounds >= survived, "a committed round was lost"
        survived = rounds
    execute(runs)
    assert_same(tmp_path / "killed", stored(tmp_path / "whole"))
