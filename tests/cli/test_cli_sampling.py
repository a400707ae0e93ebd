"""Active sampling on the command line: what is typed, refused, said and stored."""

import json

import pandas as pd
import pytest

from al_bench.results.frame import read_curves
from al_bench.results.schema import MEASURED
from al_bench.running.progress import describe
from al_bench.tracking.base import step

QUICK = (
    "model=deterministic",
    "model/network=mlp",
    "model.network.hidden=[8]",
    "budget.passes=2",
    "budget.candidates=64",
    "training.batch_size=8",
    "seeds=2",
)
IMPORTANCE = "selection=al_bench.sampling.draws.GradientNormIS"


@pytest.fixture
def sample(al_bench):
    """``al-bench run`` of two passes over digits; later words replace earlier ones."""

    def run(*words):
        last = {word.partition("=")[0]: word for word in (*QUICK, *words)}
        return al_bench("run", *last.values())

    return run


def stored(folder, **where):
    frame = read_curves([folder]).drop(columns=list(MEASURED))
    for name, value in where.items():
        frame = frame[frame[name] == value]
    return frame.sort_values(["strategy", "seed", "round"]).reset_index(drop=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["selection=uniform", "strategy=bald"], "strategy=bald and selection=uniform: a strategy"),
        (["~strategy"], "Every run has a strategy; none is chosen. Add strategy=…"),
        (["strategy=null", "selection=uniform"], "null is no choice. Write ~strategy."),
        (["selection=null"], "null is no choice. Write ~selection."),
        (["selection=[uniform,uniform]"], "For a run each: -m selection=uniform,uniform."),
        (["selection=unifrom"], "Did you mean 'uniform'?"),
        (["budget=steps"], "budget=steps counts steps, and a strategy buys labels. Use budget=de"),
        (["training=steps"], "a selection chooses, and there is none. Use training=default"),
        (["selection=uniform", "budget=full"], "budget=full counts labels. Use budget=steps."),
        (["selection=uniform", "training=batchbald"], "trains in epochs. Use training=steps."),
        (["selection=uniform", "model=deep_ensemble"], "Use model=deterministic or model=mc_drop"),
        (["selection=uniform", "model=random_forest"], "Use model=deterministic or model=mc_drop"),
        (["selection=uniform", "model=last_layer_laplace"], "Use model=deterministic or model=mc"),
        (["selection=uniform", "model=sngp"], "Use model=deterministic or model=mc_dropout"),
        (["selection=uniform", "strategy@init_strategy=random"], "Leave out strategy@init_strat"),
        (["selection=uniform", "budget.holdout_size=1400"], "is more than the 1297 different"),
        (["selection=uniform", "budget.candidates=700"], "more than the 649 training points. U"),
        (["selection=uniform", "budget.candidates=16"], "more than the 16 candidates of a step."),
        (["selection=uniform", "budget.evaluate_every=900"], "more than all 300 steps. Use budg"),
        (["selection=uniform", "training.selection_mode=test"], "selection_mode=test is unknown."),
        (["selection=uniform", "training/schedule=cosine", "training.schedule.warmup_epochs=99"],
         "training.schedule.warmup_epochs=99 must be below the number of epochs, which is 75."),
        (["selection=uniform", "evaluation.online=true"], "those bought. Leave out evaluation."),
        (["selection=al_bench.strategies.random.Random"], "has no method choose(view, batch_size"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_what_does_not_go_together_is_refused_in_one_line(al_bench, words, said):
    code, out, err = al_bench("run", *words, "dry_run=true", "seeds=1")
    assert code == 2
    assert said in err
    assert len(err.splitlines()) == 1
    assert not out


@pytest.mark.slow
def test_a_dry_run_says_steps_passes_and_folder(sample):
    code, out, _ = sample("selection=uniform", "dry_run=true")
    assert code == 0
    assert "points     649 to train on, 648 held out, 0 for validation" in out
    assert "steps      20, 8 of 64 candidates each" in out
    assert "scoring    at most 0 forward passes" in out
    assert "rounds     3 a seed, 6 in all" in out
    _, out, _ = sample(IMPORTANCE, "dry_run=true")
    assert f"scoring    at most {20 * 64:,} forward passes (points × samples) a seed" in out
    for words, passes in (("selection=svp", 26), ("selection=forgetting", 50)):
        _, out, _ = sample(words, "dry_run=true")
        assert f"core-set   chosen by {passes * 649:,} forward passes of proxies a seed" in out


def test_selections_are_listed(al_bench):
    _, out, _ = al_bench("list", "selections")
    assert any(line.startswith("uniform ") for line in out.splitlines())


@pytest.mark.slow
def test_rows_say_what_was_chosen_and_arms_share_all_but_that(sample, tmp_path):
    for words in (["selection=uniform"], [IMPORTANCE]):
        code, out, err = sample(*words)
        assert code == 0, err
        assert "steps" in out
        assert "labels" not in out
    frame = stored(tmp_path / "results")
    assert set(frame["setting"]) == {"sampling"}
    assert set(frame["strategy"]) == {"uniform", IMPORTANCE.partition("=")[2]}
    assert frame["strategy"].equals(frame["strategy_label"])
    assert frame["protocol_id"].nunique() == 1
    assert frame["run_id"].nunique() == 2
    assert (frame["num_labeled"] == 649).all()
    assert (frame["num_queried"] == 649).all()
    assert (frame["num_holdout"] == 648).all()
    for _, trial in frame.groupby(["run_id", "seed"]):
        assert trial["total_steps"].tolist() == [0, 10, 20]
        assert trial["steps"].tolist() == [0, 10, 10]
        assert trial["candidates_seen"].tolist() == [0, 640, 1280]
        assert trial["selected_wrong"].iloc[1:].tolist() == [0.0, 0.0]
        assert trial["selected_seen"].iloc[1] < trial["selected_seen"].iloc[2]
    first = frame[frame["round"] == 0]
    assert first.groupby("seed")["test_nll"].nunique().tolist() == [1, 1]  # the untrained network
    manifest = next((tmp_path / "results").rglob("manifests/seed=0.json"))
    assert json.loads(manifest.read_text())["reason"] == "budget"


@pytest.mark.slow
def test_a_class_of_ones_own_brings_steps_along(sample, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "from al_bench.sampling.base import Chosen\n"
        "class Last:\n"
        "    needs = frozenset()\n"
        "    def choose(self, view, batch_size, generator):\n"
        "        return Chosen(torch.arange(len(view) - batch_size, len(view)))\n"
    )
    code, _, err = sample("selection=mine.Last", "seeds=1")
    assert code == 0, err
    assert stored(tmp_path / "results")["total_steps"].tolist() == [0, 10, 20]


@pytest.mark.slow
def test_a_stored_trial_is_repeated_and_not_transferred(sample, al_bench, tmp_path):
    sample("selection=uniform", "seeds=1")
    manifest = next((tmp_path / "results").rglob("manifests/seed=0.json"))
    code, out, err = al_bench("rerun", str(manifest))
    assert code == 0, err
    assert "The same: 3 rounds" in out
    code, _, err = al_bench("transfer", "results", "model=deep_ensemble")
    assert code == 2
    assert "there is no order to transfer" in err
    assert len(err.splitlines()) == 1


@pytest.mark.slow
def test_the_notebook_runs_trials_in_memory(al_bench):
    import al_bench as package

    trials = package.trials(*QUICK, "selection=uniform")
    frame = package.execute(trials)
    assert frame.groupby("seed")["total_steps"].apply(list).tolist() == [[0, 10, 20]] * 2


def test_progress_and_trackers_count_steps():
    row = {"num_labeled": 649, "total_steps": 20, "test_accuracy": 0.5, "test_nll": 1.0}
    assert step({**row, "setting": "sampling"}) == 20
    assert describe({**row, "setting": "sampling"}).startswith("steps=20 accuracy=0.500")
    assert step(row) == 649
    assert describe(row).startswith("labels=649")


@pytest.mark.slow
def test_processes_launchers_and_trials_together_give_the_same_rows(sample, al_bench, tmp_path):
    words = [*QUICK, f"selection=uniform,{IMPORTANCE.partition('=')[2]}", "seeds=3"]
    words = list({word.partition("=")[0]: word for word in words}.values())
    kinds = {
        "together": [],
        "apart": ["together=false"],
        "workers": ["workers=2"],
        "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    }
    for name, more in kinds.items():
        code, _, err = al_bench("run", "-m", *words, *more, f"results={name}")
        assert code == 0, (name, err)
    expected = stored(tmp_path / "together")
    assert len(expected) == 2 * 3 * 3
    for name in kinds:
        pd.testing.assert_frame_equal(stored(tmp_path / name), expected)
