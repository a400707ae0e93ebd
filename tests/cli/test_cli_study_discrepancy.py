"""``al-bench study discrepancy``: it reads a stored run, and refuses another pool's."""

import pandas as pd
import pytest

RUN = ("run", "strategy=entropy", "model=deterministic", "seeds=2", "budget.total=40",
       "training.max_epochs=1")  # fmt: skip
SMALL = ("study", "discrepancy", "study.side=4", "study.num_others=12")
TWO = "seeds=2"


@pytest.fixture
def stored(al_bench, tmp_path):
    assert al_bench(*RUN)[0] == 0
    (folder,) = tmp_path.glob("results/digits/deterministic/entropy/*")
    return folder


@pytest.mark.slow
def test_each_seed_reads_its_own_order_round_by_round(al_bench, tmp_path, stored):
    code, out, err = al_bench(*SMALL, TWO, f"study.run={stored}")
    assert (code, err) == (0, "")
    assert "MMD / B" in out
    files = list(tmp_path.glob("results/studies/discrepancy/*/seed=*.parquet"))
    frame = pd.concat(map(pd.read_parquet, files))
    assert frame.groupby("seed")["num_labeled"].apply(list).tolist() == [[30, 40], [30, 40]]
    assert frame.groupby("seed")["num_acquired"].apply(list).tolist() == [[10, 20], [10, 20]]
    defined = frame[frame["mmd_squared"] >= 0]
    pd.testing.assert_series_equal(
        defined["ratio"], defined["mmd_squared"] ** 0.5 / defined["bound"], check_names=False
    )
    assert frame[frame["mmd_squared"] < 0]["ratio"].isna().all()
    assert list(tmp_path.glob("results/plots/discrepancy_*.png"))
    # The run is known by its id: where it lies does not matter.
    moved = tmp_path / "elsewhere" / stored.name
    moved.parent.mkdir()
    stored.rename(moved)
    assert al_bench(*SMALL, TWO, f"study.run={moved}")[0] == 0
    assert len(list(tmp_path.glob("results/studies/discrepancy/*/seed=*.parquet"))) == 2
    for words, said in (
        (("seeds=[3]",), "has no seed 3, only 0, 1"),
        (("seeds=1", "budget.init_size=10"), "has not begun with the 10 labels here"),
        (("seeds=1", "study.num_others=5000"), "points unlabeled"),
    ):
        code, _, err = al_bench(*SMALL[:-1], f"study.run={moved}", *words)
        assert code == 2
        assert said in err
        assert err.count("\n") == 1
    sampled = ("selection=uniform", "seeds=1", "budget.steps=2", "results=sampled")
    assert al_bench("run", *sampled)[0] == 0
    (run,) = tmp_path.glob("sampled/*/*/uniform/*")
    code, _, err = al_bench(*SMALL, TWO, f"study.run={run}")
    assert code == 2
    assert "has bought no labels. Name the folder of a run of active learning" in err
    manifest = moved / "manifests" / "seed=0.json"
    manifest.write_text(manifest.read_text().replace('"status": "done"', '"status": "running"'))
    code, _, err = al_bench(*SMALL, "seeds=1", "results=other", f"study.run={moved}")
    assert code == 2
    assert "is running, and a study is measured once" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "study.run"),
        (("study.run=nowhere",), "study.run=nowhere is no folder"),
        (("study.run=.", "study.side=0"), "study.side must be a whole number from 1"),
    ],
)
def test_what_names_no_run_is_refused_in_a_line(al_bench, words, said):
    code, _, err = al_bench("study", "discrepancy", *words)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
