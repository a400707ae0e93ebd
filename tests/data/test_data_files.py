"""Data files are found, fetched and checked, and damaged ones are named."""

import bz2
import gzip
import hashlib
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from al_bench.data import formats
from al_bench.data.files import locate, read_checked
from al_bench.data.formats import (
    read_cifar_binary,
    read_cifar_pickle,
    read_idx,
    read_libsvm,
)
from al_bench.errors import DataError

IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
IDX = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]) + IMAGES.tobytes()
SHA256 = hashlib.sha256(IDX).hexdigest()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_an_idx_file_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "images", IDX)
    assert np.array_equal(read_idx(path, (2, 3, 4), SHA256), IMAGES)


def test_an_idx_file_that_is_still_packed_is_read(tmp_path: Path) -> None:
    write(tmp_path / "images.gz", gzip.compress(IDX))
    assert np.array_equal(read_idx(tmp_path / "images", (2, 3, 4), SHA256), IMAGES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (IDX[:-1], "it has 39 bytes and should have 40"),
        (IDX + b"0", "it has 41 bytes and should have 40"),
        (b"", "it has 0 bytes and should have 40"),
        (IDX[:-1] + b"0", "its sha256 is .* and should be"),
    ],
)
def test_a_damaged_idx_file_is_named_in_one_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = write(tmp_path / "images", content)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path, (2, 3, 4), SHA256)
    assert str(path) in str(caught.value)
    assert "download=true" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_header_of_an_idx_file_without_a_known_checksum_is_compared(tmp_path: Path) -> None:
    path = write(tmp_path / "images", IDX)
    with pytest.raises(DataError, match=r"header is \[2051, 2, 3, 4\] and should be .*2, 4, 3"):
        read_idx(path, (2, 4, 3))


# A gzip header holds the time it was made: without it, every worker collects the same tests.
PACKED = gzip.compress(IDX, mtime=0)


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(PACKED[:-9], id="cut at its end"),
        pytest.param(b"no gzip", id="not packed"),
        pytest.param(PACKED[:5], id="cut in its header"),
    ],
)
def test_a_damaged_packed_file_is_named(tmp_path: Path, packed: bytes) -> None:
    path = write(tmp_path / "images.gz", packed)
    with pytest.raises(DataError, match="is damaged") as caught:
        read_idx(tmp_path / "images", (2, 3, 4))
    assert str(path) in str(caught.value)


def test_a_folder_in_place_of_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_checked(tmp_path)


def test_an_md5_is_compared(tmp_path: Path) -> None:
    path = write(tmp_path / "file", b"abc")
    assert read_checked(path, 3, md5=hashlib.md5(b"abc").hexdigest()).tobytes() == b"abc"
    with pytest.raises(DataError, match="its md5 is 900150983cd24fb0d6963f7d28e17f72"):
        read_checked(path, 3, md5="0" * 32)


LIBSVM = b"3 1:-1 2:0.5\n10 1:0.25 2:1\n"


def test_a_libsvm_file_is_read(tmp_path: Path) -> None:
    values, labels = read_libsvm(write(tmp_path / "a.bz2", bz2.compress(LIBSVM)), 2, 2)
    assert values.tolist() == [[-1, 0.5], [0.25, 1]]
    assert labels.tolist() == [3, 10]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bz2.compress(LIBSVM)[:-4], "complete bzip2"),
        (b"plain text", "complete bzip2"),
        (b"", "2 rows"),
        (bz2.compress(LIBSVM[:12]), "2 rows of 2 features"),
        (bz2.compress(LIBSVM.replace(b"0.5", b"half")), "2 rows of 2 features"),
        (bz2.compress(LIBSVM.replace(b"2:", b"3:")), "not numbered 1 to 2"),
    ],
)
def test_a_damaged_libsvm_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = write(tmp_path / "a.bz2", content)
    with pytest.raises(DataError, match=message) as caught:
        read_libsvm(path, 2, 2)
    assert str(path) in str(caught.value)


def test_the_two_versions_of_cifar_read_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "CIFAR_RECORDS", 2)
    images = np.random.default_rng(0).integers(0, 256, (2, 3072)).astype(np.uint8)
    labels = np.array([7, 1], np.uint8)
    binary = write(tmp_path / "a.bin", np.column_stack([labels, images]).tobytes())
    pickled = pickle.dumps({"data": images, "labels": labels.tolist()})
    one = read_cifar_binary(binary, None)
    other = read_cifar_pickle(write(tmp_path / "a", pickled), hashlib.md5(pickled).hexdigest())
    assert one[0].shape == (2, 3, 32, 32)
    assert one[1].tolist() == [7, 1]
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(one[1], other[1])
    monkeypatch.undo()
    with pytest.raises(DataError, match="6,146 bytes and should have 30,730,000"):
        read_cifar_binary(binary, None)


def test_a_pickle_with_another_checksum_is_not_opened(tmp_path: Path) -> None:
    path = write(tmp_path / "a", b"cos\nabort\n(tR.")  # would end the process
    with pytest.raises(DataError, match="its md5 is"):
        read_cifar_pickle(path, "0" * 32)


def find(root: Path, download: bool) -> Path:
    return locate(str(root), "Toy/raw", ["a", "b"], download=download, using="Toy", split="s")


def test_files_that_are_there_are_located_without_torchvision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    (tmp_path / "Toy/raw").mkdir(parents=True)
    write(tmp_path / "Toy/raw/a", b"")
    write(tmp_path / "Toy/raw/b.gz", b"")
    assert find(tmp_path, download=True) == tmp_path / "Toy/raw"


def test_a_missing_folder_is_named_with_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        find(tmp_path, download=False)
    for part in (str(tmp_path / "Toy/raw"), "root=...", "download=true"):
        assert part in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "Toy/raw").mkdir(parents=True)
    write(tmp_path / "Toy/raw/a", b"")
    with pytest.raises(DataError, match="lacks b"):
        find(tmp_path, download=False)


def offer(monkeypatch: pytest.MonkeyPatch, toy: object) -> None:
    """Let torchvision.datasets.Toy be ``toy``."""
    datasets = types.ModuleType("torchvision.datasets")
    datasets.Toy = toy  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", datasets)


def test_a_download_brings_the_files_and_leaves_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def toy(root: str, download: bool, split: str) -> None:
        assert download
        assert split == "s"
        raw = Path(root) / "Toy/raw"
        raw.mkdir(parents=True)
        for name in ("a", "b", "a.gz"):
            write(raw / name, b"new")

    offer(monkeypatch, toy)
    folder = find(tmp_path / "deep/data", download=True)
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]
    assert [path.name for path in (tmp_path / "deep/data").iterdir()] == ["Toy"]


def test_a_failed_download_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def toy(root: str, **_: object) -> None:
        (Path(root) / "half").mkdir()
        raise RuntimeError("Error downloading a:\nTried one\nTried another\n")

    offer(monkeypatch, toy)
    with pytest.raises(DataError, match="could not be downloaded") as caught:
        find(tmp_path / "deep" / "data", download=True)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_download_leaves_what_was_there_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def toy(root: str, **_: object) -> None:
        raise RuntimeError("no network")

    offer(monkeypatch, toy)
    (tmp_path / "data").mkdir()
    with pytest.raises(DataError, match="no network"):
        find(tmp_path / "data", download=True)
    assert list(tmp_path.rglob("*")) == [tmp_path / "data"]


def test_a_download_without_torchvision_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.delitem(sys.modules, "torchvision.datasets", raising=False)
    with pytest.raises(DataError, match="pip install torchvision"):
        find(tmp_path, download=True)
