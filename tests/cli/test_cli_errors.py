import numpy as np
import pytest


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["strategy=batchbold"], "no strategy=batchbold. Did you mean 'batchbald'"),
        (["dataset=mnits"], "no dataset=mnits. Did you mean 'mnist'"),
        (["model/network=resnet"], "no model/network=resnet. Did you mean 'resnet18'"),
        (["experiment=batchbald/mnis"], "Did you mean"),
        (["stratgy=bald"], "no key 'stratgy'. Did you mean 'strategy'"),
        (["budget.totl=3"], "no key 'budget.totl'"),
        (["streams.innit=1"], "no key 'streams.innit'"),
        (["seeds=-1"], "seeds=-1: at least one seed is needed"),
        (["seeds=0"], "at least one seed"),
        (["seeds=[0,1,0]"], "repeats 0"),
        (["seeds=[-3]"], "whole number from 0, got -3"),
        (["seeds=many"], "neither a number nor a list"),
        (["budget.total=5000"], "total=5000 is more than the pool's 1297 points"),
        (["budget.init_size=200"], "initial set has 200 labels, more than budget.total=120"),
        (["budget.batch_size=0"], "batch_size must be a whole number from 1, got 0"),
        (["model=deterministic"], "strategy=bald needs posterior samples that differ"),
        (["model.num_samples=1"], "strategy=bald needs posterior samples that differ"),
        (["model.network.dropout=0"], "strategy=bald needs posterior samples that differ"),
        (["strategy.num_samples=50"], "more than the 20 samples of model=mc_dropout"),
        (["training.monitor=accuracy", "training.patience=3"], "needs a validation set"),
        (["device=cuda:7"], "Try device=cpu"),
        (["device=gpu"], "Valid: auto, cpu, cuda"),
        (["threads=0"], "threads must be at least 1"),
        (["threads=two"], "threads must be a whole number, got 'two'"),
        (["scoring_precision=float16"], "scoring_precision=float16 is unknown"),
        (["resume=yes"], "resume"),
        (["budget.batch_size=2.5"], "budget.batch_size must be a whole number from 1, got 2.5"),
        (["budget.validation_size=2.5"], "whole number from 0, got 2.5"),
        (["training.learning_rate=nan"], "learning_rate must be a number above 0, got nan"),
        (["training.learning_rate=abc"], "learning_rate must be a number above 0, got 'abc'"),
        (["training.weight_decay=inf"], "weight_decay must be a number from 0, got inf"),
        (["training.momentum=[1]"], "momentum must be a number from 0 and below 1, got [1]"),
        (["strategy=powerbald", "strategy.rule.beta=x"], "rule.beta must be a number above 0"),
        (["strategy=batchbald", "strategy.tolerance=x"], "tolerance must be a number from 0"),
        (["pool=repeat", "pool.repeat.noise_std=x"], "noise_std must be a number from 0, got 'x'"),
        (["model.network.dropout=x"], "model.network.dropout must be a number from 0 and below 1"),
        (["model/network=mlp", "model.network.hidden=3"], "hidden must be a list of widths, got 3"),
        (["model/network=mlp", "model.network.hidden=[0]"], "must be a whole number from 1, got 0"),
        (["budget.target_accuracy=x"], "target_accuracy must be a number above 0 and at most 1"),
        (["budget.init_size=null", "budget.init_per_class=20"], "Lower budget.init_per_class"),
        (["evaluation.num_samples=500"], "more than the 20 samples"),
        (["strategy.num_samples=1"], "compares posterior samples"),
        (["pool=repeat", "budget.validation_size=1000", "budget.total=2800"], "without copies"),
        (["pool=[subset]", "pool.subset.size=60", "budget=batchbald_mnist"], "Seed 0: "),
        (["hydra/launcher=foo", "-m"], "There is no hydra/launcher=foo"),
        (["workers=0"], "workers must be at least 1"),
        (["evaluation.num_samples=0"], "evaluation.num_samples"),
        (["+strategy.betta=3"], "strategy has no parameter 'betta'"),
        (["strategy._target_=nowhere.Nothing"], "cannot be loaded"),
        (["dataset=arrays"], "dataset.path has no default. Add dataset.path="),
        (["dataset=mnist"], "dataset.root="),
        (["dataset=digits", "model/network=batchbald_cnn"], "digits_cnn"),
        (["seeds=range(5"], "al-bench:"),
        (["pool=[subset]", "pool.subset.size=9000"], "9000"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_refused_in_one_line_before_any_work(al_bench, tmp_path, words, said):
    code, out, err = al_bench("run", *words)
    assert code == 2
    assert err.startswith("al-bench: ")
    assert err.count("\n") == 1
    assert said in err
    assert "Traceback" not in out + err
    assert not list(tmp_path.glob("results/**/*.parquet"))


def test_a_traceback_is_shown_when_asked_for(al_bench):
    code, _, err = al_bench("run", "seeds=-1", "verbose=true")
    assert code == 2
    assert "Traceback" in err


@pytest.mark.parametrize("words", [["rnu"], ["plto", "results"]])
def test_an_unknown_command_gets_near_names(al_bench, words):
    code, _, err = al_bench(*words)
    assert code == 2
    assert "Did you mean" in err


def test_a_results_path_that_is_a_file_is_refused(al_bench, tmp_path):
    (tmp_path / "results").write_text("not a folder")
    code, _, err = al_bench("run", "budget.total=30")
    assert code != 0
    assert err.count("\n") == 1
    assert "results" in err


def test_a_damaged_curve_among_good_ones_is_named_and_skipped(quick_run, al_bench, tmp_path):
    quick_run("strategy=random")
    curve, _ = sorted(tmp_path.glob("results/**/curves/*.parquet"))
    curve.write_bytes(curve.read_bytes()[:50])
    code, out, err = al_bench("plot")
    assert code == 0
    assert str(curve.relative_to(tmp_path)) in out + err


def test_wrong_arrays_are_refused(al_bench, tmp_path):
    np.savez(tmp_path / "own.npz", x_train=np.zeros((5, 2)))
    code, _, err = al_bench("run", "dataset=arrays", "dataset.path=own.npz")
    assert code == 2
    assert "y_train" in err


def test_plotting_an_empty_folder_says_what_to_do(al_bench, tmp_path):
    (tmp_path / "results").mkdir()
    code, _, err = al_bench("plot")
    assert code == 1
    assert "al-bench run" in err
