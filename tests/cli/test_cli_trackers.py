"""Trackers are told every round of every seed, and cost no result whatever they do."""

import json
import sys

import pandas as pd
import pytest
from fake_trackers import FAKES

RUN = ("strategy=random", "budget.total=30")
OWN = """
import json
from dataclasses import dataclass

@dataclass(frozen=True)
class Own:
    fails: str | None = None

    def start(self, trial):
        self.tell("start", trial.name)
        return trial.name

    def log(self, run, row):
        self.tell("log", run, row["num_labeled"])

    def finish(self, run, status):
        self.tell("finish", run, status)

    def tell(self, *said):
        if said[0] == self.fails:
            raise OSError("no\\nroom")
        with open("told.jsonl", "a") as file:
            file.write(json.dumps(said) + "\\n")
"""
BREAKS = """
from pathlib import Path
from al_bench.strategies.random import Random

class Breaks(Random):
    def select(self, view, batch_size, generator):
        if view.round == 1 and Path("broken").exists():
            raise {error}
        return super().select(view, batch_size, generator)
"""


@pytest.fixture
def own(tmp_path):
    """``tracker=own``, which writes down what it is told, and ``strategy=breaks``."""
    for group, target in (("tracker", "own_tracker.Own"), ("strategy", "breaks.Breaks")):
        (tmp_path / "mine" / group).mkdir(parents=True)
        (tmp_path / "mine" / group / f"{target.split('.')[1].lower()}.yaml").write_text(
            f"# Mine\n_target_: {target}\n"
        )
    (tmp_path / "own_tracker.py").write_text(OWN)
    yield ("--config-dir", "mine", "tracker=own")
    for name in ("own_tracker", "breaks"):
        sys.modules.pop(name, None)


@pytest.fixture
def told(tmp_path):
    def read():
        path = tmp_path / "told.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]

    return read


@pytest.mark.slow
@pytest.mark.parametrize("tracker", FAKES)
def test_a_tracker_shows_every_round_of_every_seed(quick_run, curves, monkeypatch, tracker):
    held = FAKES[tracker](monkeypatch)
    code, _, err = quick_run(*RUN, f"tracker={tracker}")
    assert (code, err) == (0, "")
    assert sorted(held) == ["random seed=0", "random seed=1"]
    for seed in (0, 1):
        run = held[f"random seed={seed}"]
        curve = curves().query(f"seed == {seed}")
        assert run.status == "done"
        assert run.parameters["budget.total"] == "30"
        assert not any(key.startswith("tracker") for key in run.parameters)
        for name in ("test_accuracy", "test_nll", "num_queried", "round"):
            assert run.curves[name] == list(zip(curve["num_labeled"], curve[name], strict=True))
        assert not {"seed", "threads", "numerics_version", "test_class_accuracy"} & set(run.curves)


@pytest.mark.slow
@pytest.mark.parametrize("tracker", FAKES)
def test_a_tracker_shows_runs_of_a_sweep_side_by_side(quick_run, curves, monkeypatch, tracker):
    held = FAKES[tracker](monkeypatch)
    words = ("-m", "strategy=random,margin", "budget.total=30", "seeds=1")
    code, _, err = quick_run(*words, f"tracker={tracker}")
    assert (code, err) == (0, "")
    assert sorted(held) == ["margin seed=0", "random seed=0"]
    for name, run in held.items():
        curve = curves().query(f"strategy == '{name.split()[0]}'")
        assert run.status == "done"
        assert run.curves["test_nll"] == list(
            zip(curve["num_labeled"], curve["test_nll"], strict=True)
        )


@pytest.mark.slow
def test_a_tracker_that_fails_is_told_once_a_sweep(quick_run, own, told):
    words = ("-m", "strategy=random,margin", "budget.total=30", "seeds=1", "+tracker.fails=log")
    code, out, _ = quick_run(*words, *own)
    assert code == 0
    assert out.count("has failed, and the run goes on without it") == 1
    names = {said[1] for said in told() if said == ["finish", said[1], "interrupted"]}
    assert names == {"random seed=0", "margin seed=0"}


