"""A user's own arrays become a data set, or are refused by the key that is wrong."""

import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from al_bench.data import array_files
from al_bench.data.arrays import Arrays
from al_bench.data.concat import ConcatInputs
from al_bench.data.mapped import MappedInputs
from al_bench.data.repeat import RepeatedInputs
from al_bench.data.subset import IndexedInputs
from al_bench.errors import ConfigError, DataError

PARTS = ("train", "test")
CPU = torch.device("cpu")
Values = dict[str, Any]


def table(**changes: Any) -> Values:
    rng = np.random.default_rng(0)
    values: Values = {
        "x_train": rng.normal(5, 3, (30, 4)),
        "y_train": np.arange(30) % 3,
        "x_test": rng.normal(5, 3, (9, 4)),
        "y_test": np.arange(9) % 3,
    }
    return {key: value for key, value in {**values, **changes}.items() if value is not None}


def images(**changes: Any) -> Values:
    rng = np.random.default_rng(1)
    values: Values = {
        "x_train": rng.integers(0, 256, (30, 3, 8, 8)).astype(np.uint8),
        "y_train": np.arange(30, dtype=np.uint8) % 3,
        "x_test": rng.integers(0, 256, (9, 3, 8, 8)).astype(np.uint8),
        "y_test": np.arange(9, dtype=np.uint8) % 3,
    }
    return {**values, **changes}


def npz(path: Path, values: Values) -> str:
    np.savez(path / "data.npz", **values)
    return str(path / "data.npz")


def folder(path: Path, values: Values) -> str:
    for key, value in values.items():
        np.save(path / f"{key}.npy", value)
    return str(path)


def gather(inputs: Any) -> torch.Tensor:
    return inputs.gather(torch.arange(len(inputs)), CPU)


@pytest.mark.parametrize("write", [npz, folder])
def test_a_table_is_read_and_standardised_over_the_training_inputs(
    tmp_path: Path, write: Callable[[Path, Values], str]
) -> None:
    values = table()
    dataset = Arrays(write(tmp_path, values)).load()
    mean, std = values["x_train"].mean(axis=0), values["x_train"].std(axis=0)
    for examples, key in ((dataset.train, "x_train"), (dataset.test, "x_test")):
        expected = torch.from_numpy((values[key] - mean) / std).float()
        torch.testing.assert_close(gather(examples.inputs), expected)
    assert dataset.train.labels.tolist() == values["y_train"].tolist()
    assert dataset.train.labels.dtype == torch.int64
    assert dataset.class_names == ("0", "1", "2")


def test_uint8_images_are_kept_as_they_are_and_standardised_per_channel(tmp_path: Path) -> None:
    values = images()
    inputs = Arrays(npz(tmp_path, values)).load().train.inputs
    assert inputs.values.dtype == torch.uint8  # type: ignore[attr-defined]
    gathered = gather(inputs)
    assert gathered.mean(dim=(0, 2, 3)).abs().max() < 1e-5
    torch.testing.assert_close(gathered.std(dim=(0, 2, 3), correction=0), torch.ones(3))


def test_inputs_can_be_left_as_they_are(tmp_path: Path) -> None:
    values = images()
    path = npz(tmp_path, values)
    inputs = gather(Arrays(path, standardize=False).load().train.inputs)
    torch.testing.assert_close(inputs, torch.from_numpy(values["x_train"]) / 255)


def test_constant_features_become_zero(tmp_path: Path) -> None:
    values = table()
    values["x_train"][:, 1] = values["x_test"][:, 1] = 0.1
    inputs = gather(Arrays(npz(tmp_path, values)).load().train.inputs)
    assert inputs[:, 1].abs().max() < 1e-6


def test_standard_deviations_do_not_depend_on_how_the_array_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = npz(tmp_path, table())
    whole = Arrays(path).load()
    monkeypatch.setattr("al_bench.data.build.BLOCK_BYTES", 7 * 32)
    parts = Arrays(path).load()
    torch.testing.assert_close(gather(whole.train.inputs), gather(parts.train.inputs))
    assert whole.fingerprint == parts.fingerprint


@pytest.mark.parametrize("make", [table, images])
@pytest.mark.parametrize("standardize", [True, False])
def test_large_files_stay_on_the_disk_and_look_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], Values], standardize: bool
) -> None:
    source = Arrays(folder(tmp_path, make()), standardize)
    resident = source.load()
    monkeypatch.setattr(array_files, "RESIDENT_BYTES", 1000)
    mapped = source.load()
    assert isinstance(mapped.train.inputs, MappedInputs)
    assert mapped.fingerprint == resident.fingerprint
    torch.testing.assert_close(gather(mapped.train.inputs), gather(resident.train.inputs))
    copy = pickle.loads(pickle.dumps(mapped.train.inputs))
    assert torch.equal(gather(copy), gather(mapped.train.inputs))
    assert len(pickle.dumps(mapped.train.inputs)) < 2000
    assert copy.input_shape == resident.train.inputs.input_shape


