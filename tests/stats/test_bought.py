"""Shares of classes, overlaps and flaws of what was bought, by hand."""

import numpy as np
import pandas as pd
import pytest

from al_bench.stats.bought import class_shares, flaws, overlaps, with_names

FRAME = pd.DataFrame(
    {
        "run_id": ["r0", "r1"],
        "protocol_id": ["p", "p"],
        "strategy_label": ["random", "bald"],
        "dataset": ["digits", "digits"],
        "init_strategy": [None, None],
    }
)


def trial(run, seed, *batches, initial=(0,), **changes):
    """Acquisitions of points by index; ``changes`` gives columns as {index: value}."""
    rows = []
    for number, batch in enumerate([initial, *batches]):
        for rank, index in enumerate(batch):
            row = {"run_id": run, "seed": seed, "round": number - 1 if number else None}
            row |= {"rank": rank, "index": index, "source_index": index, "origin": "digits"}
            row |= {"label": index % 3, "true_label": index % 3}
            row |= {name: values[index] for name, values in changes.items() if index in values}
            rows.append(row)
    return pd.DataFrame(rows).astype({"round": "Int64", "label": "Int64"})


def rows_of(*trials):
    return with_names(pd.concat(trials), FRAME)


def test_points_are_counted_in_the_order_of_purchase():
    rows = rows_of(trial("r0", 0, [5, 3], [4])).sample(frac=1, random_state=0)
    assert rows.sort_values("place")["index"].tolist() == [0, 5, 3, 4]
    assert set(rows["strategy_label"]) == {"random"}


def test_runs_without_curves_are_left_out():
    assert len(rows_of(trial("r0", 0, [5]), trial("other", 0, [5]))) == 2


def test_class_shares_run_over_rounds_and_are_means_over_seeds():
    shares = class_shares(rows_of(trial("r0", 0, [3, 1], [4]), trial("r0", 1, [1, 4], [2])))
    found = shares["random"]
    assert found.counts.tolist() == [1, 3, 4]
    # labels 0 | 0 1 | 1 and 0 | 1 1 | 2
    expected = [[1, 0, 0], [(2 / 3 + 1 / 3) / 2, (1 / 3 + 2 / 3) / 2, 0], [3 / 8, 1 / 2, 1 / 8]]
    np.testing.assert_allclose(found.shares, expected)
    np.testing.assert_allclose(found.bought, [1 / 6, 4 / 6, 1 / 6])


def test_a_trial_that_ended_early_has_no_part_in_later_rounds():
    found = class_shares(rows_of(trial("r0", 0, [1], [2]), trial("r0", 1, [1])))["random"]
    np.testing.assert_allclose(found.shares[2], [1 / 3, 1 / 3, 1 / 3])


def test_memory_follows_the_classes_that_were_bought():
    far = 500_000
    rows = rows_of(*(trial("r0", seed, [1], [2], [3]) for seed in range(3)))
    rows.loc[rows["label"] == 0, "label"] = far
    found = class_shares(rows)["random"]
    assert found.shares.shape == (4, far + 1)
    np.testing.assert_allclose(found.shares[:, far], [1, 1 / 2, 1 / 3, 2 / 4])


def test_overlap_is_jaccards_index_without_the_initial_set():
    found = overlaps(
        rows_of(
            trial("r0", 0, [1, 2], [3, 4]),
            trial("r1", 0, [2, 5], [1, 6]),
            trial("r0", 1, [1, 2], [3, 4]),
            trial("r1", 1, [1, 2], [3, 4]),
        )
    )
    curve = found["bald"]
    assert set(curve["strategy_label"]) == {"random"}
    assert curve["spent"].tolist() == [3, 5]
    # seed 0: one of three, then two of six; seed 1: all
    assert curve["mean"].tolist() == pytest.approx([(1 / 3 + 1) / 2, (2 / 6 + 1) / 2])
    assert curve["num_seeds"].tolist() == [2, 2]


def test_a_bought_initial_set_counts_as_little_as_a_drawn_one():
    trials = [
        trial("r0", 0, [7, 8], [1, 2], initial=()),
        trial("r1", 0, [7, 8], [2, 5], initial=(), source_index={5: 7}),
    ]
    rows = with_names(pd.concat(trials), FRAME.assign(init_strategy="typiclust"))
    curve = overlaps(rows)["bald"]
    assert curve["spent"].tolist() == [4]
    assert curve["mean"].tolist() == pytest.approx([1 / 3])
    np.testing.assert_allclose(class_shares(rows)["bald"].bought, [0, 0, 1])
    copies = flaws(rows)["copies"].set_index("strategy_label")["mean"]
    assert copies.to_dict() == {"bald": 1 / 2, "random": 0}


def test_a_strategy_that_ended_at_once_overlaps_with_none_that_went_on():
    assert overlaps(rows_of(trial("r0", 0, [1], [2]), trial("r1", 0, [1]))) == {}
    assert set(overlaps(rows_of(trial("r0", 0, [1]), trial("r1", 0, [1])))) == {"random", "bald"}


def test_strategies_without_a_common_seed_do_not_overlap():
    assert overlaps(rows_of(trial("r0", 0, [1]), trial("r1", 1, [1]))) == {}


def test_flaws_are_shares_of_what_was_bought():
    rows = rows_of(
        trial(
            "r0",
            0,
            [1, 2, 3, 4],
            [5, 6],
            source_index={2: 1, 5: 0},  # 2 is a copy of 1, 5 of the initial point
            label={3: 1, 4: None},  # 3 is noisy, 4 refused
            origin={6: "usps"},
        )
    )
    found = flaws(rows)
    shares = {kind: curve["mean"].tolist() for kind, curve in found.items()}
    assert shares == {
        "copies": pytest.approx([1 / 4, 2 / 6]),
        "noisy": pytest.approx([1 / 4, 1 / 6]),
        "foreign": pytest.approx([0, 1 / 6]),
        "refused": pytest.approx([1 / 4, 1 / 6]),
    }


def test_kinds_that_never_occur_are_left_out():
    assert flaws(rows_of(trial("r0", 0, [1, 2]))) == {}


def test_a_label_of_another_data_set_is_foreign_and_not_noisy():
    rows = rows_of(trial("r0", 0, [1], origin={1: "usps"}, label={1: 2}))
    assert set(flaws(rows)) == {"foreign"}
