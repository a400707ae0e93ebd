"""Numbers of studies over seeds: a seed counts once, however many rows it has."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from al_bench.studies.seeds import in_words, over_seeds


def test_a_seed_counts_once_whatever_rows_it_has():
    rows = pd.DataFrame(
        {"seed": [0, 0, 1, 2], "epochs": [5, 5, 5, 5], "value": [1.0, 3.0, 4.0, np.nan]}
    )
    (row,) = over_seeds(rows, ["epochs"], "value").to_dict("records")
    assert (row["mean"], row["num_seeds"]) == (3.0, 2)
    half = t.ppf(0.975, 1) * np.std([2.0, 4.0], ddof=1) / np.sqrt(2)
    assert row["high"] - row["mean"] == pytest.approx(half)


def test_groups_keep_their_order_and_one_seed_has_no_interval():
    rows = pd.DataFrame({"seed": [0, 0], "score": ["b", "a"], "value": [0.5, 0.25]})
    found = over_seeds(rows, ["score"], "value")
    assert list(found["score"]) == ["b", "a"]
    assert in_words(found) == "0.500"
    assert in_words(found.iloc[:0]) == ""
