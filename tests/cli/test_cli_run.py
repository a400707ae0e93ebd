"""Runs from the command line are stored, go on where they were, and are told."""

import json
import os
import re
import subprocess
import sys
import time

import pandas as pd
import pytest
from patient import PATIENT


def test_a_run_stores_curves_acquisitions_manifests_and_its_configuration(quick_run, tmp_path):
    code, out, err = quick_run("strategy=batchbald")
    assert (code, err) == (0, "")
    (folder,) = (tmp_path / "results" / "digits" / "mc_dropout" / "batchbald").iterdir()
    for kind, suffix in (("curves", "parquet"), ("acquisitions", "parquet"), ("manifests", "json")):
        names = {path.name for path in (folder / kind).glob("seed=*")}
        assert names == {f"seed=0.{suffix}", f"seed=1.{suffix}"}
    assert (
        "_target_: al_bench.strategies.batchbald.BatchBALD" in (folder / "config.yaml").read_text()
    )
    manifest = json.loads((folder / "manifests" / "seed=0.json").read_text())
    assert manifest["status"] == "done"
    assert manifest["command"].startswith("al-bench run training.max_epochs=1")
    assert str(folder.relative_to(tmp_path)) in out


@pytest.mark.slow
def test_a_finished_run_is_not_run_again_and_more_seeds_join_it(quick_run, curves, tmp_path):
    quick_run("strategy=random", "seeds=1")
    (curve,) = tmp_path.glob("results/**/curves/seed=0.parquet")
    before = curve.read_bytes()
    code, out, _ = quick_run("strategy=random", "seeds=3")
    assert code == 0
    assert curve.read_bytes() == before
    assert "seed 0 round" not in out
    assert sorted(curves()["seed"].unique()) == [0, 1, 2]
    assert curves()["run_id"].nunique() == 1


@pytest.mark.slow
def test_the_same_seed_gives_the_same_rows_alone_and_in_company(quick_run, curves):
    quick_run("strategy=bald", "seeds=[1]", "results=alone")
    quick_run("strategy=bald", "seeds=3", "results=company")
    company = curves("company")
    pd.testing.assert_frame_equal(
        curves("alone"), company[company["seed"] == 1].reset_index(drop=True)
    )


@pytest.mark.slow
def test_a_sweep_gives_the_curves_of_single_runs(quick_run, curves):
    code, _, _ = quick_run("-m", "strategy=random,bald", "results=sweep")
    assert code == 0
    for name in ("random", "bald"):
        quick_run(f"strategy={name}", "results=single")
    pd.testing.assert_frame_equal(curves("sweep"), curves("single"))


@pytest.mark.slow
def test_workers_give_the_same_curves(quick_run, curves):
    quick_run("strategy=bald", "results=alone")
    code, out, _ = quick_run("strategy=bald", "results=workers", "workers=2")
    assert code == 0
    assert "seed 1 round 2/2" in out
    pd.testing.assert_frame_equal(curves("alone"), curves("workers"))


@pytest.mark.slow
def test_a_failing_job_is_shown_recorded_and_run_again_alone(quick_run, al_bench, tmp_path):
    code, out, _ = quick_run("-m", "strategy=random,broken", "results=r")
    assert code == 2  # no job has begun
    assert not (tmp_path / "r").exists()
    (tmp_path / "mine" / "strategy").mkdir(parents=True)
    (tmp_path / "mine" / "strategy" / "flaky.yaml").write_text("_target_: flaky.Flaky\n")
    (tmp_path / "flaky.py").write_text(
        "from pathlib import Path\n"
        "from al_bench.strategies.random import Random\n"
        "class Flaky(Random):\n"
        "    def select(self, view, batch_size, generator):\n"
        "        if view.round == 1 and not Path('mended').exists():\n"
        "            raise RuntimeError('not today')\n"
        "        return super().select(view, batch_size, generator)\n"
    )
    words = ("--config-dir", "mine", "-m", "strategy=flaky,random")
    code, out, _ = quick_run(*words)
    assert code == 1
    assert "seed 0 failed: round 1: RuntimeError: not today (flaky.py:6)" in out
    _, out, _ = al_bench("status")
    assert "2 done, 2 failed" in out
    assert "seed 0–1: round 1: RuntimeError: not today (flaky.py:6)" in out
    (manifest,) = tmp_path.glob("results/**/flaky/**/manifests/seed=0.json")
    failed = json.loads(manifest.read_text())
    assert "RuntimeError: not today" in failed["traceback"]
    assert failed["rounds"] == 1  # the round before is kept

    (tmp_path / "mended").touch()
    code, out, _ = quick_run(*words)
    assert code == 0
    assert "seed 0 round 0" not in out  # goes on where it was, random is not run again
    assert "seed 0 goes on after round 0/2" in out
    _, out, _ = al_bench("status")
    assert "4 done" in out


