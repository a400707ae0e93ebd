"""``al-bench rerun``, ``export`` and ``transfer`` on results that were really stored."""

import json
import shutil

import pandas as pd
import pyarrow.parquet as pq
import pytest

from al_bench import cli
from al_bench.results.frame import read_acquisitions, read_curves
from al_bench.running import notebook

QUICK = (
    "training.max_epochs=1",
    "training.epoch_size=64",
    "model.num_samples=2",
    "model/network=mlp",  # the quickest
    "model.network.hidden=[16]",
    "budget.total=40",
    "seeds=2",
)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored") / "results"
    for name in ("random", "entropy"):
        notebook.run(*QUICK, f"strategy={name}", f"results={folder}")
    return folder


@pytest.fixture
def results(stored, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(stored, tmp_path / "results")


def manifest_of(results, strategy, seed=0):
    (path,) = results.glob(f"digits/mc_dropout/{strategy}/*/manifests/seed={seed}.json")
    return path


@pytest.mark.slow
def test_one_file_of_several_protocols_keeps_them_apart(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for rate in (0.001, 0.002):
        words = (*QUICK, "seeds=1", "budget.total=30", f"training.learning_rate={rate}")
        notebook.run("strategy=random", *words)
    assert cli.main(["export", "results", "out=all.parquet"]) == 0
    frame, back = read_curves("results"), read_curves("all.parquet")
    assert back["config"].nunique() == 2
    pd.testing.assert_frame_equal(back, frame, check_categorical=False)
    printed = []
    for source in ("results", "all.parquet"):
        capsys.readouterr()
        assert cli.main(["compare", source, "arms=[strategy,training.learning_rate]"]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert "learning_rate=0.002" in printed[0]


@pytest.mark.slow
def test_a_trial_repeated_is_the_same(results, capsys):
    before = sorted(results.rglob("*"))
    assert cli.main(["rerun", str(manifest_of(results, "entropy", 1))]) == 0
    assert "The same: 3 rounds" in capsys.readouterr().out
    assert sorted(results.rglob("*")) == before


def test_a_trial_whose_curve_is_cut_is_told_how_it_comes_back(results, capsys):
    manifest = manifest_of(results, "entropy")
    curve = manifest.parent.parent / "curves" / "seed=0.parquet"
    curve.write_bytes(curve.read_bytes()[:500])
    assert cli.main(["rerun", str(manifest)]) == 1
    assert capsys.readouterr().err.endswith("The command line that made it computes it again.\n")


@pytest.mark.slow
def test_a_trial_that_has_not_ended_is_not_repeated(results, capsys):
    path = manifest_of(results, "entropy")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "interrupted"}))
    assert cli.main(["rerun", str(path)]) == 1
    error = capsys.readouterr().err
    assert "a trial that is interrupted, not done. The same al-bench run again finishes it" in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_a_trial_that_was_tampered_with_is_not_the_same(results, capsys):
    manifest = manifest_of(results, "entropy")
    curve = manifest.parent.parent / "curves" / "seed=0.parquet"
    table = pq.read_table(curve)
    place = table.schema.get_field_index("test_nll")
    values = table["test_nll"].to_pylist()
    values[1] += 0.5
    column = pd.array(values, dtype="float64")
    pq.write_table(table.set_column(place, table.schema.field(place), [column]), curve)
    assert cli.main(["rerun", str(manifest)]) == 1
    out = capsys.readouterr().out
    assert "Not the same: 1 column differs.\n" in out
    assert "test_nll: round 1 was" in out


def edit_config(manifest, old, new):
    path = manifest.parent.parent / "config.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.slow
@pytest.mark.parametrize("hashes", [True, False])
def test_an_edited_configuration_is_told_and_not_used(results, capsys, caplog, hashes):
    manifest = manifest_of(results, "entropy")
    if not hashes:
        content = json.loads(manifest.read_text())
        del content["files"]
        manifest.write_text(json.dumps(content))
    edit_config(manifest, "epoch_size: 64", "epoch_size: 128")
    assert cli.main(["rerun", str(manifest)]) == 0
    told = capsys.readouterr()
    assert "The same: 3 rounds" in told.out
    assert "config.yaml" not in told.err
    assert caplog.text.count("config.yaml") == 1
    assert cli.main(["transfer", str(results), "model=deterministic", "dry_run=true"]) == 0