def test_class_names_fix_the_number_of_classes(tmp_path: Path) -> None:
    names = np.array(["a", "b", "c", "d", "e"])
    dataset = Arrays(npz(tmp_path, table(class_names=names))).load()
    assert dataset.class_names == ("a", "b", "c", "d", "e")


def test_a_class_may_be_missing_from_the_training_labels(tmp_path: Path) -> None:
    dataset = Arrays(npz(tmp_path, table(y_train=np.arange(30) % 2 * 2))).load()
    assert dataset.num_classes == 3


def test_the_fingerprint_is_of_the_content_and_not_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    base = Arrays(npz(tmp_path, table())).load().fingerprint
    assert Arrays(folder(tmp_path / "f", table())).load().fingerprint == base
    values = table()
    values["x_test"][8, 3] += 1e-9
    changes: list[Values] = [
        values,
        table(y_train=np.arange(30)[::-1] % 3),
        table(class_names=np.array(["a", "b", "c"])),
        table(x_train=table()["x_train"].astype(np.float32)),
    ]
    found = {Arrays(npz(tmp_path, change)).load().fingerprint for change in changes}
    found.add(Arrays(npz(tmp_path, table()), standardize=False).load().fingerprint)
    assert len(found) == 5
    assert base not in found


def test_whole_numbers_in_float_arrays_are_labels(tmp_path: Path) -> None:
    whole = Arrays(npz(tmp_path, table())).load()
    values = table()
    floats = {key: values[key].astype(float) for key in ("y_train", "y_test")}
    read = Arrays(npz(tmp_path, table(**floats))).load()
    assert read.train.labels.dtype == torch.int64
    assert torch.equal(read.train.labels, whole.train.labels)
    assert read.num_classes == whole.num_classes


@pytest.mark.parametrize(
    ("path", "name", "title"),
    [
        ("data/my file (2).npz", None, "my_file_2_"),
        ("data/set.v2/", None, "set.v2"),
        ("data/a.npz", "Iris", "Iris"),
    ],
)
def test_arrays_are_named_in_results_by_their_file_or_as_asked(
    path: str, name: str | None, title: str
) -> None:
    assert Arrays(path, name=name).title == title


def with_nan(key: str, row: int, value: float) -> Values:
    values = table()
    values[key][row, 2] = value
    return values


BAD: list[tuple[Values, str]] = [
    (table(x_test=None, y_test=None), r"lacks x_test, y_test; it has x_train, y_train\. Needed: "),
    (table(x_train=np.ones(30)), r"x_train has shape \(30,\); it must be \(n, features\)"),
    (table(x_train=np.ones((30, 8, 8))), r"x_train has shape \(30, 8, 8\).*x\[:, None\]"),
    (table(x_train=np.ones((0, 4))), r"x_train is empty: its shape is \(0, 4\)"),
    (table(x_test=np.ones((9, 0))), r"x_test is empty"),
    (table(x_test=np.ones((9, 5))), r"x_test has inputs of shape \(5,\) and x_train of \(4,\)"),
    (table(x_train=np.full((30, 4), "a")), r"x_train has dtype <U1; it must hold numbers"),
    (table(x_train=np.ones((30, 4), complex)), r"x_train has dtype complex128"),
    (with_nan("x_train", 17, np.nan), r"x_train has NaN, infinity .* in row 17"),
    (with_nan("x_test", 3, np.inf), r"x_test has NaN, infinity .* in row 3"),
    (with_nan("x_test", 3, 1e300), r"x_test has .* too large for float32 in row 3"),
    (images(x_train=np.ones((30, 8, 8, 3), np.uint8)), r"looks like \(n, height, width, chan"),
    (images(x_train=np.ones((30, 8, 8, 1), np.uint8)), r"x_train .* np.moveaxis\(x, -1, 1\)"),
    (images(x_test=np.ones((9, 3, 8, 8), np.float32)), r"x_test has dtype float32 and x_train ui"),
    (with_nan("x_test", 3, np.inf), r"data.npz: x_test .*keep = .*all\(axis=1\); x_test, y_test ="),
    (
        images(x_train=np.full((30, 3, 8, 8), np.nan), x_test=np.ones((9, 3, 8, 8))),
        r"all\(axis=\(1, 2, 3\)\); x_train, y_train",
    ),
    (table(y_train=np.array(["a"] * 30, object)), r"y_train in .* dtype object.*np.union1d"),
    (table(x_train=np.ones((30, 4), object)), r"Write it with x_train.astype\(np.float32\)"),
    (
        table(class_names=np.array(["a", "b", "c"], object)),
        r"Write it with class_names.astype\(str\)",
    ),
    (table(y_train=np.arange(29)), r"y_train has 29 labels and x_train has 30 inputs"),
    (table(y_train=np.ones((30, 3), int)), r"y_train has shape \(30, 3\).*argmax"),
    (table(y_test=np.arange(9) / 2), r"y_test has the label 0.5 in row 1; labels must be whole"),
    (table(y_test=np.full(9, np.nan)), r"y_test has the label nan in row 0"),
    (table(y_test=np.arange(9) - 1.0), r"y_test has the label -1"),
    (table(y_test=np.ones(9, bool)), r"y_test has dtype bool; labels must be whole.*astype"),
    (table(y_test=np.arange(9) - 1), r"y_test has the label -1"),
    (table(y_train=np.array(["cat"] * 30)), r"y_train has dtype <U3"),
    (table(y_train=np.zeros(30, int), y_test=np.zeros(9, int)), r"one class only"),
    (table(y_test=np.full(9, 999)), r"largest label in y_train and y_test is 999, with only 39"),
    (table(class_names=np.array(["a", "b"])), r"y_train has the label 2; class_names has 2 names"),
    (table(class_names=np.arange(3)), r"class_names has shape \(3,\) and dtype int64"),
    (table(class_names=np.array(["a", "a", "b"])), r"class_names must be two or more different"),
    (
        table(class_names=np.array(["a", 1, None], dtype=object)),
        r"class_names in .* cannot be read",
    ),
]


