"""Replaying a stored order through the public door."""

import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_views import FakeView, log_probs, seeded

from al_bench.checking.checks import declares_what_it_needs
from al_bench.errors import ConfigError, ResultsError
from al_bench.results.frame import read_acquisitions
from al_bench.running import notebook
from al_bench.strategies.replay import COLUMNS, Replay

FAST = (
    "training.max_epochs=1",
    "training.epoch_size=64",
    "model.num_samples=2",
    "budget.total=35",
    "seeds=2",
)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The folder of a run that margin made, and what it bought."""
    results = tmp_path_factory.mktemp("stored")
    curves = notebook.run(*FAST, "strategy=margin", f"results={results}")
    (folder,) = results.glob("digits/*/margin/*")
    assert set(curves["seed"]) == {0, 1}
    return folder


def order(folder, seed):
    bought = read_acquisitions(folder, ["seed", "round", "rank", "index", "label", "score"])
    bought = bought[bought["seed"] == seed].sort_values(["round", "rank"], na_position="first")
    return bought.reset_index(drop=True)


def replayed(tmp_path, run, *overrides):
    notebook.run(*FAST, "strategy=replay", f"strategy.run={run}", f"results={tmp_path}", *overrides)
    (folder,) = tmp_path.glob("digits/*/replay/*")
    return folder


@pytest.mark.slow
def test_every_seed_buys_its_own_points_again(tmp_path, stored):
    folder = replayed(tmp_path, stored)
    for seed in (0, 1):
        assert order(folder, seed).equals(order(stored, seed))
    assert not order(stored, 0)["index"].equals(order(stored, 1)["index"])


@pytest.mark.slow
def test_another_model_and_batch_size_may_follow_the_order(tmp_path, stored):
    more = ["training.learning_rate=0.01", "budget.batch_size=7"]
    folder = replayed(tmp_path, stored, *more)
    for seed in (0, 1):
        assert order(folder, seed)["index"].equals(order(stored, seed)["index"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["seeds=[2]"], "no seed of it begins with the 20 labels"),
        (["streams.initial=1"], "no seed of it begins"),
        (["strategy.seed=1", "seeds=[0]"], "its seed 1 does not begin"),
        (["streams.split=1", "pool=[subset]", "pool.subset.size=900"], "cannot be replayed here"),
        (["budget.total=40"], "ends after 35 labels. Use budget.total=35"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_was_not_stored_is_refused(tmp_path, stored, overrides, said):
    with pytest.raises(ResultsError, match=said):
        replayed(tmp_path, stored, *overrides)


@pytest.mark.slow
def test_what_is_no_single_run_is_refused(tmp_path, stored):
    with pytest.raises(ConfigError, match="is no folder"):
        Replay(str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"^seed must"):
        Replay(str(stored), seed=-1)
    shutil.copytree(stored, tmp_path / "margin" / stored.name)
    notebook.run(*FAST, "strategy=random", "seeds=1", f"results={tmp_path}")
    strategy = Replay(str(tmp_path))
    declares_what_it_needs(strategy)
    with pytest.raises(ConfigError, match="holds 2 runs"):
        strategy.select(FakeView(log_probs(5, 2, 3)), 1, seeded(0))


EMPTY = (
    "budget.init_per_class=null",
    "budget.init_size=0",
    "budget.total=4",
    "budget.batch_size=2",
    "strategy=random",
)


@pytest.fixture(scope="module")
def from_nothing(tmp_path_factory):
    """The folder of a run of seeds 0 and 1 that began without labels."""
    results = tmp_path_factory.mktemp("from_nothing")
    notebook.run(*FAST, *EMPTY, f"results={results}")
    (folder,) = results.glob("digits/*/random/*")
    return folder


@pytest.mark.slow
def test_seeds_that_begin_without_labels_are_told_apart_by_their_number(tmp_path, from_nothing):
    folder = replayed(tmp_path / "own", from_nothing, *EMPTY[:-1])
    for seed in (0, 1):
        assert order(folder, seed)["index"].equals(order(from_nothing, seed)["index"])


@pytest.mark.slow
def test_an_order_without_initial_labels_is_not_guessed(tmp_path, from_nothing):
    with pytest.raises(ResultsError, match=r"has no seed 7, only 0, 1\. Use stored seeds"):
        replayed(tmp_path / "other", from_nothing, *EMPTY[:-1], "seeds=[7]")
    named = ("seeds=[7]", "strategy.seed=1")
    folder = replayed(tmp_path / "named", from_nothing, *EMPTY[:-1], *named)
    assert order(folder, 7)["index"].equals(order(from_nothing, 1)["index"])


def elsewhere(folder, stored, **seeds):
    """The order of ``stored`` as another tool may write it: few columns, seeds of its own."""
    for kind in ("acquisitions", "curves"):
        (folder / kind).mkdir(parents=True)
    for name, (source, columns) in seeds.items():
        seed = int(name.removeprefix("seed"))
        table = pq.read_table(stored / "acquisitions" / f"seed={source}.parquet").select(columns)
        column = pa.array([seed] * len(table), pa.int64())
        table = table.set_column(columns.index("seed"), "seed", column)
        pq.write_table(table, folder / "acquisitions" / f"seed={seed}.parquet")
        rounds = pa.table({"round": range(1 + len(set(table["round"].to_pylist()) - {None}))})
        pq.write_table(rounds, folder / "curves" / f"seed={seed}.parquet")
    return folder


@pytest.mark.slow
def test_an_order_from_elsewhere_is_found_by_the_labels_it_begins_with(tmp_path, stored):
    run = elsewhere(tmp_path / "x", stored, seed1=(0, list(COLUMNS)), seed2=(1, list(COLUMNS)))
    folder = replayed(tmp_path, run)
    for seed in (0, 1):  # there they are 1 and 2: 1 is stored, but begins otherwise
        assert order(folder, seed).equals(order(stored, seed))


@pytest.mark.slow
def test_equal_orders_under_other_seeds_must_be_named(tmp_path, stored):
    run = elsewhere(tmp_path / "x", stored, seed5=(0, list(COLUMNS)), seed6=(0, list(COLUMNS)))
    with pytest.raises(
        ResultsError, match=r"Seeds 5, 6 .* begin alike.* Name one: strategy\.seed=5"
    ):
        replayed(tmp_path, run, "seeds=[0]")


CONTAMINATED = (
    "pool=contaminate",
    "pool.contaminate.source=digits",
    "pool.contaminate.size=600",
    "budget.total=40",
    "seeds=1",
)


@pytest.mark.slow
@pytest.mark.parametrize("answers", ["refused", "wasted"])
def test_a_pool_of_several_data_sets_is_replayed_point_by_point(tmp_path, answers):
    """Of a pool that is a third other points, refused or not."""
    mixed = (*CONTAMINATED, f"pool.contaminate.labels={answers}")
    notebook.run(*FAST, *mixed, "strategy=random", f"results={tmp_path / 'stored'}")
    (source,) = (tmp_path / "stored").glob("digits/*/random/*")
    folder = replayed(tmp_path / "own", source, *mixed)
    columns = ["index", "origin", "source_index", "label"]
    first, second = (read_acquisitions(run, columns) for run in (source, folder))
    assert first.equals(second)
    assert first["origin"].nunique() == 2
    assert first["label"].isna().any() == (answers == "refused")


@pytest.mark.slow
def test_other_contamination_at_the_same_places_is_no_same_point(tmp_path):
    notebook.run(*FAST, *CONTAMINATED, "strategy=random", f"results={tmp_path / 'stored'}")
    (source,) = (tmp_path / "stored").glob("digits/*/random/*")
    path = source / "acquisitions" / "seed=0.parquet"
    table = pq.read_table(path)
    place = table.schema.get_field_index("origin")
    shutil.rmtree(source / "manifests")  # which hold what the file is meant to be
    names = ["usps" if "contam" in name else name for name in table["origin"].to_pylist()]
    pq.write_table(table.set_column(place, table.schema.field(place), [pa.array(names)]), path)
    with pytest.raises(ResultsError, match="its indices stand for other points"):
        replayed(tmp_path / "own", source, *CONTAMINATED)


@pytest.mark.slow
def test_the_initial_set_may_be_the_beginning_of_a_stored_order(tmp_path, stored):
    lent = ("strategy@init_strategy=replay", f"init_strategy.run={stored}")
    more = ("budget.init_per_class=null", "budget.init_size=23", "budget.total=25")
    words = (*FAST, "strategy=random", *lent, *more, "seeds=[1]")
    notebook.run(*words, f"results={tmp_path}")
    (folder,) = tmp_path.glob("digits/*/random/*")
    bought = order(folder, 1)
    assert bought["index"][:23].equals(order(stored, 1)["index"][:23])
    assert bought["round"].tolist() == [0] * 23 + [1] * 2
    with pytest.raises(ResultsError, match=r"strategy@init_strategy=replay init_strategy\.run="):
        replayed(tmp_path / "drawn", folder, *more, "seeds=[1]")


@pytest.mark.slow
def test_the_order_of_a_control_that_saw_labels_stays_a_controls(tmp_path):
    run = ("seeds=1", "strategy=balanced_random", f"results={tmp_path / 'control'}")
    notebook.run(*FAST[:4], *run)
    (folder,) = (tmp_path / "control").glob("digits/*/balanced_random/*")
    replay = ("strategy=replay", f"strategy.run={folder}", f"results={tmp_path / 'replay'}")
    assert notebook.run(*FAST[:4], "seeds=1", *replay)["label_access"].all()