@pytest.mark.slow
def test_a_configuration_that_is_gone_is_taken_from_the_curve(results, capsys, caplog):
    manifest = manifest_of(results, "entropy")
    (manifest.parent.parent / "config.yaml").unlink()
    assert cli.main(["rerun", str(manifest)]) == 0
    assert "config.yaml is missing" in caplog.text
    (manifest.parent.parent / "curves" / "seed=0.parquet").unlink()
    assert cli.main(["rerun", str(manifest)]) == 1
    assert "no curve of seed=0 says what the run was" in capsys.readouterr().err


@pytest.mark.slow
def test_purchases_that_were_cut_are_not_the_same_and_not_replayed(results, capsys):
    manifest = manifest_of(results, "entropy")
    path = manifest.parent.parent / "acquisitions" / "seed=0.parquet"
    pq.write_table(pq.read_table(path).slice(0, 30), path)
    assert cli.main(["rerun", str(manifest)]) == 1
    out, err = capsys.readouterr()
    assert "acquisitions/seed=0.parquet has 30 rows, where" in err
    assert "acquisitions, number of rows" in out
    assert cli.main(["transfer", str(results), "model=deterministic", "dry_run=true"]) == 0
    out, err = capsys.readouterr()
    assert "seed 0 damaged (acquisitions/seed=0.parquet has 30 rows" in err
    assert "2 runs, 3 trials to be trained" in out


@pytest.mark.slow
def test_a_trial_in_two_folders_is_replayed_once(results, tmp_path, capsys):
    other = shutil.copytree(results, tmp_path / "other")
    words = ["transfer", str(results), str(other), str(results), "model=deterministic"]
    assert cli.main([*words, "dry_run=true"]) == 0
    assert "2 runs, 4 trials to be trained" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Nothing to repeat"),
        (["nowhere/manifests/seed=0.json"], "There is no manifest"),
        (["seed=0.json"], "rerun has no key 'seed'"),
        (["results"], "is not the manifest of a trial"),
    ],
)
def test_what_is_no_manifest_is_named(words, message, capsys):
    assert cli.main(["rerun", *words]) == 2
    assert message in capsys.readouterr().err


def test_everything_in_one_tidy_file(results, tmp_path):
    for kind, read in (("curves", read_curves), ("acquisitions", read_acquisitions)):
        for ending in ("csv", "parquet"):
            out = tmp_path / f"{kind}.{ending}"
            assert cli.main(["export", str(results), f"kind={kind}", f"out={out}"]) == 0
            frame = pd.read_csv(out) if ending == "csv" else pd.read_parquet(out)
            assert len(frame) == len(read(results))
            assert frame["run_id"].tolist() == read(results)["run_id"].tolist()


@pytest.mark.slow
def test_results_of_two_machines_become_one(results, tmp_path, capsys):
    whole = len(read_curves(results))
    other = shutil.copytree(results, tmp_path / "other")
    shutil.rmtree(next(results.glob("digits/mc_dropout/entropy")))
    for path in (other / "digits" / "mc_dropout" / "random").rglob("seed=1.*"):
        path.unlink()
    target = tmp_path / "all"
    assert cli.main(["export", str(results), str(other), f"merge={target}"]) == 0
    assert "4 trials taken in" in capsys.readouterr().out
    assert len(read_curves(target)) == whole
    assert cli.main(["export", str(results), str(other), f"merge={target}"]) == 0
    assert "0 trials taken in" in capsys.readouterr().out
    assert cli.main(["status", str(target)]) == 0


