"""One's own code as a user edits it: between runs, while one runs, and where results are older."""

import json
import sys

import pytest

OWN = """
from al_bench.strategies.random import Random
import own_helper

class Own(Random):
    pass
"""
# Every process that imports it has written another helper.
RESTLESS = """
import os
from pathlib import Path
from al_bench.strategies.random import Random

Path(__file__).with_name("own_late.py").write_text(f"x = {os.getpid()}")
import own_late

class Own(Random):
    pass
"""


@pytest.fixture
def run_own(quick_run, tmp_path):
    """Types ``al-bench run`` with one's own strategy, in a fresh process as far as imports go."""
    (tmp_path / "mine" / "strategy").mkdir(parents=True)
    (tmp_path / "mine" / "strategy" / "own.yaml").write_text("_target_: own_strategy.Own\n")
    (tmp_path / "own_strategy.py").write_text(OWN)
    (tmp_path / "own_helper.py").write_text("x = 1\n")

    def run(*words):
        for name in [name for name in sys.modules if name.startswith("own_")]:
            del sys.modules[name]
        return quick_run("--config-dir", "mine", "budget.total=25", "strategy=own", *words)

    return run


def manifests(tmp_path, folder="results"):
    return {
        path: json.loads(path.read_text()) for path in tmp_path.glob(f"{folder}/**/seed=*.json")
    }


def runs(tmp_path):
    return {path.name for path in tmp_path.glob("results/digits/mc_dropout/own/*")}


@pytest.mark.slow
def test_edited_code_is_a_run_of_its_own_and_a_comment_is_not(run_own, al_bench, tmp_path):
    assert run_own("seeds=1")[0] == 0
    (first,) = runs(tmp_path)
    (content,) = manifests(tmp_path).values()
    assert set(content["own_code"]) == {"own_strategy", "own_helper"}
    (tmp_path / "own_helper.py").write_text('"""Says."""\n\nx = 1  # one\n')
    code, out, _ = run_own("seeds=1")
    assert (code, runs(tmp_path)) == (0, {first})
    assert "Trained anew" not in out
    (tmp_path / "own_helper.py").write_text("x = 2\n")
    code, out, err = run_own("seeds=1")
    assert code == 0
    assert f"Trained anew: run {first} has this configuration too, but own_helper has" in out + err
    assert len(runs(tmp_path)) == 2
    assert "Trained anew" not in "".join(run_own("seeds=1")[1:])  # it is done
    path = next(path for path in manifests(tmp_path) if first in path.parts)
    code, out, err = al_bench("rerun", str(path), "trust=results")
    assert code == 1
    assert "changed since it was stored: own_helper." in err


@pytest.mark.slow
def test_a_run_stored_without_its_code_is_read_and_why_it_is_not_gone_on_with_is_said(
    run_own, al_bench, tmp_path
):
    run_own("seeds=1")
    (path,), (content,) = manifests(tmp_path).keys(), manifests(tmp_path).values()
    older = content["configuration_id"]  # what the run's id was without the code
    assert older != content["run_id"]
    for name in ("own_code", "configuration_id", "part_versions"):
        del content[name]
    path.write_text(json.dumps(content | {"run_id": older}))
    path.parents[1].rename(path.parents[2] / older)
    code, out, err = run_own("seeds=1")
    assert code == 0
    assert f"run {older} has this configuration too, but was stored without the source" in out + err
    assert len(runs(tmp_path)) == 2
    _, out, _ = al_bench("status")
    assert "2 done" in out


@pytest.mark.slow
def test_a_worker_with_other_code_fails_its_trials(run_own, tmp_path):
    (tmp_path / "own_strategy.py").write_text(RESTLESS)
    code, out, err = run_own("workers=2")
    assert code == 1
    assert "own_late was edited while the sweep ran" in out + err
    contents = manifests(tmp_path).values()
    assert {content["status"] for content in contents} == {"failed"}
    assert len({content["run_id"] for content in contents}) == 1
    (tmp_path / "own_strategy.py").write_text("class Own(\n")
    assert run_own("workers=2")[0] == 2  # before any work


@pytest.mark.slow
def test_processes_of_a_launcher_agree_on_the_code(run_own, tmp_path):
    (tmp_path / "own_strategy.py").write_text(RESTLESS)
    joblib = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.launcher.batch_size=1")
    code, out, err = run_own("-m", "training.learning_rate=0.1,0.2", "seeds=1", *joblib)
    states = [content["status"] for content in manifests(tmp_path).values()]
    assert len(states) == 2
    if "failed" in states:  # else one process has had both jobs
        assert states.count("failed") == 1
        assert code == 1
        assert "own_late was edited while the sweep ran" in out + err


def test_jobs_of_a_sweep_have_the_code_of_the_first(tmp_path):
    from al_bench.configuration.sweep import JobRecord

    first, second = (JobRecord(tmp_path / "sweep" / str(job), job, []) for job in range(2))
    assert first.disagreement({"own": "1" * 16}) is None
    assert second.disagreement({"own": "1" * 16, "other": "3" * 16}) is None
    error = second.disagreement({"own": "2" * 16})
    assert "own was edited while the sweep ran" in str(error)
    assert first.disagreement({"own": "1" * 16}) is None
    assert not [path for path in tmp_path.rglob("*") if ".tmp" in path.name]


@pytest.mark.slow
def test_kernels_are_a_column_and_in_no_run_id(quick_run, tmp_path, curves):
    for folder, words in (("one", ()), ("other", ("deterministic=false",))):
        assert quick_run("strategy=random", "seeds=1", f"results={folder}", *words)[0] == 0
    one, other = (sorted((tmp_path / name).glob("*/*/*/*")) for name in ("one", "other"))
    assert [path.name for path in one] == [path.name for path in other]
    assert curves("one")["deterministic"].isna().all()
    assert set(curves("other")["deterministic"]) == {False}  # and not null


@pytest.mark.slow
def test_another_engine_than_that_of_a_done_trial_is_told(quick_run, tmp_path):
    quick_run("strategy=random")
    stored = [path for path in tmp_path.rglob("seed=*") if path.suffix in (".parquet", ".json")]
    before = {path: path.read_bytes() for path in stored}
    plain = quick_run("strategy=random", "threads=1", "chunk_bytes=1000000")
    assert "another engine" not in "".join(plain[1:])
    for more in ((), ("workers=2",), ("-m", "training.max_epochs=1")):
        code, out, err = quick_run("strategy=random", "scoring_precision=bfloat16", *more)
        assert code == 0
        said = "seeds 0–1 with scoring_precision=float32 not bfloat16"
        assert (out + err).count(said) == 1
        assert "results=OTHER" in out + err
    assert before == {path: path.read_bytes() for path in before}
    code, out, err = quick_run("strategy=random", "scoring_precision=bfloat16", "results=other")
    assert "another engine" not in out + err
