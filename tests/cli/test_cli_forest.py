"""A model that has no network, from the command line."""

import pytest

from al_bench.configuration.composing import compose

FEW = ("model=random_forest", "model.num_trees=4", "budget.total=30", "seeds=1")


@pytest.mark.slow
def test_a_forest_runs_end_to_end_and_its_rows_name_no_network(al_bench, curves, tmp_path):
    code, out, err = al_bench("run", *FEW, "strategy=bald")
    assert (code, err) == (0, "")
    assert "bald on digits, random_forest\n" in out
    rows = curves()
    assert set(rows["model"]) == {"random_forest"}
    assert set(rows["network"]) == {""}
    assert (rows["steps"] == 0).all()
    assert rows["test_nll"].between(0, 36.05).all()
    assert list(rows["num_labeled"]) == [20, 30]
    assert al_bench("plot")[0] == 0


@pytest.mark.slow
def test_a_forest_is_listed_and_described(al_bench):
    assert "random_forest" in al_bench("list", "models")[1]
    code, out, _ = al_bench("run", *FEW, "dry_run=true")
    assert code == 0
    assert "bald on digits, random_forest\n" in out
    assert "at most 0 steps a seed" in out


@pytest.mark.slow
def test_the_network_that_a_data_set_brings_is_no_part_of_a_forest():
    for more in (["dataset=mnist"], ["model/network=mlp"], []):
        composed = compose(["model=random_forest", *more])
        assert composed.names["network"] == ""
        assert composed.config.model.network is None


@pytest.mark.slow
def test_what_a_forest_lacks_is_refused_before_any_work(al_bench):
    code, _, err = al_bench("run", *FEW, "strategy=dynamical")
    assert code == 2
    assert "needs the gradients of one network" in err
    code, _, err = al_bench("run", *FEW, "training.start=warm")
    assert code == 2
    assert "warm" in err
    code, _, err = al_bench("run", *FEW, "training=dynamical")
    assert code == 2
    assert err == (
        "al-bench: training.stop_train_accuracy=0.97 ends the training of a network; "
        "model=random_forest has none. Use training=default.\n"
    )
