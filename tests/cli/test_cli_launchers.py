"""Launchers of sweeps: what is missing, what a job's process is like, and that curves are equal."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from conftest import QUICK
from every_launcher import LAUNCHERS
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins

from al_bench.configuration import launchers

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
def test_a_launcher_that_is_not_installed_names_its_extra(al_bench, monkeypatch, choice, extra):
    Plugins.instance()
    there = ConfigStore.instance().repo["hydra"]["launcher"]
    monkeypatch.delitem(there, f"{choice}.yaml", raising=False)
    monkeypatch.setattr(launchers, "find_spec", lambda name: None)
    code, _, err = al_bench("run", "-m", "strategy=random,bald", f"hydra/launcher={choice}")
    plugin = f"hydra-{choice.partition('_')[0]}-launcher"
    assert (code, err.count("\n")) == (2, 1)
    assert f"There is no hydra/launcher={choice} here: {plugin} is not installed." in err
    assert f'"al-bench[{extra}]"' in err
    assert any(needed.startswith(plugin) for needed in EXTRAS[extra])


def test_the_name_of_a_launcher_half_typed_is_completed(al_bench):
    code, _, err = al_bench("run", "-m", "strategy=random,bald", "hydra/launcher=jobli")
    assert (code, err.count("\n")) == (2, 1)
    assert "There is no hydra/launcher=jobli. Did you mean 'joblib'?" in err


def run(tmp_path, *words):
    """``al-bench run`` in a process of its own, which a launcher's processes end with."""
    last = {word.partition("=")[0]: word for word in (*QUICK, *words)}
    command = [sys.executable, "-m", "al_bench", "run", *last.values()]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    return subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
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
