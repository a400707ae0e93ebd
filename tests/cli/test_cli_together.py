"""The jobs of a sweep, executed together in one process: as each alone, with its own failure."""

import json
import os
import signal
import subprocess
import sys

import pandas as pd
import pytest
from waiting import waiting

START = (sys.executable, "-m", "al_bench")


@pytest.fixture
def jobs(tmp_path):
    """The records of the jobs of the only sweep, by number."""

    def read(folder="results"):
        found = tmp_path.glob(f"{folder}/.sweeps/*/*/job.json")
        return {int(path.parent.name): json.loads(path.read_text()) for path in found}

    return read


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["workers=2"], ["threads=1,2"]])
def test_a_sweep_together_has_the_curves_of_one_run_after_the_other(quick_run, curves, more):
    words = ("-m", "strategy=bald,random", "training.start=cold,warm", "budget.total=30")
    code, out, err = quick_run(*words, *more)
    assert (code, err) == (0, "")
    assert "4 runs together, 8 trials" in out
    assert "bald, start=warm seed 1 round 1/1" in out
    assert "4 jobs, 8 done" in out or "8 jobs, 8 done" in out
    quick_run(*words, "together=false", "results=apart")
    pd.testing.assert_frame_equal(curves(), curves("apart"))


@pytest.mark.slow
def test_a_data_set_is_loaded_once_for_all_jobs(quick_run, monkeypatch):
    from al_bench.data.digits import Digits

    loads, load = [], Digits.load
    monkeypatch.setattr(Digits, "load", lambda self: loads.append(self) or load(self))
    words = ("-m", "strategy=random,margin,entropy", "seeds=1", "budget.total=25")
    assert quick_run(*words)[0] == 0
    assert len(loads) == 1
    assert quick_run(*words, "together=false")[0] == 0
    assert len(loads) == 4


@pytest.mark.slow
def test_a_job_that_cannot_be_prepared_leaves_the_others_alone(quick_run, al_bench, jobs, tmp_path):
    words = ("-m", "strategy=random,margin", "budget.total=25,5000", "seeds=1")
    code, out, err = quick_run(*words)
    assert (code, err) == (1, "")
    assert "job 2 failed: Seed 0: budget.total=5000" in out
    assert "4 jobs, 2 done, 2 failed" in out
    assert "2 runs together, 2 trials" in out
    recorded = jobs()
    assert [bool(recorded[number]["error"]) for number in range(4)] == [False] * 2 + [True] * 2
    assert "ConfigError" in next(tmp_path.glob("results/.sweeps/*/2/traceback.txt")).read_text()
    assert "2 done, 2 failed" in al_bench("status")[1]


@pytest.mark.slow
def test_a_job_that_cannot_be_prepared_stops_a_sweep_that_says_so(quick_run, tmp_path):
    words = ("-m", "budget.total=25,5000,30", "seeds=1", "strategy=random", "on_error=stop")
    code, out, _ = quick_run(*words)
    assert code == 1
    assert "3 jobs, 2 planned, 1 failed" in out
    assert not list(tmp_path.glob("results/**/seed=*"))


@pytest.mark.slow
def test_a_run_that_two_jobs_name_is_run_once(quick_run, curves, jobs):
    code, out, _ = quick_run("-m", "strategy=random", "budget.total=25", "threads=1,2", "seeds=1")
    assert code == 0
    assert out.count("round 0/") == 1
    assert "2 jobs, 1 done" in out
    assert curves()["threads"].unique().tolist() == [1]
    assert [list(job["trials"].values()) for job in jobs().values()] == [[[0]], [[0]]]


def test_a_sweep_is_together_or_is_not(al_bench, tmp_path):
    code, _, err = al_bench("run", "-m", "strategy=random,bald", "together=true,false")
    assert code == 2
    assert "differ in together, of which a sweep has one" in err
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "workers"), [("SIGINT", "workers=2"), ("SIGTERM", "workers=1")])
def test_an_interrupted_sweep_keeps_the_rounds_of_all_its_runs_and_goes_on(
    tmp_path, quick_run, curves, al_bench, name, workers
):
    strategies = waiting(tmp_path, 2).replace("=", "=random,")
    words = ["-m", strategies, "seeds=2", "budget.total=60", "training.max_epochs=1"]
    words += ["training.epoch_size=64", "model.num_samples=3", "model/network=mlp"]
    process = subprocess.Popen(
        [*START, "run", *words, workers],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    awaited = {"random seed 0 round 1/", "waits.Waits seed 0 round 1/"}
    for line in process.stdout:
        awaited -= {round for round in awaited if round in line}
        if not awaited:
            process.send_signal(getattr(signal, name))
            break
    _, err = process.communicate(timeout=300)
    assert process.returncode in (75, 130)
    assert "finished rounds are kept" in err or "go on" in err
    kept = curves()
    assert set(kept["strategy"]) == {"random", "waits.Waits"}
    (tmp_path / "go").touch()
    code, out, _ = al_bench("run", *words)
    assert code == 0
    assert "waits.Waits seed 0 goes on after round 1" in out
    assert "waits.Waits seed 0 round 0/" not in out
    al_bench("run", *words, "results=whole", "together=false")
    pd.testing.assert_frame_equal(curves(), curves("whole"))