@pytest.mark.slow
def test_a_tracker_is_no_part_of_what_is_stored(quick_run, curves, tmp_path, own):
    def stored(folder):
        return {
            path.relative_to(tmp_path / folder) for path in tmp_path.glob(f"{folder}/digits/**/*")
        }

    one = (*RUN, "seeds=1")
    quick_run(*one, "results=without")
    assert quick_run(*one, *own, "results=with")[0] == 0
    assert stored("with") == stored("without")
    pd.testing.assert_frame_equal(curves("with"), curves("without"))
    (config,) = tmp_path.glob("with/**/config.yaml")
    assert "tracker" not in config.read_text()


@pytest.mark.parametrize(
    "fails",
    [
        "log",
        pytest.param("start", marks=pytest.mark.slow),
        pytest.param("finish", marks=pytest.mark.slow),
    ],
)
def test_a_tracker_that_fails_costs_a_warning_and_no_result(quick_run, curves, own, told, fails):
    code, out, _ = quick_run(*RUN, *own, f"+tracker.fails={fails}")
    assert code == 0
    assert out.count("has failed") == 1
    assert "Own has failed, and the run goes on without it: OSError: no room\n" in out
    assert len(curves()) == 4
    # Those that were open are closed, as far as that goes; nothing is told afterwards.
    ended = {said[1] for said in told() if said == ["finish", said[1], "interrupted"]}
    assert ended == ({"random seed=0", "random seed=1"} if fails == "log" else set())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "status", "exit_code"),
    [
        ("RuntimeError('not today')", "failed", 1),
        ("KeyboardInterrupt", "interrupted", 130),
    ],
)
def test_a_trial_that_goes_on_is_shown_from_its_beginning(
    quick_run, tmp_path, own, told, error, status, exit_code
):
    (tmp_path / "breaks.py").write_text(BREAKS.format(error=error))
    (tmp_path / "broken").touch()
    words = (*own, "strategy=breaks", "seeds=1", "budget.total=40")
    assert quick_run(*words)[0] == exit_code
    name = "breaks seed=0"
    assert told() == [["start", name], ["log", name, 20], ["finish", name, status]]
    (tmp_path / "broken").unlink()
    assert quick_run(*words)[0] == 0
    logged = [["log", name, labels] for labels in (20, 30, 40)]
    assert told() == [["start", name], *logged, ["finish", name, "done"]]
    quick_run(*words)
    assert told() == []  # a finished trial is not run, so there is nothing to show


@pytest.mark.slow
def test_workers_tell_the_tracker_of_their_own_seeds(quick_run, own, told):
    assert quick_run(*RUN, *own, "workers=2")[0] == 0
    said = told()
    for seed in (0, 1):
        name = f"random seed={seed}"
        logged = [["log", name, 20], ["log", name, 30]]
        expected = [["start", name], *logged, ["finish", name, "done"]]
        assert [entry for entry in said if entry[1] == name] == expected


@pytest.mark.parametrize(
    "tracker",
    ["wandb", *(pytest.param(name, marks=pytest.mark.slow) for name in ("tensorboard", "mlflow"))],
)
def test_a_missing_package_is_said_before_anything_is_run(
    quick_run, tmp_path, monkeypatch, tracker
):
    monkeypatch.setitem(sys.modules, tracker, None)
    code, _, err = quick_run(f"tracker={tracker}")
    assert (code, err.count("\n")) == (2, 1)
    assert f"needs the package {tracker}, which is not installed" in err
    assert f'pip install -e ".[{tracker}]"' in err
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tracker=tensorbord"], "There is no tracker=tensorbord. Did you mean 'tensorboard'?"),
        (
            ["tracker=wandb", "tracker.mode=on"],
            "tracker.mode=on is unknown. Valid: offline, online.",
        ),
        (["tracker=mlflow", "tracker.uri=file:./mlruns"], "Use tracker.uri=sqlite:///results"),
        (["tracker.mode=online"], "tracker is null; choose one with tracker=…"),
        (["tracker=[wandb,mlflow]"], "al-bench: "),
        (["+tracker._target_=builtins.dict"], "tracker: dict has no method start."),
    ],
)
def test_wrong_settings_of_a_tracker_are_refused_in_one_line(quick_run, tmp_path, words, said):
    code, _, err = quick_run(*words)
    assert (code, err.count("\n")) == (2, 1)
    assert said in err
    assert not (tmp_path / "results").exists()
