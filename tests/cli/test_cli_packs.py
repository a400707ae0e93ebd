"""Packs of networks from the command line: what comes of a trial does not show its neighbors."""

import pytest

PACKED = ("strategy=bald", "pack_width=2", "training.max_epochs=2")


@pytest.mark.slow
def test_a_seed_alone_has_the_bits_that_it_has_among_others(quick_run, curves):
    assert quick_run(*PACKED, "seeds=3", "results=three")[0] == 0
    assert quick_run(*PACKED, "seeds=[1]", "results=alone")[0] == 0
    three, alone = curves("three"), curves("alone")
    assert set(three["seed"]) == {0, 1, 2}
    assert (three["pack_width"] == 2).all()
    assert three[three["seed"] == 1].reset_index(drop=True).equals(alone)


@pytest.mark.slow
def test_packed_networks_begin_as_those_that_are_trained_one_by_one(quick_run, curves):
    assert quick_run(*PACKED, "results=packed")[0] == 0
    assert quick_run("strategy=bald", "training.max_epochs=2", "results=single")[0] == 0
    packed, single = (curves(name).query("round == 0") for name in ("packed", "single"))
    assert single["pack_width"].isna().all()
    assert packed["run_id"].equals(single["run_id"])  # it is no other run
    assert packed["train_loss"].to_list() == pytest.approx(single["train_loss"].to_list(), 1e-4)
    assert packed["test_nll"].to_list() == pytest.approx(single["test_nll"].to_list(), 1e-4)


@pytest.mark.slow
def test_ensembles_and_strategies_of_a_sweep_share_packs(al_bench, curves, tmp_path):
    words = ["model=deep_ensemble", "model.num_members=2", "model/network=mlp", "seeds=2"]
    words += ["model.network.hidden=[16]", "budget.total=30", "training.max_epochs=1"]
    words += ["training.epoch_size=64", "strategy=random,entropy"]
    assert al_bench("run", "-m", *words, "pack_width=3", "results=packed")[0] == 0
    assert al_bench("run", *words[:-1], "strategy=entropy", "pack_width=3", "results=one")[0] == 0
    # Of configurations, which are categories, there are those of two runs and of one.
    packed, one = (curves(name).drop(columns="config") for name in ("packed", "one"))
    same = packed[packed["strategy"] == "entropy"].reset_index(drop=True)
    assert same.equals(one)


@pytest.mark.slow
def test_the_width_is_told_and_a_trial_that_is_done_stays_as_it_is(al_bench, quick_run, curves):
    words = ("strategy=random", "seeds=1", "budget.total=30")
    code, out, _ = quick_run(*words, "pack_width=2", "dry_run=true")
    assert code == 0
    assert "packs of 2" in out
    assert quick_run(*words, "pack_width=2")[0] == 0
    assert "packs of 2" in al_bench("info", "results")[1]
    assert quick_run(*words)[0] == 0  # it is done, and stays as it is
    assert (curves()["pack_width"] == 2).all()


LINEAR = (
    *("model=deterministic", "model/network=mlp", "model.network.hidden=[]"),
    *("device=cpu", "budget.total=30", "training.max_epochs=1", "training.epoch_size=64"),
)


@pytest.mark.slow
def test_linear_classifiers_are_packed_on_a_cpu_however_many_processes_share_them(al_bench, curves):
    assert al_bench("run", *LINEAR, "strategy=entropy", "seeds=5", "results=one")[0] == 0
    assert (
        al_bench("run", *LINEAR, "strategy=entropy", "seeds=5", "workers=2", "results=two")[0] == 0
    )
    one, two = curves("one"), curves("two")
    assert (one["pack_width"] == 4).all()
    assert one.equals(two)


@pytest.mark.slow
def test_a_width_of_one_packs_nothing_and_is_stored_as_null(al_bench, curves):
    words = ("run", *LINEAR, "strategy=entropy", "seeds=1")
    code, out, _ = al_bench(*words, "pack_width=1", "dry_run=true")
    assert code == 0
    assert "packs of" not in out
    assert al_bench(*words, "pack_width=1", "results=one")[0] == 0
    assert al_bench(*words, "results=four")[0] == 0
    one, four = curves("one"), curves("four")
    assert one["pack_width"].isna().all()
    assert (four["pack_width"] == 4).all()
    assert one["run_id"].equals(four["run_id"])
    assert one["train_loss"].to_list() == pytest.approx(four["train_loss"].to_list(), 1e-4)


@pytest.mark.slow
def test_a_process_takes_trials_of_several_runs_at_once(al_bench, curves):
    words = (*LINEAR, "strategy=random,entropy", "seeds=3")
    assert al_bench("run", "-m", *words, "workers=2", "results=two")[0] == 0
    assert al_bench("run", "-m", *words, "results=one")[0] == 0
    assert curves("one").equals(curves("two"))
