"""Runs from Python are those of the command line, in memory or stored."""

import pytest
import torch

import al_bench
from al_bench.errors import ConfigError
from al_bench.running.prepare import Prepared


@pytest.mark.slow
def test_a_run_from_python_is_the_run_of_the_command_line(quick):
    curves = al_bench.run("strategy=random", "seeds=2", *quick)
    assert curves["num_labeled"].tolist() == [20, 30, 40, 45] * 2
    again = al_bench.run("strategy=random", "seeds=[1]", *quick)  # read, not run again
    assert again["test_nll"].tolist() == curves[curves["seed"] == 1]["test_nll"].tolist()


@pytest.mark.slow
def test_trials_run_in_memory_as_they_do_on_disk(quick):
    stored = al_bench.run("strategy=bald", "seeds=2", *quick)
    held = al_bench.execute(al_bench.trials("strategy=bald", "seeds=2", *quick))
    held = held.sort_values(["seed", "round"])
    assert held["test_nll"].tolist() == stored["test_nll"].tolist()


def test_errors_are_those_of_the_command_line(quick):
    with pytest.raises(ConfigError, match="at least one seed"):
        al_bench.trials("seeds=0", *quick)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = al_bench.nothing


@pytest.mark.slow
def test_a_users_own_folder_works_from_python(quick, tmp_path):
    (tmp_path / "mine" / "strategy").mkdir(parents=True)
    own = "# Mine\n_target_: al_bench.strategies.random.Random\n"
    (tmp_path / "mine" / "strategy" / "own.yaml").write_text(own)
    (trial,) = al_bench.trials("strategy=own", "seeds=1", *quick, config_dir=tmp_path / "mine")
    assert trial.run.identity.strategy_label == "own"


@pytest.mark.slow
def test_wrong_choices_are_answered_as_on_the_command_line(quick):
    with pytest.raises(ConfigError, match="Did you mean 'batchbald'"):
        al_bench.trials("strategy=batchbold", *quick)
    with pytest.raises(ConfigError, match="is a sweep"):
        al_bench.trials("experiment=demo", *quick)
    with pytest.raises(ConfigError, match="is a sweep"):
        al_bench.trials("experiment=demo", "hydra.mode=null", *quick)
    with pytest.raises(ConfigError, match="strategy=random,bald, are a sweep"):
        al_bench.run("strategy=random,bald", *quick)
    with pytest.raises(ConfigError, match="Did you mean 'budget"):
        al_bench.run("budget.batchsize=3", *quick)
    with pytest.raises(ConfigError, match="no folder nowhere"):
        al_bench.run(*quick, config_dir="nowhere")
    with pytest.raises(ConfigError, match="Give every key=value by itself"):
        al_bench.run(quick)


@pytest.mark.slow
def test_a_dry_run_prints_the_plan_and_trains_nothing(quick, tmp_path, capsys):
    curves = al_bench.run("strategy=random", "dry_run=true", *quick)
    assert len(curves) == 0
    assert "test_accuracy" in curves
    assert "rounds     4 a seed" in capsys.readouterr().out
    assert not list(tmp_path.glob("**/*.parquet"))
    with pytest.raises(ConfigError, match="dry_run=true is for"):
        al_bench.trials("dry_run=true", *quick)


@pytest.mark.slow
def test_threads_are_limited_before_any_seed_is_prepared(quick, monkeypatch):
    seen = []
    trial = Prepared.trial

    def spied(self, seed):
        seen.append(torch.get_num_threads())
        return trial(self, seed)

    monkeypatch.setattr(Prepared, "trial", spied)
    torch.set_num_threads(2)
    try:
        al_bench.trials(*quick, "seeds=1")
    finally:
        torch.set_num_threads(1)
    assert set(seen) == {1}


@pytest.mark.slow
def test_several_runs_from_python_are_those_of_each_alone(quick, tmp_path):
    runs = [[f"strategy={name}", "seeds=[1,3]", *quick] for name in ("random", "margin")]
    curves = al_bench.run_together(*runs, [*runs[0], "threads=2"])
    assert curves["strategy"].tolist() == ["random"] * 8 + ["margin"] * 8
    alone = [al_bench.run(*run[:-1], f"results={tmp_path / 'alone'}") for run in runs]
    assert curves["test_nll"].tolist() == [*alone[0]["test_nll"], *alone[1]["test_nll"]]
    held = al_bench.execute([trial for run in runs for trial in al_bench.trials(*run)])
    for frame, name in zip(alone, ("random", "margin"), strict=True):
        own = held[held["strategy"] == name].sort_values(["seed", "round"])
        assert own["test_nll"].tolist() == frame["test_nll"].tolist()


@pytest.mark.slow
def test_several_runs_are_refused_before_any_begins(quick, tmp_path):
    with pytest.raises(ConfigError, match="'strategy=bald' is a word"):
        al_bench.run_together("strategy=bald")
    with pytest.raises(ConfigError, match="There is no run"):
        al_bench.run_together()
    with pytest.raises(ConfigError, match="Did you mean 'batchbald'"):
        al_bench.run_together(["seeds=1", *quick], ["strategy=batchbold", *quick])
    assert not (tmp_path / "results").exists()
