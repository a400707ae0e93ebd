"""Of a trial that is stored several times one copy is read, whole."""

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_trials import ENGINE, OTHER_ENGINE, ROUNDS, run_trial, trial_paths

from al_bench import cli
from al_bench.errors import ConfigError, ResultsError
from al_bench.results.frame import read_acquisitions, read_curves
from al_bench.results.merge import merge


@pytest.fixture
def laptop(tmp_path: Path) -> Path:
    run_trial(tmp_path / "laptop", engine=ENGINE)
    return tmp_path / "laptop"


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    """The same trial with other numbers from round 1 on, and other purchases."""
    run_trial(tmp_path / "cluster", engine=OTHER_ENGINE)
    return tmp_path / "cluster"


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(pa.BufferReader(path.read_bytes()))), path)


def setting(name: str, value: object) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        field = table.schema.field(name)
        column = pa.array([value] * len(table), field.type)
        return table.set_column(table.schema.get_field_index(name), field, column)

    return change


def forget_hashes(root: Path) -> None:
    """Leave the files as an older al-bench would have, whose manifests had no hashes."""
    for path in root.rglob("seed=*.json"):
        path.unlink()


def read(*folders: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    return read_curves(folders), read_acquisitions(folders)


def assert_is(found: tuple[pd.DataFrame, pd.DataFrame], folder: Path) -> None:
    for one, other in zip(found, read(folder), strict=True):
        pd.testing.assert_frame_equal(one, other, check_categorical=False)


@pytest.mark.slow
def test_of_copies_that_differ_the_first_is_used_whole_and_both_are_named(
    laptop: Path, cluster: Path
) -> None:
    for first, second in ((laptop, cluster), (cluster, laptop)):
        with pytest.warns(UserWarning, match="of one trial") as said:
            found = read(first, second)
        assert_is(found, first)
        (sentence, *again) = {str(warning.message) for warning in said}
        assert not again
        files = trial_paths(first).curve, trial_paths(second).curve
        assert f"{files[0]} and {files[1]} are different copies of one trial" in sentence
        assert "test_accuracy of round 1" in sentence


@pytest.mark.slow
def test_the_copy_with_more_rounds_is_used_wherever_it_is_named(
    tmp_path: Path, laptop: Path
) -> None:
    run_trial(tmp_path / "begun", engine=OTHER_ENGINE, rounds=2)
    for folders in ([tmp_path / "begun", laptop], [laptop, tmp_path / "begun"]):
        with pytest.warns(UserWarning, match="different copies"):
            found = read(*folders)
        assert_is(found, laptop)


@pytest.mark.slow
def test_overlapping_folders_and_links_are_no_copies(
    tmp_path: Path, laptop: Path, cluster: Path
) -> None:
    (tmp_path / "link").symlink_to(laptop)
    alone = read(laptop)
    inside = trial_paths(laptop).folder
    for found in (read(laptop, inside, tmp_path / "link"), read(inside.parent, laptop)):
        for one, other in zip(found, alone, strict=True):
            pd.testing.assert_frame_equal(one, other, check_categorical=False)
    with pytest.warns(UserWarning, match="different copies"):
        found = read(laptop, cluster, tmp_path)
    assert_is(found, laptop)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("column", "value"), [("seconds_fit", 9.0), ("peak_memory_bytes", 5), ("torch_version", "3")]
)
def test_copies_equal_but_for_times_and_engine_are_one_trial(
    tmp_path: Path, laptop: Path, column: str, value: object
) -> None:
    other = shutil.copytree(laptop, tmp_path / "other")
    rewrite(trial_paths(other).curve, setting(column, value))
    forget_hashes(other)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_is(read(laptop, other), laptop)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["test_class_accuracy", "test_nll", "strategy_state"])
def test_the_first_column_that_differs_is_named(tmp_path: Path, laptop: Path, name: str) -> None:
    other = shutil.copytree(laptop, tmp_path / "other")
    value = {"test_class_accuracy": [0.5, None], "test_nll": 0.5}.get(name, "{}")
    rewrite(trial_paths(other).curve, setting(name, value))
    forget_hashes(other)
    with pytest.warns(UserWarning, match=f"{name} of round 0"):
        read_curves([laptop, other])


@pytest.mark.slow
def test_a_column_that_an_older_file_lacks_is_no_difference(tmp_path: Path, laptop: Path) -> None:
    other = shutil.copytree(laptop, tmp_path / "other")
    rewrite(trial_paths(other).curve, lambda table: table.drop_columns(["test_class_accuracy"]))
    forget_hashes(other)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_is(read(laptop, other), laptop)