@pytest.mark.slow
def test_a_dry_run_of_a_billion_seeds_is_one_of_a_few(al_bench):
    code, out, _ = al_bench("run", "seeds=1000000000", "dry_run=true")
    assert code == 0
    assert "seeds      1000000000 (0–999999999)\n" in out


@pytest.mark.slow
def test_a_seed_whose_pool_fails_late_fails_alone(quick_run, al_bench, monkeypatch):
    from al_bench.errors import ConfigError
    from al_bench.running import execution
    from al_bench.running.prepare import CHECKED, Prepared

    last = CHECKED + 1
    trial = Prepared.trial

    def small(self, seed):
        if seed == last:
            raise ConfigError("This pool is too small.")
        return trial(self, seed)

    monkeypatch.setattr(Prepared, "trial", small)
    monkeypatch.setattr(execution, "AT_ONCE", 5)
    words = ("strategy=random", "budget.total=20", f"seeds={last + 2}")
    code, out, err = quick_run(*words)
    assert (code, err) == (1, "")
    assert f"seed {last} failed: round 0: This pool is too small." in out
    assert f"{last + 1} done, 1 failed" in al_bench("status")[1]


@pytest.mark.slow
def test_dry_run_says_what_would_be_done_and_does_nothing(quick_run, tmp_path):
    code, out, _ = quick_run("strategy=batchbald", "dry_run=true")
    assert code == 0
    assert "pool 1,297, test 500" in out
    assert "3 a seed, 6 in all" in out
    assert "time       not known: nothing like it is stored" in out
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_a_dry_run_says_how_long_what_is_left_will_take(quick_run):
    _, out, _ = quick_run("strategy=random", "seeds=1")
    assert re.search(r"seed 0 round 0/2 .* [0-9.]+s; (about .*|less than a second) left\n", out)
    _, out, _ = quick_run("strategy=random", "seeds=2", "dry_run=true")
    assert re.search("time       (about|less than) .*, as measured for the same run", out)
    _, out, _ = quick_run("strategy=random", "seeds=1", "dry_run=true")
    assert "time       none: every seed is done" in out
    _, out, _ = quick_run("strategy=margin", "dry_run=true")
    assert "as measured for random in the same protocol" in out


@pytest.mark.slow
def test_a_dry_run_in_a_pipe_folds_no_line(al_bench):
    _, out, _ = al_bench("run", "dry_run=true")
    assert "(points × samples) a seed, 1,232,000 in all\n" in out


