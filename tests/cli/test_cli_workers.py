"""A worker that is killed costs its trial; one that hangs keeps nothing from its end."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

START = (sys.executable, "-m", "al_bench")
WORDS = (
    *("run", "strategy=random", "training.max_epochs=1", "training.epoch_size=512"),
    *("model.num_samples=3", "model/network=mlp"),
)


def start(tmp_path, *words):
    return subprocess.Popen(
        [*START, *WORDS, "workers=2", *words],
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


def manifests(tmp_path):
    found = tmp_path.glob("results/**/manifests/seed=*.json")
    return {path.stem: json.loads(path.read_text()) for path in found}


@pytest.mark.slow
def test_a_killed_worker_costs_its_trial_alone(tmp_path, al_bench):
    process = start(tmp_path, "seeds=3", "budget.total=120")
    wait_for(process, "seed 0 round 1/")
    os.kill(manifests(tmp_path)["seed=0"]["pid"], signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert "seed 0's process was killed, perhaps for memory" in out
    assert "Traceback" not in out + err
    statuses = {name: content["status"] for name, content in manifests(tmp_path).items()}
    assert statuses == {"seed=0": "failed", "seed=1": "done", "seed=2": "done"}
    assert manifests(tmp_path)["seed=0"]["rounds"] >= 2
    assert "2 done, 1 failed" in al_bench("status")[1]
    code, out, _ = al_bench(*WORDS, "seeds=3", "budget.total=120")
    assert code == 0, out
    assert "seed 0 goes on after round" in out
    assert "3 done" in al_bench("status")[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_stopped_worker_does_not_keep_a_run_from_its_end(tmp_path, al_bench, name):
    process = start(tmp_path, "seeds=2", "budget.total=1000")
    wait_for(process, "seed 0 round 1/")
    stopped = manifests(tmp_path)["seed=0"]["pid"]
    os.kill(stopped, signal.SIGSTOP)
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=60)
    assert process.returncode == (130 if name == "SIGINT" else 75)
    assert "finished rounds are kept" in err
    with pytest.raises(ProcessLookupError):
        os.kill(stopped, 0)
    assert "running" not in al_bench("status")[1]


@pytest.mark.slow
def test_a_second_signal_ends_a_stopped_worker_too(tmp_path):
    process = start(tmp_path, "seeds=2", "budget.total=1000")
    wait_for(process, "seed 0 round 1/")
    stopped = manifests(tmp_path)["seed=0"]["pid"]
    os.kill(stopped, signal.SIGSTOP)
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75
    assert err == "al-bench: stopped at once.\n"
    deadline = time.monotonic() + 30
    while os.path.exists(f"/proc/{stopped}") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not os.path.exists(f"/proc/{stopped}")


@pytest.mark.slow
def test_a_killed_job_of_a_launcher_is_told_and_its_sweep_goes_on_later(tmp_path, al_bench):
    words = ["-m", "seeds=1", "budget.total=30,40,50"]
    words += ["training.max_epochs=1", "training.epoch_size=512", "model/network=mlp"]
    words += ["strategy=random"]
    joblib = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    command = [*START, "run", *words, *joblib]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes)
    wait_for(process, "round 0/")
    running = [one for one in manifests_by_path(tmp_path).values() if one["status"] == "running"]
    os.kill(running[0]["pid"], signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "The process of a job was killed, perhaps for memory" in err
    assert "Traceback" not in err
    code, out, err = al_bench("run", *words)
    assert code == 0, out + err
    assert "3 done" in al_bench("status")[1]


def manifests_by_path(tmp_path):
    found = tmp_path.glob("results/**/manifests/seed=*.json")
    return {path: json.loads(path.read_text()) for path in found}
