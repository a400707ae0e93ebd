"""``al-bench study``: what it prints, stores and draws, what it keeps, and what it refuses."""

import json
import os
import signal
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from fake_trackers import FAKES

from al_bench.configuration.choices import choices
from al_bench.configuration.config_dir import config_dir

STUDIES = [name for name, _ in choices("study", [config_dir()])]
QUICK = {
    "seeds": "2",
    "model/network": "mlp",
    "model.network.hidden": "[8]",
    "budget.init_size": "20",
    "training.max_epochs": "2",
    "training.epoch_size": "64",
    "study.epochs": "[0,2]",
    "study.batch_sizes": "[4,8]",
    "study.num_batches": "2",
}
OWN = """
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
import pyarrow as pa
from al_bench.studies.base import Study
from al_bench.text.console import Table

@dataclass(frozen=True)
class Own(Study):
    factor: float = 2.0
    columns: ClassVar = (pa.field("value", pa.float64()),)

    def check(self, trial):
        pass

    def measure(self, trial):
        while trial.seed == 1 and not Path("go").exists():
            time.sleep(0.01)
        if trial.seed == 3:
            raise RuntimeError("no luck")
        yield {"value": self.factor * len(trial.labeled)}

    def table(self, rows):
        table = Table("values")
        table.add_column("value")
        for value in rows["value"]:
            table.add_row(f"{value:g}")
        return table

    def draw(self, rows):
        from matplotlib.figure import Figure
        return Figure()
"""


@pytest.fixture
def study(al_bench):
    """``al-bench study`` of something that is over in a second; later words replace others."""

    def run(name, *words):
        typed = {word.partition("=")[0]: word.partition("=")[2] for word in words}
        keys = {**QUICK, **typed}
        if name != "approximation":
            keys = {key: keys[key] for key in keys if "batch" not in key or key in typed}
        return al_bench("study", name, *(f"{key}={value}" for key, value in keys.items()))

    return run


@pytest.fixture
def own(tmp_path):
    """A study of one's own, of which seed 1 waits for a file ``go``."""
    (tmp_path / "mine.py").write_text(OWN)
    return "mine.Own"


def files(folder, pattern):
    paths = [path for path in sorted(folder.rglob(pattern)) if path.parent.name != "locks"]
    return {path.name: path.read_bytes() for path in paths}


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_every_study_runs_offline_as_it_is_and_tells_stores_and_draws(name, al_bench, tmp_path):
    more = []
    if name == "discrepancy":  # the only one that reads another run
        run = ("strategy=random", "model=deterministic", "budget.total=40", "training.max_epochs=1")
        assert al_bench("run", *run, "seeds=1", "results=runs")[0] == 0
        (stored,) = tmp_path.glob("runs/digits/deterministic/random/*")
        more = [f"study.run={stored}", "study.side=4"]
    code, out, err = al_bench("study", name, "seeds=1", *more)
    assert (code, err) == (0, "")
    (folder,) = (tmp_path / "results" / "studies" / name).iterdir()
    assert f"results: {os.path.join('results', 'studies', name, folder.name)}" in out
    assert "┃ " in out
    rows = pq.read_table(folder / "seed=0.parquet")
    assert rows.num_rows
    assert set(rows.column("study").to_pylist()) == {name}
    manifest = json.loads((folder / "seed=0.json").read_text())
    assert manifest["status"] == "done"
    drawn = sorted(path.name for path in (tmp_path / "results" / "plots").iterdir())
    assert drawn == [f"{name}_{folder.name}.pdf", f"{name}_{folder.name}.png"]


@pytest.mark.slow
def test_a_study_says_what_it_has_measured_with_intervals_over_seeds(study, tmp_path):
    code, out, _ = study("approximation")
    assert code == 0
    assert "Summed Δ over joint Δ" in out
    assert "±" in out
    (folder,) = (tmp_path / "results" / "studies" / "approximation").iterdir()
    frame = pq.read_table(folder / "seed=1.parquet").to_pandas()
    assert set(frame["seed"]) == {1}
    assert set(frame["network"]) == {"mlp"}
    assert set(frame["epochs"]) == {0, 2}
    assert len(frame) == 2 * 2 * 2
    assert (frame["ratio"] - frame["summed"] / frame["joint"]).abs().max() < 1e-12


@pytest.mark.slow
def test_later_seeds_join_earlier_ones_and_are_what_they_are_alone(study, tmp_path):
    study("initialization", "seeds=1")
    before = files(tmp_path / "results", "seed=0.*")
    assert study("initialization", "seeds=2")[0] == 0
    assert files(tmp_path / "results", "seed=0.*") == before
    study("initialization", "seeds=[1,0]", "results=other", "workers=2")
    for path in (tmp_path / "results").rglob("*.parquet"):
        whole = tmp_path / "other" / path.relative_to(tmp_path / "results")
        assert pq.read_table(path).equals(pq.read_table(whole))


@pytest.mark.slow
def test_rows_that_are_not_what_was_stored_are_measured_again(study, tmp_path):
    study("initialization", "seeds=1")
    (path,) = tmp_path.rglob("seed=0.parquet")
    was = path.read_bytes()
    path.write_bytes(was[:-1])
    code, out, _ = study("initialization", "seeds=1")
    assert code == 0
    assert "starts again" in out
    assert path.read_bytes() == was
    assert list(path.parent.glob("*.damaged*"))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 75)])
