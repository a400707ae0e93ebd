"""Launchers of sweeps: what is missing, what a job's process is like, and that curves are equal."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pandas as pd
import pytest
import torch
from conftest import QUICK
from every_launcher import LAUNCHERS
from fake_slurm import install, tasks
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from waiting import waiting

from al_bench.commands.run import launching
from al_bench.configuration import launchers
from al_bench.errors import AlBenchError, JobEnded, within

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.mark.parametrize(
    ("choice", "extra"),
    [
        ("joblib", "joblib"),
        ("submitit_slurm", "slurm"),
        ("submitit_local", "slurm"),
        ("ray", "ray"),
    ],
)
def test_a_launcher_that_is_not_installed_names_its_extra(monkeypatch, choice, extra):
    monkeypatch.setattr(launchers, "find_spec", lambda name: None)
    said = str(launchers.missing(choice))
    plugin = f"hydra-{choice.partition('_')[0]}-launcher"
    assert f"There is no hydra/launcher={choice} here: {plugin} is not installed." in said
    assert f'"al-bench[{extra}]"' in said
    assert any(needed.startswith(plugin) for needed in EXTRAS[extra])


@pytest.mark.slow
def test_a_launcher_that_is_not_installed_is_refused_in_one_line(al_bench, monkeypatch):
    Plugins.instance()
    there = ConfigStore.instance().repo["hydra"]["launcher"]
    monkeypatch.delitem(there, "ray.yaml", raising=False)
    monkeypatch.setattr(launchers, "find_spec", lambda name: None)
    code, _, err = al_bench("run", "-m", "strategy=random,bald", "hydra/launcher=ray_gpu")
    assert (code, err.count("\n")) == (2, 1)
    assert 'It comes with uv pip install "al-bench[ray]"' in err


@pytest.mark.slow
def test_the_name_of_a_launcher_half_typed_is_completed(al_bench):
    code, _, err = al_bench("run", "-m", "strategy=random,bald", "hydra/launcher=jobli")
    assert (code, err.count("\n")) == (2, 1)
    assert "There is no hydra/launcher=jobli. Did you mean 'joblib'?" in err


def merged(*words):
    """The words of a quick run and these, which replace its own."""
    return {word.partition("=")[0]: word for word in (*QUICK, *words)}.values()


def run(tmp_path, *words, **more):
    """``al-bench run`` in a process of its own, which a launcher's processes end with."""
    command = [sys.executable, "-m", "al_bench", "run", *merged(*words)]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    return subprocess.run(
        command, cwd=tmp_path, env=environment | more, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_every_launcher_gives_the_curves_of_the_basic_one(quick_run, curves, tmp_path, launcher):
    sweep = ("-m", "strategy=random,bald")
    assert quick_run(*sweep, "results=basic")[0] == 0
    ended = run(tmp_path, *sweep, "results=launched", *launcher)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "2 jobs, 4 done" in ended.stdout
    pd.testing.assert_frame_equal(curves("basic"), curves("launched"), check_exact=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [([], True), (["hydra.launcher.constraint=a100"], False), (["resume=any"], False)],
)
def test_slurm_is_asked_for_one_kind_of_node(al_bench, monkeypatch, words, said):
    pytest.importorskip("submitit")
    monkeypatch.setattr(launching.shutil, "which", lambda name: f"/usr/bin/{name}")
    preset = ("run", "-m", "strategy=random", "hydra/launcher=slurm_gpu", *words)
    code, out, err = al_bench(*preset)
    assert (code, err.count("\n")) == (1, 1)
    assert "'sbatch'" in err  # which is not there
    assert ("hydra.launcher.constraint= asks for one kind" in out) == said
    assert "al-bench status results tells of them; what they say lies in results/.sweeps/" in out


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["slurm", "slurm_gpu", "submitit_slurm"])
def test_a_machine_without_slurm_is_told_before_anything_is_planned(
    al_bench, monkeypatch, launcher
):
    pytest.importorskip("submitit")
    monkeypatch.setattr(launching.shutil, "which", lambda name: None)
    code, out, err = al_bench("run", "-m", "strategy=random", f"hydra/launcher={launcher}")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"hydra/launcher={launcher}: there is no Slurm here" in err
    assert "hydra/launcher=submitit_local" in err
    assert not os.path.exists("results")


