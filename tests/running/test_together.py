"""Trials of several runs at once: the bits of each alone, its own failure, one data set."""

import dataclasses
import gc
import weakref
from pathlib import Path

import pandas as pd
import pytest
import torch

from al_bench.configuration.composing import compose
from al_bench.errors import AlBenchError, Stopped
from al_bench.results.frame import read_curves
from al_bench.results.locks import take
from al_bench.results.schema import MEASURED
from al_bench.results.trial_key import TrialKey
from al_bench.rounds import loop
from al_bench.running import execution
from al_bench.running.execution import assignments, first_seeds_first, run_trials
from al_bench.running.loading import Data
from al_bench.running.names import names, trial_name
from al_bench.running.prepare import prepare
from al_bench.running.progress import LogReport
from al_bench.running.together import run_together

QUICK = (
    "training.max_epochs=1",
    "training.epoch_size=64",
    "model.num_samples=3",
    "model/network=mlp",
    "model.network.hidden=[16]",
)
FAILS = """
from al_bench.strategies.random import Random

class Fails(Random):
    def select(self, view, batch_size, generator):
        if view.round == 1:
            raise RuntimeError("not today")
        return super().select(view, batch_size, generator)
"""


class Told:
    """Remembers all that a report hears."""

    def __init__(self):
        self.rounds, self.ended = [], []

    def begin(self, *said): ...

    def steps(self, *said): ...

    def round(self, key, row, num_rounds):
        self.rounds.append((key, row["round"]))

    def end(self, outcome):
        self.ended.append(outcome)


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Prepared runs by what was typed, and the data that they share."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "fails_once.py").write_text(FAILS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield {}, Data()


@pytest.fixture
def runs(known, tmp_path):
    """Prepared runs of these overrides, in a results folder of this name."""
    prepared, data = known

    def one(words, into):
        typed = ("budget.total=35", *words)
        if typed not in prepared:
            prepared[typed] = prepare(compose([*QUICK, *typed]), data)
        return dataclasses.replace(prepared[typed], results=tmp_path / into)

    return lambda *each, into="together": [one(words, into) for words in each]


def in_turn(runs):
    return first_seeds_first([assignments(run) for run in runs])


def curves(folder):
    frame = read_curves([folder]).drop(columns=list(MEASURED))
    return frame.sort_values(["run_id", "seed", "round"]).reset_index(drop=True)


TWO = (
    ["strategy=random", "seeds=1", "budget.total=30"],
    ["strategy=margin", "seeds=[3]", "budget.total=30"],
)
MANY = (
    *TWO,
    ["strategy=bald", "seeds=2", "training.start=warm"],
    ["strategy=fails_once.Fails", "seeds=2"],
    ["strategy=random", "strategy@init_strategy=margin", "seeds=1"],
    ["strategy=entropy", "seeds=1", "threads=2"],
    ["strategy=entropy", "seeds=1", "training_precision=bfloat16", "chunk_bytes=100000"],
    ["strategy=badge", "seeds=1", "pool=label_noise", "workers=2"],
)


def compared(make, each, tmp_path, run):
    together = make(*each)
    outcomes = run(in_turn(together), Told())
    for alone in make(*each, into="alone"):
        run_trials(assignments(alone), Told())
    pd.testing.assert_frame_equal(curves(tmp_path / "together"), curves(tmp_path / "alone"))
    return together, outcomes


@pytest.mark.slow
def test_runs_executed_together_have_the_bits_of_each_alone(runs, tmp_path):
    together, outcomes = compared(runs, TWO, tmp_path, run_trials)
    one, other = (run.folder for run in together)
    assert [(ended.key, ended.status, ended.rounds) for ended in outcomes] == [
        (TrialKey(folder, seed), "done", 2) for folder, seed in [(one, 0), (other, 3)]
    ]


@pytest.mark.slow
@pytest.mark.parametrize("run", [run_trials, run_together])
def test_runs_of_many_kinds_have_the_bits_of_each_alone(runs, tmp_path, run):
    together, outcomes = compared(runs, MANY, tmp_path, run)
    failing = together[3].folder
    for ended in outcomes:
        fails = ended.key.folder == failing
        assert (ended.status, ended.rounds) == (("failed", 1) if fails else ("done", ended.rounds))
    engines = curves(tmp_path / "together").groupby("run_id")["threads"].unique()
    assert engines[together[5].run.identity.run_id].tolist() == [2]
    assert torch.get_num_threads() == 1


