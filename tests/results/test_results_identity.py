"""Run ids stand for what decides a result, and folders for names."""

from pathlib import Path
from typing import Any

import pytest
from fake_trials import IDENTITY
from hypothesis import given, settings
from hypothesis import strategies as st

from al_bench.results import identity
from al_bench.results.identity import RunIdentity, config_hash, safe_name, with_contents

CONFIG: dict[str, Any] = {
    "dataset": {"_target_": "al_bench.data.digits.Digits", "target": None},
    "model": {"num_samples": 20, "network": {"hidden": [64, 64], "dropout": 0.5}},
    "training": {"learning_rate": 0.001, "patience": None, "early_stopping": {"on": None}},
    "seeds": 5,
    "device": "auto",
}


def test_ids_of_configurations_stay_what_they_are() -> None:
    # Stored results are found by these: if one changes, every stored run is orphaned.
    assert config_hash(CONFIG, "f00d", without=("seeds", "device")) == "5cab156604b7"
    assert config_hash(CONFIG, "f00d", without=()) == "de201bffc5ff"
    assert config_hash({}, "", without=()) == "c60e3e12ed6a"


@pytest.mark.parametrize(
    "other",
    [
        CONFIG | {"weighting": None},
        CONFIG | {"weighting": {"kind": None, "more": {"a": None}}},
        CONFIG | {"seeds": [3, 7]},
        {name: CONFIG[name] for name in reversed(CONFIG)},
        CONFIG | {"model": {"num_samples": 20.0, "network": {"dropout": 0.5, "hidden": (64, 64)}}},
    ],
    ids=["null", "nested nulls", "left out", "order", "number and sequence types"],
)
def test_what_cannot_change_results_does_not_change_the_id(other: dict[str, Any]) -> None:
    without = ("seeds", "device")
    assert config_hash(other, "f00d", without=without) == config_hash(
        CONFIG, "f00d", without=without
    )


@pytest.mark.parametrize(
    "other",
    [
        CONFIG | {"training": {"learning_rate": 0.01}},
        CONFIG | {"weighting": False},
        CONFIG | {"weighting": 0},
        CONFIG | {"weighting": []},
        CONFIG | {"model": CONFIG["model"] | {"network": {"hidden": [64, None], "dropout": 0.5}}},
        CONFIG | {"training": CONFIG["training"] | {"seeds": 1}},
    ],
)
def test_every_value_changes_the_id(other: dict[str, Any]) -> None:
    without = ("seeds", "device")
    assert config_hash(other, "f00d", without=without) != config_hash(
        CONFIG, "f00d", without=without
    )


def test_data_and_numerics_version_are_part_of_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    before = config_hash(CONFIG, "f00d", without=())
    assert config_hash(CONFIG, "beef", without=()) != before
    monkeypatch.setattr(identity, "NUMERICS_VERSION", 1000)
    assert config_hash(CONFIG, "f00d", without=()) != before


def test_a_nested_key_can_be_left_out() -> None:
    changed = CONFIG | {"model": CONFIG["model"] | {"network": "other"}}
    assert config_hash(changed, "", without=["model.network"]) == config_hash(
        CONFIG, "", without=["model.network"]
    )


def test_the_configuration_is_not_changed_by_hashing() -> None:
    config = {"a": {"b": None}, "c": [1.0]}
    config_hash(config, "", without=["c"])
    assert config == {"a": {"b": None}, "c": [1.0]}


def test_a_run_has_one_folder_below_the_results() -> None:
    assert Path("digits/mc_dropout/bald/0123456789ab") == IDENTITY.folder
    assert IDENTITY.columns["strategy_label"] == "bald(K=20)"
    assert "config" not in IDENTITY.columns


@pytest.mark.slow
@settings(max_examples=60)
@given(st.text(max_size=300))
def test_any_name_is_one_visible_folder(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert not safe.startswith(".")
    assert len(Path("a", safe, "b").parts) == 3
    assert "\0" not in safe
    assert safe == safe_name(safe)


def test_names_with_slashes_stay_within_the_results_folder() -> None:
    names = {
        name: str(value)
        for name, value in vars(IDENTITY).items()
        if name not in ("dataset", "model")
    }
    odd = RunIdentity(**names, dataset="../../etc/passwd", model="C:\\mine")
    assert ".." not in odd.folder.parts
    assert len(odd.folder.parts) == 4


def test_a_file_is_what_it_holds_and_not_where_it_lies(tmp_path):
    first, second = tmp_path / "a.npy", tmp_path / "b.npy"
    first.write_bytes(b"one")
    second.write_bytes(b"one")
    nodes = [{"space": {"path": str(path), "normalize": True}} for path in (first, second)]
    assert with_contents(nodes[0]) == with_contents(nodes[1])
    second.write_bytes(b"two")
    assert with_contents(nodes[0]) != with_contents(nodes[1])
    assert with_contents({"path": "no file"}) == {"path": "no file"}
    assert with_contents(None) is None