LAUNCHERS = [
    pytest.param([], id="basic"),
    pytest.param(
        ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], id="joblib", marks=pytest.mark.slow
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_dry_run_of_a_sweep_fails_when_a_job_would(quick_run, tmp_path, launcher):
    words = ["-m", "budget.batch_size=0,5,-1,7", "dry_run=true", *launcher]
    # A process of its own: joblib's workers write where the process that started them did.
    ended = subprocess.run(
        [sys.executable, "-m", "al_bench", "run", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    for size in (5, 7):
        assert ended.stdout.count(f"in batches of {size}") == 1
    for number, size in ((0, 0), (2, -1)):
        said = f"job {number} failed: budget.batch_size must be a whole number from 1, got {size}."
        assert ended.stdout.count(said) == 1
    last = ended.stderr.splitlines()[-1]
    assert last == "al-bench: budget.batch_size must be a whole number from 1, got 0."
    assert quick_run("-m", "strategy=random,bald", "dry_run=true", *launcher)[0] == 0
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_a_users_own_dataset_runs_from_arrays(quick_run, tmp_path):
    import numpy as np

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    x = rng.normal(size=(200, 4)).astype("float32") + 3 * np.eye(4, dtype="float32")[labels]
    np.savez(
        tmp_path / "own.npz",
        x_train=x[:150],
        y_train=labels[:150],
        x_test=x[150:],
        y_test=labels[150:],
    )
    own = ("dataset=arrays", "dataset.path=own.npz", "strategy=bald", "seeds=1")
    code, out, err = quick_run(*own)
    assert (code, err) == (0, "")
    assert "bald on own, mc_dropout (mlp)" in out
    (run,) = (tmp_path / "results" / "own" / "mc_dropout" / "bald").iterdir()
    quick_run(*own, "dataset.name=blobs")  # another name, not another run
    assert (tmp_path / "results" / "blobs" / "mc_dropout" / "bald" / run.name).is_dir()


@pytest.mark.slow
def test_a_nan_loss_fails_the_trial_and_keeps_earlier_rounds(quick_run, tmp_path):
    code, out, _ = quick_run(
        "strategy=random",
        "training.optimizer=sgd",
        "training.learning_rate=1e30",
        "training.epoch_size=256",
    )
    assert code == 1
    assert "The training loss became" in out
    assert "training.learning_rate=1e+30" in out


def start(tmp_path, *words):
    return subprocess.Popen(
        [*PATIENT, "run", "strategy=bald", "training.epoch_size=512", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signal_name", "words"),
    [
        ("SIGINT", ["seeds=4", "workers=2"]),
        ("SIGTERM", ["seeds=1"]),
        ("SIGUSR1", ["seeds=4", "workers=2"]),
    ],
)
def test_an_interrupted_run_keeps_its_rounds(tmp_path, signal_name, words, curves):
    import signal

    process = start(tmp_path, *words, "budget.total=1000")
    for line in process.stdout:
        if "round 1/" in line:
            process.send_signal(getattr(signal, signal_name))
            break
    _, err = process.communicate(timeout=300)
    assert process.returncode == (130 if signal_name == "SIGINT" else 75)
    by = "" if signal_name == "SIGINT" else f" by {signal_name}"
    said = f"al-bench: stopped{by}; finished rounds are kept. Run it again to go on.\n"
    assert err == said
    assert len(curves()) >= 2
    manifests = list(tmp_path.glob("results/**/manifests/seed=*.json"))
    statuses = {json.loads(manifest.read_text())["status"] for manifest in manifests}
    assert statuses == {"interrupted"}
    assert len(manifests) <= 2  # no further seed has begun


@pytest.mark.slow
def test_a_trial_held_by_another_process_is_left_to_it(tmp_path, al_bench):
    process = start(tmp_path, "seeds=1", "budget.total=1000")
    try:
        for line in process.stdout:
            if "round 0/" in line:
                break
        words = ("training.max_epochs=10", "training.epoch_size=512", "model.num_samples=20")
        code, out, _ = al_bench("run", "strategy=bald", "seeds=1", "budget.total=1000", *words)
        assert code == 1
        assert "held by" in out
        assert f"process {process.pid}" in out
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["seeds=2", "workers=2"],
        ["-m", "seeds=1", "budget.batch_size=10,20", "hydra/launcher=joblib"],
    ],
)
def test_workers_end_when_their_parent_is_killed(tmp_path, al_bench, words):
    process = start(tmp_path, *words, "budget.total=1000")
    for line in process.stdout:
        if "round 1/" in line:
            break
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 300
    while "stale" not in (said := al_bench("status")[1]):  # nobody holds the trials any more
        assert time.monotonic() < deadline, said
        time.sleep(0.2)
    assert "running" not in said