@pytest.mark.slow
def test_all_runs_grow_together_and_the_first_seeds_are_first(runs, monkeypatch):
    words = ["budget.total=30"]
    one, other = runs(
        ["strategy=random", "seeds=2", *words], ["strategy=margin", "seeds=[1]", *words]
    )
    monkeypatch.setattr(execution, "AT_ONCE", 2)
    told = Told()
    run_trials(in_turn([one, other]), told)
    first, second = (one.key(0), other.key(1)), (one.key(1),)
    assert told.rounds == [
        (key, round) for part in (first, second) for round in range(2) for key in part
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "most", "sizes"),
    [("cold", 1, [1, 1, 1]), ("warm", 140_000, [2, 1]), ("cold", 140_000, [3])],
)
def test_only_as_many_trials_are_under_way_as_fit_into_memory(
    runs, monkeypatch, start, most, sizes
):
    words = ["strategy=random", "seeds=3", "budget.total=30", f"training.start={start}"]
    (run,) = runs([*words, "model.network.hidden=[64]"])
    monkeypatch.setattr(execution, "BYTES_AT_ONCE", most)
    told = Told()
    outcomes = run_trials(assignments(run), told)
    assert [ended.status for ended in outcomes] == ["done"] * 3
    of_seeds = [key.seed for key, _ in told.rounds]
    expected, first = [], 0
    for size in sizes:
        expected += [*range(first, first + size)] * 2
        first += size
    assert of_seeds == expected


@pytest.mark.slow
def test_a_trial_that_two_jobs_name_is_run_once(runs):
    once = runs(["strategy=random", "seeds=2"], ["strategy=random", "seeds=[1,4]", "workers=3"])
    assert once[0].folder == once[1].folder
    assert [one.key.seed for one in in_turn(once)] == [0, 1, 4]


@pytest.mark.slow
def test_held_trials_come_last_over_all_runs(runs, monkeypatch):
    from al_bench.results import locks

    one, other = runs(["strategy=random", "seeds=2"], ["strategy=margin", "seeds=1", "threads=2"])
    held = one.key(0)
    held.paths.lock.parent.mkdir(parents=True)
    lock = take(held.paths.lock)
    told, settled = Told(), []

    def settle(paths):
        settled.extend(paths)
        lock.release()

    monkeypatch.setattr(locks, "settle", settle)
    outcomes = run_together(in_turn([one, other]), told)
    assert settled == [held.paths.lock]
    assert [ended.key for ended in told.ended] == [one.key(1), other.key(0), held]
    assert {ended.status for ended in outcomes} == {"done"}


@pytest.mark.slow
def test_a_refused_run_fails_and_leaves_the_others_alone(runs):
    one, other = runs(["strategy=random", "seeds=1"], ["strategy=margin", "seeds=1"])
    refused = assignments(one, refused=AlBenchError("Not this one."))
    outcomes = run_trials(first_seeds_first([refused, assignments(other)]), Told())
    assert [ended.status for ended in outcomes] == ["failed", "done"]
    assert "Not this one." in outcomes[0].message


@pytest.mark.slow
def test_a_failure_stops_all_where_its_run_says_so(runs, tmp_path):
    words = ["strategy=fails_once.Fails", "seeds=1", "on_error=stop"]
    failing, other = runs(words, ["strategy=margin", "seeds=1"])
    told = Told()
    with pytest.raises(Stopped):
        run_trials(in_turn([failing, other]), told)
    assert [ended.key for ended in told.ended] == [failing.key(0)]
    assert len(curves(tmp_path / "together")) == 2  # what was committed is kept
    assert {ended.status for ended in run_trials(assignments(other), Told())} == {"done"}