def test_different_results_of_one_trial_are_not_merged(results, tmp_path, capsys):
    other = shutil.copytree(results, tmp_path / "other")
    curve = manifest_of(other, "random").parent.parent / "curves" / "seed=0.parquet"
    shutil.copy(curve.with_name("seed=1.parquet"), curve)
    assert cli.main(["export", str(other), f"merge={results}"]) == 1
    assert "different results of one trial" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Give one of out= and merge="),
        (["out=x.csv", "merge=y"], "Give one of out= and merge="),
        (["out=x.txt"], "neither .csv nor .parquet"),
    ],
)
def test_where_to_export_must_be_said(results, words, message, capsys):
    assert cli.main(["export", str(results), *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_another_model_learns_from_the_same_labels(results, capsys):
    words = ["transfer", str(results), "model=deterministic", "model/network=mlp"]
    assert cli.main(words) == 0
    frame = read_curves(results)
    moved = frame[frame["model"] == "deterministic"]
    assert set(moved["strategy_label"]) == {"random@mc_dropout", "entropy@mc_dropout"}
    assert set(moved["network"]) == {"mlp"}
    assert moved["protocol_id"].nunique() == 1
    bought = read_acquisitions(results)
    for name in ("random", "entropy"):
        runs = [
            frame.loc[frame["strategy_label"] == label, "run_id"].iloc[0]
            for label in (name, f"{name}@mc_dropout")
        ]
        first, second = (
            bought[bought["run_id"] == run].sort_values(["seed", "round", "rank"])["index"].tolist()
            for run in runs
        )
        assert first == second
    assert cli.main(["compare", str(results), "baseline=random@mc_dropout"]) == 0
    assert "entropy@mc_dropout" in capsys.readouterr().out
    assert cli.main(words) == 0  # finished seeds are not run again, replays not replayed
    assert len(read_curves(results)) == len(frame)


BOUGHT = ("budget.init_per_class=null", "budget.init_size=6", "budget.total=12", "seeds=2")


def transferred(results, label):
    """What a run bought, and what its transfer to another model did."""
    curves = read_curves(results, ["strategy_label", "run_id", "protocol_id", "seed", "round"])
    bought = read_acquisitions(results).sort_values(["seed", "round", "rank"])
    runs = [
        bought[bought["run_id"].isin(curves.loc[curves["strategy_label"] == name, "run_id"])]
        for name in (label, f"{label}@mc_dropout")
    ]
    return [run[["seed", "round", "rank", "index", "label"]].to_dict("list") for run in runs]


@pytest.mark.slow
def test_a_bought_initial_set_is_bought_again_by_another_model(tmp_path):
    """Entropy without any label is the network's own guess: every model's is another one."""
    results = tmp_path / "results"
    words = (*QUICK[:2], *BOUGHT, "budget.batch_size=3", "strategy@init_strategy=entropy")
    for name in ("random", "margin"):
        notebook.run(*words, "model.num_samples=2", f"strategy={name}", f"results={results}")
    assert cli.main(["transfer", str(results), "model=deterministic"]) == 0
    for label in ("random", "margin"):
        first, second = transferred(results, label)
        assert first == second
        assert first["round"].count(0) == 2 * 6  # all of it was bought
    curves = read_curves(results)
    moved = curves[curves["model"] == "deterministic"]
    assert moved["protocol_id"].nunique() == 1  # so that random remains the control
    own = notebook.run(*words, "strategy=random", "model=deterministic", f"results={tmp_path}/own")
    assert set(own["protocol_id"]).isdisjoint(moved["protocol_id"])
    anew = read_acquisitions(tmp_path / "own").query("round == 0")["index"]
    assert not set(anew) <= set(transferred(results, "random")[0]["index"])


@pytest.mark.slow
def test_orders_that_begin_without_labels_are_transferred(tmp_path):
    results = tmp_path / "results"
    words = (*QUICK[:-2], *BOUGHT, "budget.init_size=0", "budget.batch_size=3", "strategy=random")
    notebook.run(*words, f"results={results}")
    assert cli.main(["transfer", str(results), "model=deterministic"]) == 0
    first, second = transferred(results, "random")
    assert first == second


@pytest.mark.parametrize(
    ("answers", "init"),
    [
        pytest.param("refused", ["strategy@init_strategy=entropy"], marks=pytest.mark.slow),
        pytest.param("refused", [], marks=pytest.mark.slow),
        pytest.param("wasted", ["strategy@init_strategy=entropy"], marks=pytest.mark.slow),
        pytest.param("own", [], marks=pytest.mark.slow),
    ],
    ids=["refused-bought", "refused-drawn", "wasted-bought", "own-drawn"],
)
def test_orders_of_mixed_pools_are_transferred(tmp_path, answers, init):
    results = tmp_path / "results"
    mixed = ("pool=contaminate", "pool.contaminate.source=digits", "pool.contaminate.size=900")
    words = (*QUICK[:-2], *BOUGHT, *mixed, f"pool.contaminate.labels={answers}", "strategy=random")
    notebook.run(*words, *init, "budget.batch_size=6", "seeds=[1]", f"results={results}")
    assert cli.main(["transfer", str(results), "model=deterministic"]) == 0
    first, second = transferred(results, "random")
    assert str(first) == str(second)  # no label is NA, which equals nothing
    origins = read_acquisitions(results, ["origin"])["origin"]
    assert origins.nunique() == 2


@pytest.mark.slow
def test_moved_results_transfer_to_the_same_runs(results, tmp_path):
    moved = shutil.copytree(results, tmp_path / "moved")
    for folder in (results, moved):
        assert cli.main(["transfer", str(folder), "model=deterministic"]) == 0
    ids = [set(read_curves(folder)["run_id"]) for folder in (results, moved)]
    assert ids[0] == ids[1]


@pytest.mark.slow
def test_a_key_of_the_stored_network_is_changed(tmp_path, capsys):
    network = ("model/network=mlp", "model.network.hidden=[16]")
    notebook.run(*QUICK, *network, "strategy=random", f"results={tmp_path}")
    assert cli.main(["transfer", str(tmp_path), "dry_run=true", "model.network.hidden=[8]"]) == 0
    assert "(mlp)" in capsys.readouterr().out


@pytest.mark.slow
def test_several_models_are_transferred_to_at_once(results, capsys):
    words = ["transfer", str(results), "model=deterministic,mc_dropout", "model/network=mlp"]
    assert cli.main([*words, "model.network.hidden=[8]", "dry_run=true"]) == 0
    out = capsys.readouterr().out
    assert "4 runs, 8 trials to be trained" in out
    assert out.count(", deterministic (mlp)") == out.count(", mc_dropout (mlp)") == 2
    before = sorted(results.glob("**/*.parquet"))
    assert cli.main(["transfer", str(results), "model=deterministic,nothing"]) == 2
    assert "There is no model=nothing." in capsys.readouterr().err
    assert cli.main(["transfer", str(results), "model=deterministic", "budget.total=30,900"]) == 2
    assert "budget.total=900 is more than" in capsys.readouterr().err
    assert sorted(results.glob("**/*.parquet")) == before


@pytest.mark.slow
def test_another_training_learns_from_the_same_labels(results, capsys):
    """What is not named stays as it was stored: here all of the training but its epochs."""
    words = ["transfer", str(results), "training.max_epochs=2", "budget.total=30"]
    assert cli.main([*words, "dry_run=true"]) == 0
    assert "2 runs, 4 trials to be trained" in capsys.readouterr().out
    assert set(read_curves(results)["strategy"]) == {"random", "entropy"}
    assert cli.main(words) == 0
    assert "2 runs, 4 done\nresults: " in capsys.readouterr().out
    moved = read_curves(results).query("strategy == 'replay'")
    assert set(moved["model"]) == {"mc_dropout"}
    assert moved["num_labeled"].max() == 30
    assert set(moved["steps"]) == {2}  # epochs of 64 examples, as stored


@pytest.mark.slow
def test_new_runs_do_not_lie_among_stored_ones(results, capsys):
    for inside in ("digits", "digits/mc_dropout/entropy"):
        assert cli.main(["transfer", str(results / inside), "model=deterministic"]) == 2
        error = capsys.readouterr().err
        assert "among stored ones. Add out=" in error
        assert error.endswith("results.\n")
    words = ["model=deterministic", f"out={results}", "dry_run=true"]
    assert cli.main(["transfer", str(results / "digits/mc_dropout/entropy"), *words]) == 0
    assert "1 runs, 2 trials" in capsys.readouterr().out


@pytest.mark.slow
def test_trials_that_are_not_done_are_named_and_left_out(results, capsys):
    path = manifest_of(results, "entropy", 1)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "failed"}))
    run = path.parent.parent.name
    assert cli.main(["transfer", str(results), "model=deterministic", "dry_run=true"]) == 0
    out, err = capsys.readouterr()
    said = f"warning: left out, since they are not done: entropy ({run}) seed 1 failed.\n"
    assert err == said
    assert "2 runs, 3 trials" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "No model or training to transfer to"),
        (["budget.total=30"], "No model or training to transfer to"),
        (["model=deterministic", "budget.init_size=9"], "Of the budget only budget.total and"),
        (["model=deterministic", "budget.total=99"], "Use budget.total=40 or less"),
        (["training.max_epoch=2"], "Did you mean 'training.max_epochs'"),
        (["model=determinstic"], "deterministic"),
        (["modle=deterministic"], "has no key 'modle'. Did you mean 'model'?"),
        (["model=deterministic", "seeds=2"], "dry_run, evaluation, model, model/network, out,"),
        (["model=deterministic", "model=random_forest"], "model is given twice: deterministic and"),
        (["out=a", "out=b", "model=deterministic"], "out is given twice: a and b."),
    ],
)
def test_a_model_must_be_named(results, words, message, capsys):
    assert cli.main(["transfer", str(results), *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_manifest_names_what_is_needed_to_repeat_it(results):
    content = json.loads(manifest_of(results, "random").read_text())
    assert {"run_id", "seed", "engine", "versions"} <= set(content)
