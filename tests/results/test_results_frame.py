"""Stored curves and acquisitions are read as frames from any folders."""

import json
import logging
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_trials import ENGINE, IDENTITY, ROUNDS, row_of, run_trial, trial_paths

from al_bench import cli
from al_bench.errors import ConfigError, ResultsError
from al_bench.results import parquet
from al_bench.results.frame import read_acquisitions, read_curves
from al_bench.results.ood import QUANTITIES
from al_bench.results.schema import ACQUISITIONS, CURVE
from al_bench.results.schema import OOD as OOD_TYPE
from al_bench.results.store import Store

OOD = [f"ood_{quantity}_entropy_letters" for quantity in sorted(QUANTITIES)]
WITH_OOD = [
    column for name in [*CURVE.names, "config"] for column in (OOD if name == "ood" else [name])
]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for seed in (0, 1, 10):
        run_trial(tmp_path / "results", seed=seed)
    return tmp_path / "results"


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    table = pq.read_table(pa.BufferReader(path.read_bytes()))
    pq.write_table(change(table), path)


@pytest.mark.slow
def test_every_committed_round_is_a_row(results: Path) -> None:
    curves = read_curves(results)
    assert list(curves.columns) == WITH_OOD
    assert len(curves) == 3 * ROUNDS
    assert set(curves["seed"]) == {0, 1, 10}
    assert curves["test_accuracy"].between(0, 1).all()
    acquired = read_acquisitions(results)
    assert list(acquired.columns) == ACQUISITIONS.names
    assert len(acquired) == 3 * (4 + 2 * (ROUNDS - 1))
    assert acquired["round"].isna().sum() == 3 * 4


@pytest.mark.slow
def test_types_do_not_depend_on_what_is_missing(results: Path) -> None:
    curves = read_curves(results)
    assert curves["pack_width"].isna().all()
    assert curves["pack_width"].dtype == "Int64"
    assert curves["epochs"].dtype == "Int64"
    assert curves["seed"].dtype == "int64"
    assert curves["test_nll"].dtype == "float64"
    acquired = read_acquisitions(results)
    assert acquired["round"].dtype == "Int64"
    assert acquired["index"].dtype == "int64"