@pytest.mark.slow
def test_a_trial_that_has_ended_lets_go_of_its_pool(runs, monkeypatch):
    words = ["budget.batch_size=15", "seeds=1"]
    short, long = runs(["strategy=random", *words], ["strategy=margin", "seeds=1"])
    pools, alive = [], []
    trial = type(short).trial
    monkeypatch.setattr(
        type(short),
        "trial",
        lambda self, seed: pools.append(weakref.ref(made := trial(self, seed))) or made,
    )
    evaluate = loop.evaluate

    def spied(*args):
        gc.collect()
        alive.append(sum(pool() is not None for pool in pools))
        return evaluate(*args)

    monkeypatch.setattr(loop, "evaluate", spied)
    run_trials(in_turn([short, long]), Told())
    assert alive == [2, 2, 2, 2, 1]  # two rounds of the short one, three of the long one


@pytest.mark.slow
def test_equal_data_sets_are_one_object(runs):
    noise = ["pool=label_noise"]
    plain, warm, noisy, also = runs(
        ["strategy=random"],
        ["strategy=bald", "training.start=warm"],
        ["strategy=random", *noise],
        ["strategy=bald", *noise],
    )
    assert len({id(run.dataset) for run in (plain, warm, noisy, also)}) == 1
    assert noisy.loaded is also.loaded
    assert plain.target is warm.target
    trials = [run.trial(seed) for run in (plain, warm, noisy) for seed in (0, 1)]
    inputs = {trial.pool.inputs.values.data_ptr() for trial in trials}
    assert inputs == {plain.dataset.train.inputs.values.data_ptr()}
    assert {id(trial.test.inputs) for trial in trials} == {id(plain.dataset.test.inputs)}


def test_data_sets_are_equal_where_their_configurations_are():
    class Source:
        def load(self):
            return object()

    data = Data()
    one = data.dataset({"_target_": "a.B", "path": "x"}, Source())
    assert data.dataset({"path": "x", "_target_": "a.B"}, Source()) is one
    assert data.dataset({"_target_": "a.B", "path": "y"}, Source()) is not one
    assert Data().dataset({"_target_": "a.B", "path": "x"}, Source()) is not one


@pytest.mark.slow
@pytest.mark.parametrize("labels", [["refused", "refused"], ["refused", "wasted"]])
def test_a_further_data_set_is_loaded_once_too(labels, monkeypatch):
    from al_bench.data.digits import Digits

    loads, load = [], Digits.load
    monkeypatch.setattr(Digits, "load", lambda self: loads.append(self) or load(self))
    contaminated = ["pool=contaminate", "pool.contaminate.source=digits"]
    words = [[*contaminated, f"pool.contaminate.labels={label}", "seeds=1"] for label in labels]
    data = Data()
    some = [prepare(compose(each), data) for each in words]
    assert len(loads) == 1  # it is the pool's own, too
    joined = [run.trial(0).pool.inputs for run in some]
    assert len(joined[0]) == len(joined[1]) == 2 * len(some[0].dataset.train)


@pytest.mark.slow
def test_runs_are_named_by_what_differs(runs):
    random, bald = runs(["strategy=random"], ["strategy=bald"])
    assert names([random, random]) == {}
    assert trial_name(random.key(3), {}) == "seed 3"
    said = names([random, bald])
    assert trial_name(bald.key(3), said) == "bald seed 3"
    warm, cold = runs(["training.start=warm"], ["training.start=cold"])
    assert sorted(names([warm, cold]).values()) == ["bald, start=cold", "bald, start=warm"]


@pytest.mark.slow
def test_runs_of_several_selections_are_named_by_what_differs_beside_them():
    some = [
        prepare(compose(["dataset=digits", f"selection={name}", f"training.batch_size={size}"]))
        for name in ("uniform", "rho_loss")
        for size in (8, 16)
    ]
    told = [name.split(", ", 1)[1] for name in names(some).values()]
    assert told == ["training.batch_size=8", "training.batch_size=16"] * 2


def test_log_lines_name_the_run_only_where_there_are_several(caplog):
    caplog.set_level("INFO")
    key = TrialKey(Path("/r/bald"), 3)
    row = {"round": 2, "num_labeled": 40, "test_accuracy": 0.5, "test_nll": 1.0}
    LogReport(names={key.folder: "bald"}).round(key, row, 10)
    LogReport().round(key, row, 10)
    said = "round 2/9 labels=40 accuracy=0.500 nll=1.000 0.0s"
    assert caplog.messages == [f"bald seed 3 {said}", f"seed 3 {said}"]
