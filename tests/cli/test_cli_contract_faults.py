"""Strategies that break their contract or end the process: told, stored, and alone in it."""

import json
import re

import pytest

OWN = """
import sys
from dataclasses import dataclass
import torch
from al_bench.strategies.base import Selection

@dataclass(frozen=True)
class Faulty:
    fault: str = "none"
    needs = frozenset()

    def select(self, view, batch_size, generator):
        positions = torch.arange(batch_size)
        scores, notes = positions.double(), {}
        if self.fault == "leave" or (self.fault == "exit" and view.seed == 1):
            sys.exit(3)
        if self.fault == "floats":
            positions = scores / 0
        if self.fault == "infinite":
            scores = scores / 0
        if self.fault == "notes":
            notes = ["told"]
        return Selection(positions, scores, notes)

@dataclass(frozen=True)
class Misspelt(Faulty):
    needs = frozenset({"feature"})

@dataclass(frozen=True)
class Leaves:
    needs = frozenset()

    def __post_init__(self):
        sys.exit("bye")
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "my_faults_module.py").write_text(OWN)
    folder = tmp_path / "mine" / "strategy"
    folder.mkdir(parents=True)
    (folder / "faulty.yaml").write_text("_target_: my_faults_module.Faulty\nfault: none\n")
    (folder / "leaves.yaml").write_text("_target_: my_faults_module.Leaves\n")


@pytest.mark.slow
def test_a_need_that_no_model_could_meet_is_refused_with_the_near_one(al_bench, own):
    code, _, err = al_bench("run", "strategy=my_faults_module.Misspelt", "dry_run=true")
    assert code == 2
    assert (
        "strategy=my_faults_module.Misspelt needs 'feature', which is nothing that a model "
        "provides. Did you mean 'features'?"
    ) in err


@pytest.mark.slow
def test_a_strategy_that_exits_fails_its_trial_and_no_other(al_bench, own, quick, tmp_path):
    words = ["--config-dir=mine", "strategy=faulty", "strategy.fault=exit", "seeds=3", *quick]
    code, out, err = al_bench("run", *words)
    assert code == 1
    assert "The strategy my_faults_module.Faulty must not end the process: SystemExit: 3" in (
        " ".join((out + err).split())
    )
    manifests = sorted((tmp_path / "results").rglob("manifests/seed=*.json"))
    stored = [json.loads(path.read_text()) for path in manifests]
    assert [content["status"] for content in stored] == ["done", "failed", "done"]
    assert "my_faults_module.Faulty" in json.dumps(stored[1])


@pytest.mark.slow
def test_a_sweep_goes_on_past_jobs_whose_classes_exit(al_bench, own, quick):
    swept = ["-m", "--config-dir=mine", "strategy=faulty,leaves,random", "seeds=1", *quick]
    code, out, err = al_bench("run", *swept)
    assert code == 1
    assert "must not end the process: SystemExit: bye (my_faults_module.py:" in out + err
    assert "Traceback" not in out + err
    code, out, _ = al_bench("status", "results")
    assert "random" in out
    assert "faulty" in out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("leave", "Faulty must not end the process: SystemExit: 3"),
        ("floats", "positions are float64, not int64"),
        ("infinite", r"scores at positions \[.*\] are infinite"),
        ("notes", "notes are a list, no mapping"),
    ],
)
def test_check_names_the_fault(al_bench, own, fault, said):
    words = ["--config-dir=mine", "strategy=faulty", f"strategy.fault={fault}"]
    code, out, err = al_bench("check", *words)
    assert code == 1
    assert re.search(rf"FAIL .*{said}", out), out
    assert "Traceback" not in out + err


@pytest.mark.slow
def test_a_class_that_exits_when_it_is_made_is_told(al_bench, own):
    code, out, err = al_bench("check", "--config-dir=mine", "strategy=leaves")
    assert code == 1
    assert "The class of strategy must not end the process: SystemExit: bye" in out + err
