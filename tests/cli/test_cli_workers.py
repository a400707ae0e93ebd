"""A worker that is killed costs its trial; one that hangs keeps nothing from its end."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from patient import PATIENT
from waiting import waiting

from al_bench.results.frame import read_curves

START = (sys.executable, "-m", "al_bench")
WORDS = (
    *("run", "training.max_epochs=1", "training.epoch_size=512"),
    *("model.num_samples=3", "model/network=mlp"),
)
MANIFESTS = "results/**/manifests/seed=*.json"


def start(tmp_path, *words, command=START):
    return subprocess.Popen(
        [*command, *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def wait_for(process, text):
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(process.stderr.read())


def wait_until(is_so):
    deadline = time.monotonic() + 300
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def manifests(tmp_path):
    found = tmp_path.glob(MANIFESTS)
    return {path.stem: json.loads(path.read_text()) for path in found}


@pytest.mark.slow
def test_a_killed_worker_costs_its_trial_alone(tmp_path, al_bench):
    words = (*WORDS, waiting(tmp_path, 2), "seeds=3", "budget.total=50")
    process = start(tmp_path, *words, "workers=2")
    wait_for(process, "seed 0 round 1/")
    os.kill(manifests(tmp_path)["seed=0"]["pid"], signal.SIGKILL)
    (tmp_path / "go").touch()
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    assert "seed 0's process was killed, perhaps for memory" in out
    assert "Traceback" not in out + err
    statuses = {name: content["status"] for name, content in manifests(tmp_path).items()}
    assert statuses == {"seed=0": "failed", "seed=1": "done", "seed=2": "done"}
    assert manifests(tmp_path)["seed=0"]["rounds"] >= 2
    assert "2 done, 1 failed" in al_bench("status")[1]
    code, out, _ = al_bench(*words)
    assert code == 0, out
    assert "seed 0 goes on after round" in out
    assert "3 done" in al_bench("status")[1]


@pytest.mark.slow
def test_a_trial_that_had_ended_in_a_killed_worker_stays_done_and_is_told_once(tmp_path, al_bench):
    """Two workers with two trials each: of 30 labels, and of 60, which waits for a file."""
    words = (*WORDS, "-m", waiting(tmp_path, 2), "seeds=2", "budget.total=30,60", "pack_width=2")
    process = start(tmp_path, *words, "workers=2")
    wait_until(lambda: {"done", "running"} == of_first_seed(tmp_path).keys())
    os.kill(of_first_seed(tmp_path)["running"]["pid"], signal.SIGKILL)
    (tmp_path / "go").touch()
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    assert of_first_seed(tmp_path).keys() == {"done", "failed"}
    assert out.count("total=30 seed 0 done\n") == 1, out
    assert out.count("total=60 seed 0 failed: ") == 1, out
    assert "3 done, 1 failed" in al_bench("status")[1]


def of_first_seed(tmp_path):
    """Manifests of both runs by their status."""
    found = [json.loads(path.read_text()) for path in tmp_path.glob("results/**/seed=0.json")]
    return {content["status"]: content for content in found}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_stopped_worker_does_not_keep_a_run_from_its_end(tmp_path, al_bench, name):
    words = ("strategy=random", "seeds=2", "budget.total=1000", "workers=2")
    process = start(tmp_path, *WORDS, *words)
    wait_for(process, "seed 0 round 1/")
    stopped = manifests(tmp_path)["seed=0"]["pid"]
    os.kill(stopped, signal.SIGSTOP)
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=300)
    assert process.returncode == (130 if name == "SIGINT" else 75)
    assert "finished rounds are kept" in err
    wait_until(lambda: not alive(stopped))
    assert "running" not in al_bench("status")[1]


@pytest.mark.slow
def test_a_second_signal_ends_a_stopped_worker_too_and_loses_nothing(tmp_path):
    words = ("strategy=random", "seeds=2", "budget.total=1000", "workers=2")
    process = start(tmp_path, *WORDS, *words, command=PATIENT)
    wait_for(process, "seed 0 round 1/")
    wait_until(lambda: "seed=1" in manifests(tmp_path))
    stopped = manifests(tmp_path)["seed=0"]["pid"]
    os.kill(stopped, signal.SIGSTOP)
    process.send_signal(signal.SIGTERM)
    # The run has had the first signal when it has handed it on to the worker that is not stopped.
    wait_until(lambda: manifests(tmp_path)["seed=1"]["status"] == "interrupted")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 75
    assert err == "al-bench: stopped at once.\n"
    wait_until(lambda: not alive(stopped))
    assert sum(read_curves(tmp_path / "results")["seed"] == 0) >= 2


@pytest.mark.slow
def test_a_killed_job_of_a_launcher_is_told_and_its_sweep_goes_on_later(tmp_path, al_bench):
    words = (*WORDS, "-m", "seeds=1", "budget.total=50,60,70", waiting(tmp_path, 1))
    joblib = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    process = start(tmp_path, *words, *joblib)
    wait_for(process, "round 0/")
    found = [json.loads(path.read_text()) for path in tmp_path.glob(MANIFESTS)]
    running = [one["pid"] for one in found if one["status"] == "running"]
    os.kill(running[0], signal.SIGKILL)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "The process of a job was killed, perhaps for memory" in err
    assert "Traceback" not in err
    (tmp_path / "go").touch()
    code, out, err = al_bench(*words)
    assert code == 0, out + err
    assert "3 done" in al_bench("status")[1]
