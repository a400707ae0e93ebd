"""``al-bench study ntk``: what it stores and draws, and what it refuses."""

import pandas as pd
import pytest

SMALL = ("study.num_others=12", "study.batch_size=6", "study.num_batches=20", "budget.init_size=8",
         "study.side=4", "study.widths=[4]", "study.num_initializations=2", "seeds=2")  # fmt: skip


@pytest.mark.slow
def test_the_study_stores_correlations_theorems_and_distances(al_bench, tmp_path):
    code, out, err = al_bench("study", "ntk", *SMALL)
    assert (code, err) == (0, "")
    assert "Kendall's τ of G with A" in out
    frame = pd.concat(map(pd.read_parquet, tmp_path.glob("results/studies/ntk/*/seed=*.parquet")))
    at_zero = frame[(frame["labels"] == "true") & (frame["outputs"] == "zero")]
    assert at_zero[at_zero["quantity"] == "tau_alignment"]["value"].tolist() == [1.0, 1.0]
    theorems = frame[frame["quantity"].isin(["theorem_1", "theorem_2"])]
    assert theorems["value"].tolist() == [1.0] * 4
    assert frame[frame["quantity"] == "kernel_distance"]["width"].tolist() == [4, 4]
    assert len(frame) == 2 * (2 * 9 + 2 + 1)
    assert list(tmp_path.glob("results/plots/ntk_*.png"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("study.batch_size=200",), "study.batch_size=200 points cannot be drawn from 100"),
        (("study.side=9",), "cannot be averaged to 9x9 pixels"),
        (("study.num_others=100000",), "points are unlabeled"),
        (("study.widths=8",), "study.widths must be a list"),
        (("study.widths=[]",), "study.widths is empty"),
        (("study.steps=0",), "study.steps must be a whole number from 1"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_line(al_bench, words, said):
    code, _, err = al_bench("study", "ntk", *words)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