@pytest.mark.parametrize(
    ("launcher", "chosen"),
    [
        ("BasicLauncher", ["cuda:0", "cuda:1", "cuda:0"]),
        ("JoblibLauncher", ["cuda:0", "cuda:1", "cuda:0"]),
        ("LocalLauncher", ["cuda:0", "cuda:1", "cuda:0"]),
        ("RayLauncher", ["auto"] * 3),
        ("SlurmLauncher", ["auto"] * 3),
    ],
)
def test_jobs_take_gpus_in_turn_unless_each_has_its_own(monkeypatch, launcher, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    found = []
    for number in range(3):
        composed = SimpleNamespace(config=SimpleNamespace(device="auto"))
        launching.choose_gpu(composed, number, launcher)
        found.append(composed.config.device)
    assert found == chosen
    given = SimpleNamespace(config=SimpleNamespace(device="cpu"))
    launching.choose_gpu(given, 1, launcher)
    assert given.config.device == "cpu"


@pytest.mark.slow
def test_a_sweep_that_looks_at_curves_needs_a_launcher_that_waits(al_bench, monkeypatch, tmp_path):
    class Hasty(Launcher):
        def setup(self, **of_hydra):
            """Nothing is kept."""

        def launch(self, job_overrides, initial_job_idx):
            return []

    def hand_over(hydra, config, task):
        return Hasty(), Mock()

    monkeypatch.setattr("al_bench.configuration.own_hydra.launching", hand_over)
    words = ("run", "-m", "strategy=random,bald", "seeds=until_decided", "baseline=random")
    code, _, err = al_bench(*words)
    assert (code, err.count("\n")) == (2, 1)
    assert "looks at the curves of jobs, for which hydra/launcher=basic does not wait." in err


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "Job 7 has not produced any output (state: FINISHED)\nError: none\nround 1/2",
            "Job 7 has",
        ),
        (
            "Job (task=0) failed during processing with trace:\n---\nTraceback\nOSError: x",
            "OSError: x)",
        ),
        (
            "Traceback (most recent call last):\n  File\nsbatch: error: invalid partition",
            "sbatch: error",
        ),
        ("", "FakeError)"),
    ],
)
def test_a_job_that_is_lost_is_told_in_a_line(monkeypatch, said, told):
    error = type("FakeError", (RuntimeError,), {"__module__": "submitit.core"})(said)
    monkeypatch.setattr("al_bench.configuration.own_hydra.launching", lambda *of_sweep: (0, 0))
    node = {"_target_": "hydra.BasicLauncher"}
    config = SimpleNamespace(hydra=SimpleNamespace(launcher=node))
    with pytest.raises(launching.Lost) as raised, launching.started(None, config):
        raise error
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_folder_of_the_command_has_to_be_where_the_job_is():
    setting = launching.Setting("SlurmLauncher", 1, "/no/such/folder", ())
    with pytest.raises(AlBenchError, match=r"The folder /no/such/folder is not on .* share"):
        launching.begin(setting)


@pytest.mark.parametrize(("package", "ends"), [("submitit", True), ("ray", True), ("mine", False)])
@pytest.mark.parametrize("error", ["SystemExit(3)", "RuntimeError('out of time')"])
def test_what_a_launcher_raises_in_a_job_is_no_failure_of_a_class(package, ends, error):
    space = {"__name__": f"{package}.handlers"}
    exec(f"def handle():\n    raise {error}", space)
    kind = type(eval(error))
    raises = JobEnded if ends else AlBenchError if kind is SystemExit else kind
    with pytest.raises(raises) as raised, within("The strategy"), within("Its score"):
        space["handle"]()
    if ends:
        assert type(raised.value.error) is kind