@pytest.mark.parametrize(("values", "message"), BAD, ids=range(len(BAD)))
def test_arrays_of_the_wrong_form_are_refused_in_one_line(
    tmp_path: Path, values: Values, message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        Arrays(npz(tmp_path, values)).load()
    assert "\n" not in str(caught.value)


def test_the_remedies_for_numbers_and_labels_work_as_they_are_typed(tmp_path: Path) -> None:
    values = with_nan("x_train", 17, np.nan)
    values |= {f"y_{part}": values[f"y_{part}"].astype(str).astype(object) for part in PARTS}
    for remedy in (r"np.savez: (classes = .*)\.$", r"rows out: (keep = .*)\.$"):
        with pytest.raises(DataError) as refused:
            Arrays(npz(tmp_path, values)).load()
        code = re.search(remedy, str(refused.value))
        assert code is not None
        exec(code[1], {"np": np}, values)
    kept = {key: values[key] for part in PARTS for key in (f"x_{part}", f"y_{part}")}
    assert len(Arrays(npz(tmp_path, kept)).load().train.labels) == 29


@pytest.mark.parametrize("name", ["a.csv", "a.TSV"])
def test_a_table_is_told_how_it_becomes_arrays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"is a table.*pandas.read_csv.*np.savez\('data.npz', x_tr"):
        Arrays(str(tmp_path / name)).load()


def test_a_signal_of_many_channels_and_width_one_is_no_mistake(tmp_path: Path) -> None:
    values = images(x_train=np.ones((30, 12, 50, 1)), x_test=np.ones((9, 12, 50, 1)))
    assert Arrays(npz(tmp_path, values)).load().train.inputs.input_shape == (12, 50, 1)


def test_nothing_at_the_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file or folder .*nowhere.npz.*path=\.\.\."):
        Arrays(str(tmp_path / "nowhere.npz")).load()


def test_a_folder_without_the_files_names_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lacks x_train.npy, .*; it has nothing"):
        Arrays(str(tmp_path)).load()


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_archive_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"data.npz cannot be read.*np\.savez") as caught:
        Arrays(str(path)).load()
    assert "\n" not in str(caught.value)


def test_a_damaged_member_of_an_archive_is_named(tmp_path: Path) -> None:
    path = Path(npz(tmp_path, table()))
    content = bytearray(path.read_bytes())
    content[300:400] = bytes(100)  # inside x_train
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x_train in .*data.npz cannot be read: Bad CRC"):
        Arrays(str(path)).load()


def test_a_truncated_file_in_a_folder_is_named(tmp_path: Path) -> None:
    path = folder(tmp_path, table())
    file = tmp_path / "x_test.npy"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(DataError, match=r"x_test.npy cannot be read"):
        Arrays(path).load()


def test_a_single_array_is_not_a_data_set(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(3))
    with pytest.raises(DataError, match=r"one array instead of several.*Needed: x_train"):
        Arrays(str(tmp_path / "x.npy")).load()


def test_options_that_cannot_be_meant_are_refused_before_loading() -> None:
    with pytest.raises(ConfigError, match=r"^path must"):
        Arrays("")
    with pytest.raises(ConfigError, match=r"^standardize must be true or false, got 1"):
        Arrays("x.npz", standardize=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("write", [npz, folder])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("standardize", [True, False])
def test_a_value_of_zero_is_known_as_it_is_after_normalising(
    tmp_path: Path, write: Callable[[Path, Values], str], dtype: Any, standardize: bool
) -> None:
    values = images()
    values["x_train"][0] = 0
    values = {key: x.astype(dtype) if key[0] == "x" else x for key, x in values.items()}
    train = Arrays(write(tmp_path, values), standardize=standardize).load().train
    for inputs in (
        train.inputs,
        IndexedInputs(train.inputs, torch.arange(2)),
        RepeatedInputs(train.inputs, 2, noise_std=0.0, key=1),
        ConcatInputs(train.inputs, train.inputs),
    ):
        black = inputs.gather(torch.tensor([0]), CPU)[0]  # (3, 8, 8)
        torch.testing.assert_close(inputs.zero.expand(3, 8, 8), black)
        assert inputs.zero.shape == (3, 1, 1)