@pytest.mark.slow
def test_the_longer_of_a_copy_and_its_beginning_is_used(tmp_path: Path, laptop: Path) -> None:
    run_trial(tmp_path / "begun", rounds=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_is(read(tmp_path / "begun", laptop), laptop)
        assert_is(read(laptop, tmp_path / "begun"), laptop)


@pytest.mark.slow
def test_a_whole_copy_is_used_before_a_damaged_one(
    tmp_path: Path, laptop: Path, cluster: Path
) -> None:
    path = trial_paths(laptop).acquisitions
    rewrite(path, lambda table: table.slice(0, 5))
    with pytest.warns(UserWarning, match="acquisitions/seed=3.parquet has 5 rows, where 8"):
        found = read(laptop, cluster)
    assert_is(found, cluster)
    path.unlink()
    with pytest.warns(UserWarning, match="acquisitions/seed=3.parquet is missing"):
        assert_is(read(laptop, cluster), cluster)
    shutil.rmtree(path.parent)
    forget_hashes(laptop)
    with pytest.warns(UserWarning, match="different copies"):
        curves = read_curves([laptop, cluster])
    assert set(curves["device"]) == {"cpu"}
    with pytest.warns(UserWarning, match="different copies"):
        assert read_acquisitions([laptop, cluster]).empty  # those of the other are another order's


@pytest.mark.slow
def test_acquisitions_are_taken_from_an_equal_copy_that_has_them(
    tmp_path: Path, laptop: Path
) -> None:
    bare = shutil.copytree(laptop, tmp_path / "bare")
    shutil.rmtree(trial_paths(bare).acquisitions.parent)
    forget_hashes(bare)
    assert_is(read(bare, laptop), laptop)


def test_a_file_that_lies_in_another_runs_folder_is_that_trials_copy(laptop: Path) -> None:
    path = trial_paths(laptop).curve
    elsewhere = laptop / "digits" / "mc_dropout" / "random" / "ffffffffffff" / "curves"
    elsewhere.mkdir(parents=True)
    shutil.copy(path, elsewhere / "seed=0.parquet")
    curves = read_curves(laptop)
    assert len(curves) == ROUNDS
    assert set(curves["seed"]) == {3}


@pytest.mark.slow
def test_where_an_engine_column_is_compared_its_values_are_no_copies(
    laptop: Path, cluster: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        both = read_curves([laptop, cluster], apart=["device"])
    assert both.groupby("device").size().to_dict() == {"cpu": ROUNDS, "cuda": ROUNDS}
    with pytest.warns(UserWarning, match="different copies"):
        assert len(read_curves([laptop, cluster], apart=["scoring_precision"])) == ROUNDS
    with pytest.raises(ConfigError, match="no engine column 'devise'"):
        read_curves(laptop, apart=["devise"])


def test_columns_asked_for_hide_no_difference(laptop: Path, cluster: Path) -> None:
    with pytest.warns(UserWarning, match="test_accuracy of round 1"):
        curves = read_curves([laptop, cluster], columns=["seed", "num_labeled"])
    assert list(curves.columns) == ["seed", "num_labeled"]
    assert len(curves) == ROUNDS


@pytest.mark.slow
def test_a_copy_that_was_edited_is_a_copy_that_differs(tmp_path: Path, laptop: Path) -> None:
    other = shutil.copytree(laptop, tmp_path / "other")
    rewrite(trial_paths(other).curve, setting("test_nll", 0.5))
    for folders in ((laptop, other), (other, laptop)):
        with pytest.warns(UserWarning, match="different copies of one trial .test_nll of round 0"):
            found = read(*folders)
        assert_is(found, folders[0])
    rewrite(trial_paths(other).curve, lambda table: table.slice(0, 2))
    with pytest.warns(UserWarning, match="different copies of one trial .test_nll of round 0"):
        assert_is(read(other, laptop), laptop)


@pytest.mark.slow
def test_copies_of_one_curve_may_differ_in_what_was_bought(tmp_path: Path, laptop: Path) -> None:
    other = shutil.copytree(laptop, tmp_path / "other")
    rewrite(trial_paths(other).acquisitions, setting("label", 7))
    forget_hashes(laptop)
    forget_hashes(other)
    with pytest.warns(UserWarning, match=r"different copies of one trial .label of label 0"):
        assert_is(read(laptop, other), laptop)
    with pytest.raises(ResultsError, match=r"are different results of one trial .label of label 0"):
        merge([laptop, other], tmp_path / "all")


@pytest.mark.slow
def test_a_copy_that_was_cut_is_a_beginning(tmp_path: Path, laptop: Path) -> None:
    other = shutil.copytree(laptop, tmp_path / "other")
    rewrite(trial_paths(other).curve, lambda table: table.slice(0, 2))
    rewrite(trial_paths(other).acquisitions, lambda table: table.slice(0, 6))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_is(read(other, laptop), laptop)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["compare", "export"])
def test_commands_name_both_copies_once_and_use_the_first(
    tmp_path: Path,
    laptop: Path,
    cluster: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    more = ["baseline=bald(K=20)"] if command == "compare" else [f"out={tmp_path / 'all.csv'}"]
    assert cli.main([command, str(laptop), str(cluster), *more]) == 0
    err = capsys.readouterr().err
    assert err.count("are different copies of one trial (test_accuracy of round 1") == 1
    assert str(trial_paths(laptop).curve) in err
    assert str(trial_paths(cluster).curve) in err
    if command == "export":
        assert set(pd.read_csv(tmp_path / "all.csv")["device"]) == {"cpu"}