LONG = ("strategy=random", "training.epoch_size=256", "budget.total=200", "seeds=2")


def wait_until(true):
    deadline = time.monotonic() + 300
    while not (found := true()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def statuses(folder):
    found = sorted(folder.glob("**/manifests/seed=*.json"))
    return [json.loads(path.read_text()) for path in found]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("submitit") is None, reason="needs .[slurm]")
@pytest.mark.parametrize("workers", ["workers=1", "workers=2"])
def test_submitit_requeues_a_job_that_is_preempted(quick_run, curves, tmp_path, workers):
    run = (waiting(tmp_path, 3), *LONG[1:])
    words = ("-m", *run, workers, "hydra/launcher=submitit_local", "results=launched")
    command = [sys.executable, "-m", "al_bench", "run", *merged(*words)]
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=said)
    wait_until(lambda: any(tmp_path.glob("launched/**/curves/*.parquet")) or process.poll())
    (log,) = tmp_path.glob("launched/.sweeps/*/.submitit/*/*_log.out")
    (first,) = {entry["pid"] for entry in statuses(tmp_path / "launched")[:1]}
    job = first if workers == "workers=1" else parent_of(first)
    for group in {job, *({first} - {job})}:  # as Slurm does, to all processes of the job
        os.kill(group, signal.SIGTERM)
    time.sleep(1)
    assert "interrupted" not in {entry["status"] for entry in statuses(tmp_path / "launched")}
    for group in {first, job}:
        os.kill(group, signal.SIGUSR2)
    (tmp_path / "go").touch()
    said = (process.wait(timeout=300), log.read_text())
    assert said[0] == 0, said
    assert "goes on after round" in said[1]
    assert {entry["status"] for entry in statuses(tmp_path / "launched")} == {"done"}
    assert quick_run(*run, "results=plain")[0] == 0
    pd.testing.assert_frame_equal(curves("plain"), curves("launched"), check_exact=True)


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.slow
@pytest.mark.skipif(find_spec("submitit") is None, reason="needs .[slurm]")
def test_a_preset_hands_a_sweep_to_slurm(quick_run, curves, tmp_path):
    environment = install(tmp_path / "slurm")
    sweep = ("-m", "strategy=random,bald", "workers=2")
    launcher = ("hydra/launcher=slurm_gpu", "hydra.launcher.constraint=a100")
    command = ["al-bench", "run", *merged(*sweep, *launcher, "results=launched")]
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    asked = json.loads((tmp_path / "slurm" / "options.json").read_text())
    wanted = {"constraint": "a100", "gpus-per-node": "1", "cpus-per-task": "2", "requeue": ""}
    wanted |= {"array": "0-1%2", "mem": "16GB", "time": "240", "signal": "USR2@120"}
    assert {name: asked[name] for name in wanted} == wanted
    assert quick_run(*sweep, "results=basic")[0] == 0
    pd.testing.assert_frame_equal(curves("basic"), curves("launched"), check_exact=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGUSR1", "SIGTERM"])
def test_an_array_of_slurm_goes_on_where_a_task_was_preempted(quick_run, curves, tmp_path, name):
    environment = install(tmp_path / "slurm")
    script = str(ROOT / "scripts" / "cluster" / "slurm_array.sh")
    typed = ["--jobs", "jobs.txt", *merged(*LONG[1:], "results=launched")]
    strategy = waiting(tmp_path, 3)
    (tmp_path / "jobs.txt").write_text(f"strategy=bald\n{strategy}\n")
    subprocess.run(["sbatch", "--array=1-1", script, *typed], cwd=tmp_path, env=environment)
    wait_until(lambda: any(tmp_path.glob("launched/**/curves/*.parquet")))
    group = os.getpgid(statuses(tmp_path / "launched")[0]["pid"])
    os.killpg(group, getattr(signal, name))  # the shell of the task, and what it has started
    (tmp_path / "go").touch()
    ended = wait_until(lambda: tasks(tmp_path / "slurm"))
    said = (tmp_path / "slurm" / "1.out").read_text()
    assert ended == {1: [0, 0]}, said
    assert f"al-bench: stopped by {name}; finished rounds are kept." in said
    assert "goes on after round" in said
    assert quick_run(strategy, *LONG[1:], "results=plain")[0] == 0
    pd.testing.assert_frame_equal(curves("plain"), curves("launched"), check_exact=True)


@pytest.mark.slow
def test_a_task_of_an_array_is_a_seed_or_a_line(tmp_path):
    environment = install(tmp_path / "slurm")
    (tmp_path / "slurm" / "al-bench").write_text('#!/bin/sh\necho "$@"\nexit 3\n')
    (tmp_path / "slurm" / "al-bench").chmod(0o755)
    (tmp_path / "jobs.txt").write_text("strategy=bald\nstrategy=random seeds=2\n")
    script = str(ROOT / "scripts" / "cluster" / "slurm_array.sh")

    def run_task(task, *words):
        numbers = {"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_JOB_ID": "77"}
        ended = subprocess.run(
            ["bash", script, *words],
            cwd=tmp_path,
            env=environment | numbers,
            capture_output=True,
            text=True,
        )
        return ended.returncode, ended.stdout + ended.stderr

    assert run_task("4", "strategy=bald") == (3, "run seeds=[4] strategy=bald\n")
    assert run_task("1", "--jobs", "jobs.txt", "results=r") == (
        3,
        "run strategy=random seeds=2 results=r\n",
    )
    assert run_task("2", "--jobs", "jobs.txt") == (2, "jobs.txt has no line 3\n")


GIVEN = """
import os
from al_bench.strategies.random import Random

class Given(Random):
    def select(self, view, batch_size, generator):
        with open("given.txt", "a") as file:
            file.write(f"{os.environ.get('CUDA_VISIBLE_DEVICES')} {os.getpid()}\\n")
        return super().select(view, batch_size, generator)
"""


@pytest.fixture
def ray_cluster():
    """A Ray of two cores and a GPU that nobody has: its address, and what to know to be let in."""
    pytest.importorskip("ray", reason="needs .[ray]")
    with socket.socket() as free, tempfile.TemporaryDirectory(dir="/tmp") as folder:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Its sockets lie there, and their names may not be long.
    words = ["--head", "--block", f"--port={port}", f"--temp-dir={folder}", "--num-cpus=2"]
    words += ["--num-gpus=1", "--include-dashboard=false", "--disable-usage-stats"]
    program = Path(sys.executable).with_name("ray")
    known = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
    with Path(f"{folder}.txt").open("w") as said:
        process = subprocess.Popen(
            [program, "start", *words],
            stdout=said,
            stderr=said,
            cwd="/",
            env=os.environ | known | {"PYTHONUNBUFFERED": "1"},
        )
    try:
        wait_until(lambda: "Ray runtime started" in Path(f"{folder}.txt").read_text())
        yield f"127.0.0.1:{port}", known
    finally:
        process.terminate()
        process.wait(timeout=300)
        shutil.rmtree(folder, ignore_errors=True)
        Path(f"{folder}.txt").unlink()


@pytest.mark.slow
def test_jobs_on_a_ray_cluster_see_the_gpu_that_they_share(ray_cluster, curves, tmp_path):
    (tmp_path / "given_gpu.py").write_text(GIVEN)
    address, known = ray_cluster
    preset = ("hydra/launcher=ray_gpu", f"hydra.launcher.ray.init.address={address}")
    sweep = ("-m", "strategy=given_gpu.Given", "pool=full", "budget.batch_size=7,8", "seeds=1")
    ended = run(tmp_path, *sweep, *preset, **known)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "2 jobs, 2 done" in ended.stdout
    seen = [line.split() for line in (tmp_path / "given.txt").read_text().splitlines()]
    assert {gpus for gpus, _ in seen} == {"0"}
    assert run(tmp_path, *sweep, "results=basic").returncode == 0
    pd.testing.assert_frame_equal(curves("basic"), curves(), check_exact=True)