def test_columns_can_be_chosen(results: Path) -> None:
    curves = read_curves(results, columns=["test_accuracy", "seed"])
    assert list(curves.columns) == ["test_accuracy", "seed"]
    assert len(curves) == 3 * ROUNDS
    with pytest.raises(ConfigError, match="test_acuracy"):
        read_curves(results, columns=["test_acuracy"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "below", [".", "digits", "digits/mc_dropout/bald/0123456789ab/curves", "copy"]
)
def test_any_folder_with_results_can_be_read(results: Path, below: str) -> None:
    if below == "copy":
        shutil.copytree(results, results.parent / "copy")
        results = results.parent
    assert len(read_curves(results / below)) == 3 * ROUNDS
    assert len(read_curves(str(results / below))) == 3 * ROUNDS


@pytest.mark.slow
def test_single_files_and_overlapping_paths_are_counted_once(results: Path) -> None:
    path = trial_paths(results, 10).curve
    assert set(read_curves(path)["seed"]) == {10}
    assert set(read_acquisitions(path)["seed"]) == {10}
    shutil.copytree(results, results.parent / "copy")
    everything = [results, path, results.parent / "copy", results]
    assert len(read_curves(everything)) == 3 * ROUNDS
    assert len(read_acquisitions(everything)) == len(read_acquisitions(results))


@pytest.mark.slow
def test_hidden_folders_and_temporary_files_are_left_out(results: Path) -> None:
    path = trial_paths(results, 10).curve
    shutil.copytree(results / "digits", results / ".sweeps" / "digits")
    path.rename(path.with_name(".seed=10.seed=10.parquet.0a1b.tmp"))
    path.with_name("seed=10.parquet.damaged").write_bytes(b"")
    assert set(read_curves(results)["seed"]) == {0, 1}


@pytest.mark.slow
def test_a_damaged_file_among_good_ones_is_skipped_and_named(
    results: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = trial_paths(results, 1).curve
    bad.write_bytes(bad.read_bytes()[:-20])
    curves = read_curves(results)
    assert set(curves["seed"]) == {0, 10}
    assert curves.attrs["skipped"] == [str(bad)]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(bad) in caplog.text
    caplog.clear()
    acquired = read_acquisitions(results)  # how far its rounds are committed is unknown
    assert set(acquired["seed"]) == {0, 10}
    assert str(bad) in caplog.text


@pytest.mark.slow
def test_flipped_bits_are_noticed(results: Path) -> None:
    bad = trial_paths(results, 1).curve
    whole = bad.read_bytes()
    expected = read_curves(results)
    for at in range(0, len(whole), 397):
        bad.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        found = read_curves(results)
        if len(found) == len(expected):  # the byte says nothing about the numbers
            pd.testing.assert_frame_equal(found, expected)
        else:
            assert found.attrs["skipped"] == [str(bad)]


@pytest.mark.slow
def test_no_changed_footer_gets_to_where_arrow_ends_the_process(results: Path) -> None:
    bad = trial_paths(results, 1).curve
    whole = bad.read_bytes()
    length = int.from_bytes(whole[-8:-4], "little")
    for at in range(len(whole) - 8 - length, len(whole) - 8, 211):
        bad.write_bytes(whole[:at] + bytes([whole[at] ^ 2]) + whole[at + 1 :])
        for look in (lambda: parquet.read(bad, CURVE), lambda: parquet.num_rows(bad)):
            with pytest.raises(parquet.DamagedFile, match="its footer is damaged"):
                look()


def test_only_damaged_files_is_an_error(tmp_path: Path) -> None:
    run_trial(tmp_path)
    trial_paths(tmp_path).curve.write_bytes(b"")
    with pytest.raises(ResultsError, match=r"None of 1 files can be read.* computes it again"):
        read_curves(tmp_path)


@pytest.mark.slow
def test_another_parquet_file_is_skipped_as_not_ours(
    results: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rewrite(trial_paths(results, 1).curve, lambda table: table.drop_columns(["num_labeled"]))
    assert set(read_curves(results)["seed"]) == {0, 10}
    assert "column num_labeled is missing" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("way", ["once", "packed", "missing", "alike"])
def test_what_would_fill_the_memory_is_skipped_and_not_unpacked(
    results: Path, way: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The same in small: a few kilobytes of file, and megabytes where a hundred are allowed."""
    bad = trial_paths(results, 1).curve
    table = pq.read_table(pa.BufferReader(bad.read_bytes()))
    text, place = "x" * 1_000_000, table.schema.names.index("notes")
    lists = table.schema.names.index("test_class_accuracy")
    counts = table.schema.field("test_class_accuracy")
    if way == "missing":
        many = pa.array([[None] * 200_000] * len(table), counts.type)
        table = table.set_column(lists, counts, many)
    else:
        table = table.set_column(place, "notes", pa.array([text] * len(table)))
    options: dict[str, Any] = {
        "once": {"use_dictionary": ["notes"]},
        "packed": {"use_dictionary": False, "compression": "zstd"},
        "missing": {"use_dictionary": False},
        "alike": {"use_dictionary": False, "column_encoding": {"notes": "DELTA_BYTE_ARRAY"}},
    }
    pq.write_table(table, bad, **options[way])
    assert set(read_curves(results)["seed"]) == ({0, 10} if way == "alike" else {0, 1, 10})
    caplog.clear()
    monkeypatch.setattr(parquet, "MOST_BYTES", 2_000_000)
    assert set(read_curves(results)["seed"]) == {0, 10}
    (line,) = caplog.messages
    assert line.startswith(f"Skipped a file: {bad} cannot be read: ")
    assert "more than results take" in line or way == "alike"


@pytest.mark.slow
def test_a_file_larger_than_any_that_a_run_writes_is_not_read(
    results: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = trial_paths(results, 1)
    os.truncate(bad.curve, 3 * 2**40)  # the file system stores no zeros
    os.truncate(bad.acquisitions, 3 * 2**40)
    assert set(read_curves(results)["seed"]) == {0, 10}
    assert set(read_acquisitions(results)["seed"]) == {0, 10}
    assert "it has 3072.0 GiB, more than results take" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("dictionary", [False, True])
def test_a_million_acquisitions_are_read(results: Path, dictionary: bool) -> None:
    number = 10**6
    acquired = read_acquisitions(results)
    some = acquired.iloc[[0]].loc[[0] * number].assign(index=range(number), rank=range(number))
    table = pa.Table.from_pandas(some, ACQUISITIONS, preserve_index=False)
    path = trial_paths(results, int(acquired["seed"][0])).acquisitions
    pq.write_table(table, path, use_dictionary=dictionary)
    assert len(read_acquisitions(path)) == number


@pytest.mark.parametrize("name", ["label", "true_label"])
def test_a_label_that_no_data_set_has_is_skipped_before_anyone_counts_to_it(
    results: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    def odd(table: pa.Table) -> pa.Table:
        place = table.schema.names.index(name)
        return table.set_column(place, name, pa.array([2**31] * len(table)))

    rewrite(trial_paths(results, 1).acquisitions, odd)
    assert set(read_acquisitions(results)["seed"]) == {0, 10}
    assert f"{name} has what no run writes there" in caplog.text


@pytest.mark.slow
def test_files_of_an_older_schema_get_nulls(results: Path) -> None:
    for seed in (0, 1, 10):
        older = trial_paths(results, seed).curve
        rewrite(older, lambda table: table.drop_columns(["best_epoch", "test_ece"]))
        curves = read_curves(results)
        assert len(curves) == 3 * ROUNDS
        assert list(curves.columns) == WITH_OOD
        assert curves["best_epoch"].isna().all()


@pytest.mark.slow
def test_columns_of_a_newer_schema_are_left_out_with_a_warning(
    results: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def newer(table: pa.Table) -> pa.Table:
        more = table.append_column("test_sharpness", pa.array([0.5] * len(table)))
        return more.replace_schema_metadata({"schema_version": "99"})

    rewrite(trial_paths(results, 0).curve, newer)
    assert list(read_curves(results).columns) == WITH_OOD
    assert "schema 99" in caplog.text


@pytest.mark.slow
def test_ood_metrics_are_columns_of_their_own(results: Path) -> None:
    curves = read_curves(results)
    stored = pq.read_table(trial_paths(results, 1).curve)["ood"].to_pylist()
    assert curves[curves["seed"] == 1]["ood_auroc_entropy_letters"].tolist() == [
        row[0]["auroc"] for row in stored
    ]
    assert list(read_curves(results, ["ood", "seed"]).columns) == [*OOD, "seed"]

    def without(table: pa.Table) -> pa.Table:
        place = table.schema.names.index("ood")
        return table.set_column(place, "ood", pa.nulls(len(table), OOD_TYPE))

    rewrite(trial_paths(results, 1).curve, without)
    curves = read_curves(results)
    assert (curves["ood_fpr95_entropy_letters"].isna() == (curves["seed"] == 1)).all()
    for seed in (0, 10):
        rewrite(trial_paths(results, seed).curve, without)
    assert not [name for name in read_curves(results) if name in OOD]


@pytest.mark.slow
def test_an_exported_file_has_the_ood_metrics_when_it_is_read_again(results: Path) -> None:
    def other(table: pa.Table) -> pa.Table:
        entries = [
            [{**entry, "score": "max_probability"} for entry in row]
            for row in table["ood"].to_pylist()
        ]
        place = table.schema.names.index("ood")
        return table.set_column(place, "ood", pa.array([None, *entries[1:]], OOD_TYPE))

    rewrite(trial_paths(results, 1).curve, other)
    curves = read_curves(results, CURVE.names)
    columns = [name for name in curves if name.startswith("ood_") and name != "ood_histograms"]
    assert len(columns) == 6
    exported = results.parent / "curves.parquet"
    assert cli.main(["export", str(results), f"out={exported}"]) == 0
    again = read_curves(exported, CURVE.names)
    assert list(again.columns) == list(curves.columns)
    pd.testing.assert_frame_equal(again[columns], curves[columns])
    assert len(read_curves(exported, ["ood"]).columns) == 6

    def spoiled(table: pa.Table) -> pa.Table:
        place = table.schema.names.index(columns[0])
        return table.set_column(place, columns[0], pa.array([1.5] * len(table)))

    rewrite(exported, spoiled)
    with pytest.raises(ResultsError, match="None of 1 files can be read"):
        read_curves(exported)


@pytest.mark.slow
@pytest.mark.parametrize(
    "entry",
    [
        {"dataset": "\x1b[31m", "score": "entropy", "auroc": 0.5, "aupr": 0.5, "fpr95": 0.5},
        {"dataset": "letters", "score": None, "auroc": 0.5, "aupr": 0.5, "fpr95": 0.5},
        {"dataset": "letters", "score": "entropy", "auroc": 1.5, "aupr": 0.5, "fpr95": 0.5},
        {"dataset": "letters", "score": "entropy", "auroc": math.nan, "aupr": 0.5, "fpr95": 0.5},
        None,
    ],
)
def test_ood_entries_that_no_run_writes_are_named(
    results: Path, caplog: pytest.LogCaptureFixture, entry: dict[str, Any] | None
) -> None:
    def odd(table: pa.Table) -> pa.Table:
        place = table.schema.names.index("ood")
        return table.set_column(place, "ood", pa.array([[entry]] * len(table), OOD_TYPE))

    rewrite(trial_paths(results, 1).curve, odd)
    assert set(read_curves(results)["seed"]) == {0, 10}
    assert "ood has what no run writes there" in caplog.text


@pytest.mark.slow
def test_a_list_of_other_records_is_not_read(
    results: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def odd(table: pa.Table) -> pa.Table:
        place = table.schema.names.index("ood")
        return table.set_column(place, "ood", pa.array([[{"dataset": 1}]] * len(table)))

    rewrite(trial_paths(results, 1).curve, odd)
    assert set(read_curves(results)["seed"]) == {0, 10}
    assert "column ood is list" in caplog.text


@pytest.mark.slow
def test_acquisitions_beyond_the_last_committed_round_are_trimmed(results: Path) -> None:
    rewrite(trial_paths(results, 0).curve, lambda table: table.slice(0, 1))
    acquired = read_acquisitions(results)
    of_trial = acquired[acquired["seed"] == 0]
    assert of_trial["round"].isna().sum() == 4
    assert set(of_trial["round"].dropna()) == {0}
    trial_paths(results, 0).curve.unlink()
    assert 0 not in set(read_acquisitions(results)["seed"])


def test_nothing_to_read_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no results folder .*nowhere"):
        read_curves(tmp_path / "nowhere")
    with pytest.raises(ResultsError, match=r"No curves under .*al-bench run"):
        read_curves(tmp_path)
    with pytest.raises(ResultsError, match="No acquisitions under no folder"):
        read_acquisitions([])


@pytest.mark.slow
def test_runs_of_the_same_names_stay_apart(results: Path) -> None:
    other = replace(IDENTITY, run_id="ffffffffffff", config="model: {num_samples: 50}\n")
    with Store(results).claim(other, 0, ENGINE) as files:
        row = {"num_labeled": 4, "num_queried": 4, "num_validation": 0, "steps": 1}
        files.commit({"round": 0, **row}, [])
    counts = read_curves(results).groupby("run_id").size().to_dict()
    assert counts == {"0123456789ab": 3 * ROUNDS, "ffffffffffff": 1}


@pytest.mark.slow
def test_what_a_run_is_comes_along_and_survives_what_frames_go_through(results: Path) -> None:
    other = replace(
        IDENTITY,
        run_id="ffffffffffff",
        protocol='{"config": {"model": {"num_samples": 20}}, "fingerprint": "f00d"}',
    )
    with Store(results).claim(other, 0, ENGINE) as files:
        files.commit(row_of(0), [])
    curves = read_curves(results)
    expected = {"model.num_samples": 20, "training.learning_rate": 0.001}
    again = pd.concat([curves.sample(frac=1, random_state=1), curves.iloc[::2]])
    for frame in (curves, again):
        said = frame.groupby("run_id")["config"].agg(lambda column: "|".join(set(column)))
        assert json.loads(said["0123456789ab"]) == expected
        assert json.loads(said["ffffffffffff"]) == {**expected, "fingerprint": "f00d"}


@pytest.mark.slow
def test_an_edited_configuration_is_told_and_not_used(
    results: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = trial_paths(results, 0).config
    config.write_text(config.read_text() + "results: elsewhere\nseeds: 9\n")
    read_curves(results)
    assert not caplog.text  # where and how many is not what
    config.write_text(config.read_text().replace("num_samples: 20", "num_samples: 30"))
    curves = read_curves(results)
    assert [json.loads(text)["model.num_samples"] for text in set(curves["config"])] == [20]
    (record,) = caplog.records
    assert "config.yaml says model.num_samples=30, its curves were made with 20" in record.message
    for text in ("[", "", "- 1"):
        config.write_text(text)
        read_curves(results)  # what cannot be read says nothing
    assert len(caplog.records) == 1