def test_an_interrupted_study_keeps_its_finished_seeds(name, code, own, al_bench, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "al_bench", "study", own, "seeds=3"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    for line in process.stdout:
        if "seed 0 done" in line:
            process.send_signal(getattr(signal, name))
            break
    _, err = process.communicate(timeout=300)
    assert process.returncode == code
    by = "" if name == "SIGINT" else f" by {name}"
    assert err == f"al-bench: stopped{by}; finished seeds are kept. Run it again to go on.\n"
    states = {p.name: json.loads(p.read_text()) for p in tmp_path.rglob("seed=*.json")}
    assert states["seed=0.json"]["status"] == "done"
    assert states["seed=1.json"]["status"] == "interrupted"
    first = files(tmp_path, "seed=0.*")
    (tmp_path / "go").touch()
    assert al_bench("study", own, "seeds=3")[0] == 0
    assert files(tmp_path, "seed=0.*") == first


@pytest.mark.slow
def test_a_seed_that_fails_leaves_the_others_alone(own, al_bench, tmp_path):
    code, out, _ = al_bench("study", own, "seeds=[0,3]", "+study.factor=3.0")
    assert code == 1
    assert "seed 3 failed: RuntimeError: no luck (mine.py" in out
    assert "│ 60    │" in out
    (path,) = tmp_path.rglob("seed=3.json")
    manifest = json.loads(path.read_text())
    assert manifest["status"] == "failed"
    assert "no luck" in manifest["traceback"]
    assert not path.with_suffix(".parquet").exists()


@pytest.mark.slow
def test_a_seed_that_another_process_holds_is_left_to_it(own, al_bench, tmp_path):
    from al_bench.results import locks

    al_bench("study", own, "seeds=[0]")
    (folder,) = (tmp_path / "results" / "studies" / own).iterdir()
    lock = locks.take(folder / "locks" / "seed=2.lock")
    try:
        code, out, _ = al_bench("study", own, "seeds=[0,2]")
    finally:
        lock.release()
    assert code == 1
    assert f"held by {os.uname().nodename}, process {os.getpid()}" in out


@pytest.mark.slow
def test_a_dry_run_says_what_would_be_done_and_does_nothing(study, tmp_path):
    code, out, _ = study("initialization", "study.num_initializations=3", "dry_run=true")
    assert code == 0
    assert "study      initialization" in out
    assert "labels     20, 0 for validation" in out
    assert "at most 6 steps a seed, 12 in all" in out
    assert "testing" not in out
    assert not (tmp_path / "results").exists()


def test_the_page_of_help_names_every_study(al_bench):
    code, out, _ = al_bench("study", "--help")
    assert code == 0
    for name in STUDIES:
        assert f"\n  {name} " in out


@pytest.mark.slow
def test_the_configuration_of_a_study_can_be_looked_at(al_bench):
    code, out, _ = al_bench("study", "approximation", "--cfg", "job")
    assert code == 0
    assert "num_batches: 10" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["aproximation"], "There is no study=aproximation. Did you mean 'approximation'?"),
        (["seeds=1"], "No study is chosen. See al-bench list studies."),
        (["-m", "approximation"], "'approximation' is not key=value."),
        (["approximation", "-m"], "A study has one value of each key."),
        (["approximation", "study.num_batches=1,2"], "A study has one value of each key."),
        (["approximation", "strategy=bald"], "a study measures and buys none"),
        (["approximation", "experiment=demo"], "a sweep, and a study is none"),
        (["approximation", "strategy@init_strategy=random"], "draws its labels"),
        (["approximation", "evaluation.ood=[usps]"], "looks at no test set"),
        (["approximation", "evaluation.num_samples=1"], "looks at no test set"),
        (["approximation", "budget=default"], "buys no labels, and budget.total=120"),
        (["approximation", "study.epochs=[0,99]"], "study.epochs has 99"),
        (["approximation", "study.epochs=[2,1]"], "study.epochs=[2, 1] must ascend"),
        (["approximation", "study.epochs=[]"], "study.epochs=[] is empty"),
        (["approximation", "study.batch_sizes=[50,20]"], "must be sizes that ascend"),
        (["approximation", "study.batch_sizes=[9999]"], "the pool has 1247 points"),
        (["approximation", "study.batches=3"], "'study.num_batches' or 'study.batch_sizes'"),
        (["approximation", "model=random_forest"], "needs the gradients of one network"),
        (["initialization", "study.num_initializations=1"], "must be a whole number from 2"),
        (["initialization", "budget.init_size=1"], "1 labels cannot be ranked"),
        (["fisher", "study.num_points=9999"], "is more than the 1117 points without a label"),
        (["fisher", "study.num_targets=9999"], "is more than the 1297 target inputs"),
        (["fisher", "model=deterministic"], "provide. Use model=mc_dropout with a network that"),
        (["fisher", "model=deep_ensemble"], "provide. Use model=mc_dropout with a network that"),
        (["initialization", "--sweep"], "al-bench study has no flag --sweep"),
    ],
)
def test_what_a_study_refuses_in_one_line(words, said, al_bench, tmp_path):
    code, _, err = al_bench("study", *words)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_a_study_has_nothing_for_a_tracker(al_bench, monkeypatch):
    FAKES["tensorboard"](monkeypatch)
    code, _, err = al_bench("study", "approximation", "tracker=tensorboard")
    assert code == 2
    assert "study=approximation has no curve that a tracker could show" in err


def test_run_refuses_a_study_and_says_what_to_type(al_bench):
    code, _, err = al_bench("run", "study=approximation")
    assert code == 2
    assert "a study is no run. Type al-bench study approximation" in err
