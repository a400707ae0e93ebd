"""Pool transforms through the public door: runs, ids, stored acquisitions, dry runs."""

import numpy as np
import pandas as pd
import pytest

import al_bench
from al_bench.configuration.composing import compose
from al_bench.errors import ConfigError
from al_bench.running.dry_run import describe
from al_bench.running.prepare import prepare


@pytest.fixture
def arrays(tmp_path):
    """Overrides of a pool with 400 random images of someone else's."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (420, 1, 8, 8), dtype=np.uint8)
    labels = np.arange(420) % 3
    parts = {"x_train": images[:400], "y_train": labels[:400]}
    parts |= {"x_test": images[400:], "y_test": labels[400:]}
    np.savez(tmp_path / "own.npz", **parts)
    return ["pool.contaminate.source=arrays", own_path(tmp_path / "own.npz")]


def own_path(path):
    return f"pool.contaminate.dataset={{path: '{path}'}}"


def acquisitions(results):
    return pd.concat(map(pd.read_parquet, sorted(results.rglob("acquisitions/*.parquet"))))


def ids(*overrides):
    identity = prepare(compose(overrides)).run.identity
    return identity.run_id, identity.protocol_id


@pytest.mark.slow
def test_refused_labels_cost_queries_and_teach_nothing(quick, arrays, tmp_path):
    curves = al_bench.run("strategy=random", "seeds=2", "pool=contaminate", *arrays, *quick)
    assert curves["num_queried"].tolist() == [20, 30, 40, 45] * 2
    bought = acquisitions(tmp_path / "results")
    foreign = bought["origin"] == "arrays"
    assert foreign.any()
    assert set(bought["origin"]) == {"digits", "arrays"}
    assert bought.loc[foreign, "label"].isna().all()
    assert not bought.loc[foreign, "round"].isna().any()  # no initial point is refused
    own = bought[~foreign]
    assert (own["label"] == own["true_label"]).all()
    for seed, curve in curves.groupby("seed"):
        refused = int((foreign & (bought["seed"] == seed)).sum())
        assert curve["num_labeled"].iloc[-1] == 45 - refused


@pytest.mark.slow
def test_wasted_labels_are_trained_on(quick, arrays, tmp_path):
    wasted = ["pool=contaminate", "pool.contaminate.labels=wasted", *arrays]
    curves = al_bench.run("strategy=random", "seeds=1", *wasted, *quick)
    assert curves["num_labeled"].tolist() == curves["num_queried"].tolist() == [20, 30, 40, 45]
    bought = acquisitions(tmp_path / "results")
    foreign = bought[bought["origin"] == "arrays"]
    assert foreign["label"].between(0, 9).all()
    assert set(foreign["true_label"]) <= {0, 1, 2}


@pytest.mark.slow
def test_noisy_labels_are_stored_beside_the_truth(quick, tmp_path):
    noise = ["pool=label_noise", "pool.label_noise.kind=pair", "pool.label_noise.rate=1"]
    al_bench.run("strategy=random", "seeds=1", *noise, *quick)
    bought = acquisitions(tmp_path / "results")
    assert (bought["label"] == (bought["true_label"] + 1) % 10).all()


@pytest.mark.slow
def test_a_model_has_the_new_classes_and_is_tested_on_them(quick):
    even_odd = ["pool=remap", "pool.remap.classes=[0,1,0,1,0,1,0,1,0,1]", "seeds=1"]
    curves = al_bench.run("strategy=entropy", *even_odd, *quick)
    assert curves["test_nll"].iloc[-1] < 1.5  # ten classes would cost more than log 2 by far
    (trial,) = al_bench.trials("strategy=entropy", *even_odd, *quick)
    assert trial.num_classes == 2
    assert trial.test.labels.bincount().tolist() == [250, 250]


@pytest.mark.slow
def test_an_unbalanced_pool_leaves_the_test_set_alone(quick):
    (trial,) = al_bench.trials("pool=imbalance", "seeds=1", *quick)
    counts = trial.pool.labels.bincount()
    assert (counts.diff() < 0).all()
    assert counts[0] / counts[9] == pytest.approx(10, rel=0.05)
    assert trial.test.labels.bincount().tolist() == [50] * 10


@pytest.mark.slow
def test_ids_follow_the_second_data_sets_content_and_not_its_place(arrays, tmp_path):
    pool = ["pool=contaminate", *arrays]
    before = ids(*pool)
    (tmp_path / "own.npz").rename(tmp_path / "moved.npz")
    moved = [*pool[:-1], own_path(tmp_path / "moved.npz")]
    assert ids(*moved) == before
    with np.load(tmp_path / "moved.npz") as held:
        parts = dict(held)
    parts["x_train"][0, 0, 0, 0] ^= 1
    np.savez(tmp_path / "moved.npz", **parts)
    after = ids(*moved)
    assert after[0] != before[0]
    assert after[1] != before[1]


def test_a_second_data_set_keeps_its_hands_off_the_network(arrays):
    assert compose(["pool=contaminate", *arrays]).names["network"] == compose([]).names["network"]


@pytest.mark.slow
def test_a_second_data_set_lies_where_the_first_does_unless_told():
    mnist = ["dataset=mnist", "dataset.root=here", "pool=contaminate"]
    config = compose([*mnist, "pool.contaminate.source=fashion_mnist"]).config
    assert config.pool.contaminate.dataset == {
        "_target_": "al_bench.data.vision.FashionMNIST",
        "root": "here",
        "download": False,
    }
    there = ["pool.contaminate.source=emnist", "pool.contaminate.dataset={root: x, split: mnist}"]
    dataset = compose([*mnist, *there]).config.pool.contaminate.dataset
    assert (dataset.root, dataset.split) == ("x", "mnist")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["pool.contaminate.source=fashon_mnist"], "Did you mean 'fashion_mnist'"),
        (["pool.contaminate.source=digits", "pool.contaminate.dataset={root: x}"], "'root'"),
        ([], r"pool\.contaminate\.source has no default"),
    ],
)
def test_wrong_second_data_sets_are_explained(quick, overrides, message):
    with pytest.raises(ConfigError, match=message):
        al_bench.trials("pool=contaminate", *overrides, *quick)


@pytest.mark.slow
def test_a_dry_run_says_what_a_transformed_pool_is_made_of(arrays):
    pool = ["pool=[subset,imbalance,contaminate,label_noise]", "pool.subset.size=600"]
    said = describe(prepare(compose([*pool, *arrays, "seeds=1"])))
    lines = {line.split()[0]: line for line in said.splitlines()}
    assert lines["classes"].count(":") == 10
    assert lines["origins"].endswith("arrays 400")
    assert lines["refused"].endswith("400 points")
    assert "labels of digits are wrong" in lines["noise"]
    assert "classes  " not in describe(prepare(compose(["seeds=1"])))


@pytest.mark.slow
def test_a_dry_run_of_active_sampling_says_how_many_points_are_put_aside(arrays):
    words = ["selection=uniform", "seeds=1"]
    pool = ["pool=contaminate", "pool.contaminate.labels=wasted", *arrays]
    composed = compose([*words, *pool])
    trial = prepare(composed).trial(0)
    assert trial.num_put_aside > 0
    assert f", {trial.num_put_aside} put aside" in describe(prepare(composed))
    assert "aside" not in describe(prepare(compose(words)))


@pytest.mark.slow
def test_a_dry_run_counts_the_test_points_of_other_data_sets(arrays, tmp_path):
    words = ["model=deterministic", "strategy=random", "seeds=2"]
    rounds, test, other = 11, 500, 20
    said = describe(
        prepare(compose([*words, f"evaluation.ood=[{{arrays: {{path: {tmp_path}/own.npz}}}}]"]))
    )
    lines = {line.split()[0]: line for line in said.splitlines()}
    assert lines["ood"] == "ood        own 20 test points"
    passes = rounds * (test + other)
    assert lines["testing"].endswith(f"{passes:,} forward passes a seed, {2 * passes:,} in all")
    without = describe(prepare(compose(words)))
    assert f"{rounds * test:,} forward passes a seed" in without
    assert "ood" not in without
