"""Protocols are named by what differs among those shown."""

import json

import pandas as pd

from al_bench.stats.measures import measure
from al_bench.stats.protocols import titles
from al_bench.stats.summary import distinct_runs


def value(seed, round):
    return 0.5


def test_protocols_are_named_by_dataset_pool_model_and_budget(make_frame):
    frame = pd.concat(
        [
            make_frame("random", [0], [0, 1], value, protocol="b"),
            make_frame("random", [0], [0, 1], value, protocol="a", dataset="mnist", pool="repeat"),
        ]
    )
    assert titles(frame) == {
        "b": "digits · full · mc_dropout · small",
        "a": "mnist · repeat · mc_dropout · small",
    }


def test_an_initial_set_that_was_bought_is_no_batch(make_frame):
    frames = [make_frame("random", [0], range(4), value, protocol=name) for name in "ab"]
    counts = {0: 0, 1: 20, 2: 30, 3: 40}
    frames[0]["num_labeled"] = frames[0]["round"].map(counts)
    same = "digits · full · mc_dropout · small"
    expected = {"a": f"{same} · 20 (bought) + 10 labels", "b": f"{same} · 10 + 10 labels"}
    assert titles(pd.concat(frames)) == expected


def test_protocols_follow_the_numbers_in_their_names(make_frame):
    pools = ["copies=16", "copies=4"]
    frames = [make_frame("random", [0], [0, 1], value, protocol=p, pool=p) for p in pools]
    assert [*titles(pd.concat(frames))] == ["copies=4", "copies=16"]


def test_equal_names_are_told_apart_by_what_differs(make_frame):
    frame = pd.concat(
        [
            make_frame("random", [0], [0, 1], value, protocol="a"),
            make_frame("random", [0], [0, 1], value, protocol="b", network="cnn"),
            make_frame("random", [0], [0, 1], value, protocol="c", network="cnn", batch=5),
            make_frame("random", [0], [0, 1], value, protocol="d" * 12, network="cnn", batch=5),
            make_frame("random", [0], [0, 1], value, protocol="e", dataset="mnist"),
        ]
    )
    same = "digits · full · mc_dropout · small"
    assert titles(frame) == {
        "e": "mnist · full · mc_dropout · small",
        "a": f"{same} · mlp",
        "b": f"{same} · cnn · 10 + 10 labels",
        "c": f"{same} · cnn · 10 + 5 labels · id c",
        "d" * 12: f"{same} · cnn · 10 + 5 labels · id dddddddd",
    }


def with_settings(frame, **settings):
    """The frame as it is read: with all that decides its run's results."""
    known = {"training.start": "cold", "training.learning_rate": 0.001, "budget.batch_size": 10}
    more = {key.replace("__", "."): value for key, value in settings.items()}
    return frame.assign(config=json.dumps({**known, **more}))


def test_protocols_of_equal_names_are_named_by_the_keys_that_differ(make_frame):
    parts = [
        with_settings(make_frame("random", [0], [0, 1], value, protocol="a")),
        with_settings(make_frame("bald", [0], [0, 1], value, protocol="a"), strategy__beta=1),
        with_settings(
            make_frame("random", [0], [0, 1], value, protocol="b"), training__start="warm"
        ),
        with_settings(
            make_frame("random", [0], [0, 1], value, protocol="c", dataset="mnist"),
            training__learning_rate=0.01,
        ),
        with_settings(
            make_frame("random", [0], [0, 1], value, protocol="d"), training__learning_rate=0.003
        ),
    ]
    frame = pd.concat(parts).sample(frac=1, random_state=1)
    same = "full · mc_dropout · small"
    assert titles(frame) == {
        "a": f"digits · {same} · learning_rate=0.001 · start=cold",
        "b": f"digits · {same} · learning_rate=0.001 · start=warm",
        "c": f"mnist · {same}",
        "d": f"digits · {same} · learning_rate=0.003 · start=cold",
    }


def test_runs_of_one_label_are_told_apart_by_their_keys(make_frame):
    frame = pd.concat(
        [
            with_settings(make_frame("bald", [0], [0], value, run_id="r1"), strategy__beta=1),
            with_settings(make_frame("bald", [0], [0], value, run_id="r2"), strategy__beta=4),
            make_frame("entropy", [0], [0], value, run_id="r3"),
            make_frame("margin", [0], [0], value, run_id="r4"),
            make_frame("margin", [0], [0], value, run_id="r5"),
        ]
    )
    assert list(distinct_runs(frame)["strategy_label"]) == [
        "bald [beta=1]",
        "bald [beta=4]",
        "entropy",
        "margin [r4]",
        "margin [r5]",
    ]


def test_measures_say_what_a_column_is_and_which_way_is_up():
    assert measure("test_accuracy").label == "Test accuracy (%)"
    assert measure("test_accuracy").higher_is_better is True
    assert measure("validation_nll").label == "Validation NLL (nats)"
    assert measure("validation_nll").higher_is_better is False
    assert measure("train_loss").label == "Training loss"
    assert measure("seconds_fit").label == "Fit time per round (s)"
    assert measure("peak_device_memory_bytes").label == "Peak device memory (MiB)"
    assert measure("best_epoch").label == "Best epoch"
    assert measure("best_epoch").higher_is_better is None


def test_ood_metrics_say_what_they_are():
    shown = measure("ood_auroc_mutual_information_emnist_letters")
    assert shown.label == "AUROC of mutual information against emnist_letters (%)"
    assert (shown.higher_is_better, shown.low, shown.high) == (True, 0.0, 1.0)
    assert measure("ood_fpr95_entropy_mine").higher_is_better is False
    assert measure("ood_fpr95_other_mine").label == "Ood fpr95 other mine"
