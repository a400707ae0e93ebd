import pandas as pd

from al_bench.stats.measures import measure
from al_bench.stats.protocols import titles


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
