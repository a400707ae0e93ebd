"""Readers of the classic image files read small ones that the tests write."""

import gzip
import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from al_bench.data import checksums, vision
from al_bench.data.vision import CIFAR10, CIFAR100, EMNIST, MNIST, SVHN, USPS, FashionMNIST
from al_bench.errors import ConfigError, DataError

SOURCES: list[Any] = [MNIST, FashionMNIST, EMNIST, USPS, CIFAR10, CIFAR100, SVHN]


def write_idx(path: Path, array: np.ndarray[Any, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = np.array([0x0800 + array.ndim, *array.shape], dtype=">u4").tobytes()
    path.write_bytes(header + array.astype(np.uint8).tobytes())


@pytest.mark.parametrize("source", SOURCES)
def test_a_missing_data_set_says_where_it_was_looked_for(source: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no folder") as caught:
        source(root=str(tmp_path / "nowhere")).load()
    assert str(tmp_path / "nowhere") in str(caught.value)
    assert "download=true" in str(caught.value)


@pytest.mark.parametrize("source", SOURCES)
def test_options_that_cannot_be_meant_are_refused_before_loading(source: Any) -> None:
    with pytest.raises(ConfigError, match=r"^root must"):
        source(root=None)
    with pytest.raises(ConfigError, match=r"^download must be true or false, got 'yes'"):
        source(download="yes")


def test_truncated_mnist_is_named(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST/raw"
    write_idx(raw / "train-images-idx3-ubyte", np.zeros((10, 28, 28)))
    write_idx(raw / "train-labels-idx1-ubyte", np.zeros(60_000))
    write_idx(raw / "t10k-images-idx3-ubyte", np.zeros((10, 28, 28)))
    write_idx(raw / "t10k-labels-idx1-ubyte", np.zeros(10_000))
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte is damaged: it has 7,856 bytes"):
        MNIST(str(tmp_path)).load()


@pytest.mark.slow
def test_wrong_bytes_in_fashion_mnist_are_named(tmp_path: Path) -> None:
    raw = tmp_path / "FashionMNIST/raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 60_000), ("t10k", 10_000)):
        write_idx(raw / f"{part}-labels-idx1-ubyte", np.zeros(count))
        images = raw / f"{part}-images-idx3-ubyte"
        write_idx(images, np.zeros((count, 28, 28)))
        (raw / f"{images.name}.gz").write_bytes(gzip.compress(images.read_bytes(), 1))
        images.unlink()
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz is damaged: its sha256 is"):
        FashionMNIST(str(tmp_path)).load()


def test_an_unknown_split_of_emnist_names_the_near_ones() -> None:
    with pytest.raises(ConfigError, match=r"'letter', which .* Did you mean 'letters'"):
        EMNIST("letter")


def make_emnist(root: Path, monkeypatch: pytest.MonkeyPatch, first: int, last: int) -> EMNIST:
    tiny = vision.EmnistSplit(4, 2, tuple("abc"), 1, 0.1722, 0.3309)
    monkeypatch.setitem(vision.EMNIST_SPLITS, "tiny", tiny)
    image = np.zeros((28, 28))
    image[3, 20] = 255  # right of the diagonal as stored, left of it when upright
    for part, count in (("train", 4), ("test", 2)):
        prefix = root / f"EMNIST/raw/emnist-tiny-{part}"
        write_idx(Path(f"{prefix}-images-idx3-ubyte"), np.stack([image] * count))
        write_idx(Path(f"{prefix}-labels-idx1-ubyte"), np.linspace(first, last, count))
    return EMNIST("tiny", str(root))


def test_emnist_is_turned_upright_and_its_labels_begin_at_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_emnist(tmp_path, monkeypatch, 1, 3).load()
    assert dataset.train.labels.tolist() == [0, 0, 1, 2]
    image = dataset.train.inputs.values[0, 0]  # type: ignore[attr-defined]
    assert image.nonzero().tolist() == [[20, 3]]
    assert dataset.train.inputs.input_shape == (1, 28, 28)


@pytest.mark.parametrize(("first", "last"), [(0, 3), (1, 4)])
def test_labels_that_a_data_set_does_not_have_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int, last: int
) -> None:
    with pytest.raises(DataError, match=f"labels are {first} to {last} and should be 1 to 3"):
        make_emnist(tmp_path, monkeypatch, first, last).load()


def test_an_incomplete_binary_cifar_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-bin").mkdir()
    with pytest.raises(DataError, match=r"cifar-10-batches-bin lacks data_batch_1.bin"):
        CIFAR10(str(tmp_path)).load()


def test_a_truncated_binary_cifar_names_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name in ("data_batch_1", *(f"data_batch_{i}" for i in range(2, 6)), "test_batch"):
        (folder / f"{name}.bin").write_bytes(b"0" * 3073)
    with pytest.raises(DataError, match=r"data_batch_1.bin is damaged: it has 3,073 bytes"):
        CIFAR10(str(tmp_path)).load()


def known(monkeypatch: pytest.MonkeyPatch, table: dict[str, str], folder: Path) -> None:
    for name in table:
        digest = hashlib.md5((folder / name).read_bytes()).hexdigest()
        monkeypatch.setitem(table, name, digest)


def test_cifar100_is_read_from_its_three_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    pixels = np.arange(3 * 3072, dtype=np.int64).reshape(3, 3072) % 256
    train = {"data": pixels.astype(np.uint8), "fine_labels": [2, 0, 1], "coarse_labels": [0, 0, 0]}
    test = {"data": pixels[:2].astype(np.uint8), "fine_labels": [1, 2]}
    for name, content in (("train", train), ("test", test), ("meta", {"fine_label_names": "abc"})):
        (folder / name).write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match="meta is damaged: its md5 is"):
        CIFAR100(str(tmp_path)).load()
    known(monkeypatch, checksums.CIFAR100_MD5, folder)
    monkeypatch.setattr(CIFAR100, "COUNTS", (3, 2))
    dataset = CIFAR100(str(tmp_path)).load()
    assert dataset.class_names == ("a", "b", "c")
    assert dataset.train.labels.tolist() == [2, 0, 1]
    assert dataset.test.labels.tolist() == [1, 2]
    image = dataset.train.inputs.values[1]  # type: ignore[attr-defined]
    assert image.flatten().tolist() == pixels[1].tolist()  # red, green, blue, row by row


def test_svhn_is_read_and_its_label_ten_is_the_digit_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.random.default_rng(0).integers(256, size=(32, 32, 3, 4), dtype=np.uint8)
    labels = np.array([[10], [1], [9], [3]], dtype=np.uint8)
    savemat(tmp_path / "train_32x32.mat", {"X": images, "y": labels})
    savemat(tmp_path / "test_32x32.mat", {"X": images[..., :2], "y": labels[:2]})
    with pytest.raises(DataError, match=r"train_32x32\.mat is damaged: its md5 is"):
        SVHN(str(tmp_path)).load()
    known(monkeypatch, checksums.SVHN_MD5, tmp_path)
    dataset = SVHN(str(tmp_path)).load()
    assert dataset.train.labels.tolist() == [0, 1, 9, 3]
    assert len(dataset.test) == 2
    values = dataset.train.inputs.values.numpy()  # type: ignore[attr-defined]
    assert np.array_equal(values[2], images[:, :, :, 2].transpose(2, 0, 1))
