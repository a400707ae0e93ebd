"""The classic image data sets, in the files and folders that torchvision keeps them in.

Images stay uint8 in memory and are normalised when gathered. torchvision itself is needed for
downloading only.
"""

import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from al_bench.data import checksums
from al_bench.data.base import Dataset
from al_bench.data.build import in_memory
from al_bench.data.files import check_source, damaged, locate, missing
from al_bench.data.formats import (
    read_cifar100,
    read_cifar_binary,
    read_cifar_pickle,
    read_idx,
    read_libsvm,
    read_pickle,
    read_svhn,
)
from al_bench.errors import ConfigError, choose, keyed
from al_bench.paths import opened

DIGITS = tuple(string.digits)
LETTERS = tuple(string.ascii_lowercase)
ALL_CHARACTERS = (*string.digits, *string.ascii_uppercase, *string.ascii_lowercase)
# EMNIST's merged splits keep only the small letters that look unlike their capitals.
MERGED_CHARACTERS = (*string.digits, *string.ascii_uppercase, *"abdefghnqrt")
FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
CIFAR10_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
BINARY = "cifar-10-batches-bin"


class Part(NamedTuple):
    """The training or the test half of a data set."""

    images: NDArray[np.uint8]  # (n, channels, height, width)
    labels: NDArray[np.int64]  # (n,), from 0


class EmnistSplit(NamedTuple):
    """What distinguishes one split of EMNIST."""

    train: int  # images
    test: int
    class_names: tuple[str, ...]
    first_label: int
    mean: float  # of the training images, grey values 0 … 1
    std: float


EMNIST_SPLITS = {
    "balanced": EmnistSplit(112_800, 18_800, MERGED_CHARACTERS, 0, 0.1751, 0.3332),
    "byclass": EmnistSplit(697_932, 116_323, ALL_CHARACTERS, 0, 0.1736, 0.3317),
    "bymerge": EmnistSplit(697_932, 116_323, MERGED_CHARACTERS, 0, 0.1736, 0.3317),
    "digits": EmnistSplit(240_000, 40_000, DIGITS, 0, 0.1733, 0.3317),
    "letters": EmnistSplit(124_800, 20_800, LETTERS, 1, 0.1722, 0.3309),
    "mnist": EmnistSplit(60_000, 10_000, DIGITS, 0, 0.1733, 0.3317),
}


@dataclass(frozen=True)
class _Images28:
    """60,000 training and 10,000 test images (1, 28, 28) of ten classes in four IDX files.

    Args:
        root: Folder with ``<name of the class>/raw``, relative to the current directory.
        download: Whether torchvision may fetch what is missing.
    """

    root: str = "data"
    download: bool = False

    SHA256: ClassVar[Mapping[str, str]]
    CLASSES: ClassVar[tuple[str, ...]]
    MEAN: ClassVar[float]  # of the training images, grey values 0 … 1
    STD: ClassVar[float]

    def __post_init__(self) -> None:
        check_source(self.root, self.download)

    def load(self) -> Dataset:
        """Read the four files; raises DataError where one is missing or damaged."""
        name, known = type(self).__name__, self.SHA256
        folder = locate(self.root, f"{name}/raw", list(known), download=self.download, using=name)
        train = _read_idx_pair(folder, "train", 60_000, 10, known)
        test = _read_idx_pair(folder, "t10k", 10_000, 10, known)
        return in_memory(*train, *test, self.CLASSES, (self.MEAN,), (self.STD,))


class MNIST(_Images28):
    """Digits: LeCun et al. (1998). Files and arguments are as in ``_Images28``."""

    SHA256 = checksums.MNIST_SHA256
    CLASSES = DIGITS
    MEAN, STD = 0.1307, 0.3081


class FashionMNIST(_Images28):
    """Clothes: Xiao et al. (2017). Files and arguments are as in ``_Images28``."""

    SHA256 = checksums.FASHION_MNIST_SHA256
    CLASSES = FASHION
    MEAN, STD = 0.2860, 0.3530


@dataclass(frozen=True)
class EMNIST:
    """Letters and digits by hand, (1, 28, 28), turned upright: Cohen et al. (2017).

    Args:
        split: ``balanced`` (47 classes, 112,800 training images), ``letters`` (26, 124,800; capital
            and small letters share a class), ``bymerge`` (47, 697,932), ``byclass`` (62, 697,932),
            ``digits`` (10, 240,000) or ``mnist`` (10, 60,000).
        root: Folder with ``EMNIST/raw``, relative to the current directory.
        download: Whether torchvision may fetch what is missing (560 MB for all splits).
    """

    split: str = "balanced"
    root: str = "data"
    download: bool = False

    def __post_init__(self) -> None:
        check_source(self.root, self.download)
        if self.split not in EMNIST_SPLITS:
            raise ConfigError(
                f"{keyed('split')} is {self.split!r}, which EMNIST does not have.",
                choose(str(self.split), EMNIST_SPLITS),
            )

    def load(self) -> Dataset:
        """Read the four files; raises DataError where one is missing or damaged."""
        split = EMNIST_SPLITS[self.split]
        prefixes = [f"emnist-{self.split}-{part}" for part in ("train", "test")]
        names = [name for prefix in prefixes for name in _idx_names(prefix)]
        folder = locate(
            self.root,
            "EMNIST/raw",
            names,
            download=self.download,
            using="EMNIST",
            split=self.split,
        )
        train, test = (
            _read_idx_pair(
                folder,
                prefix,
                count,
                len(split.class_names),
                checksums.EMNIST_SHA256,
                split.first_label,
            )
            for prefix, count in zip(prefixes, (split.train, split.test), strict=True)
        )
        return in_memory(
            train.images.swapaxes(2, 3),  # stored column by column
            train.labels,
            test.images.swapaxes(2, 3),
            test.labels,
            split.class_names,
            (split.mean,),
            (split.std,),
        )


@dataclass(frozen=True)
class USPS:
    """7,291 training and 2,007 test images of digits from envelopes, (1, 16, 16): Hull (1994).

    Args:
        root: Folder with ``usps.bz2`` and ``usps.t.bz2``, relative to the current directory.
        download: Whether torchvision may fetch what is missing.
    """

    root: str = "data"
    download: bool = False

    def __post_init__(self) -> None:
        check_source(self.root, self.download)

    def load(self) -> Dataset:
        """Read both files; raises DataError where one is missing or damaged."""
        parts = []
        for name, count, train in (("usps.bz2", 7_291, True), ("usps.t.bz2", 2_007, False)):
            folder = locate(
                self.root, "", [name], download=self.download, using="USPS", train=train
            )
            values, labels = read_libsvm(folder / name, count, 16 * 16)
            # -1 … 1 to 256 grey values, rounded down as torchvision does
            images = ((values + 1) / 2 * 255).astype(np.uint8).reshape(-1, 1, 16, 16)
            parts.append(Part(images, _from_zero(folder / name, labels, 1, 10)))
        return in_memory(*parts[0], *parts[1], DIGITS, (0.2539,), (0.3842,))


@dataclass(frozen=True)
class CIFAR10:
    """50,000 training and 10,000 test colour images, (3, 32, 32): Krizhevsky (2009).

    Args:
        root: Folder with ``cifar-10-batches-bin`` (the official binary version, read where it
            exists) or ``cifar-10-batches-py``, relative to the current directory.
        download: Whether torchvision may fetch what is missing.
    """

    root: str = "data"
    download: bool = False

    def __post_init__(self) -> None:
        check_source(self.root, self.download)

    def load(self) -> Dataset:
        """Read the six files; raises DataError where one is missing or damaged."""
        folder = opened(self.root) / BINARY
        known = checksums.CIFAR10_BINARY_MD5
        binary = folder.is_dir() and not (self.download and missing(folder, list(known)))
        if not binary:
            known = checksums.CIFAR10_PICKLE_MD5
        folder = locate(
            self.root,
            BINARY if binary else "cifar-10-batches-py",
            list(known),
            download=self.download,
            using="CIFAR10",
        )
        read = read_cifar_binary if binary else read_cifar_pickle
        parts = []
        for name, md5 in known.items():
            images, labels = read(folder / name, md5)
            parts.append(Part(images, _from_zero(folder / name, labels, 0, 10)))
        return in_memory(
            np.concatenate([part.images for part in parts[:-1]]),
            np.concatenate([part.labels for part in parts[:-1]]),
            *parts[-1],
            CIFAR10_CLASSES,
            (0.4914, 0.4822, 0.4465),
            (0.2470, 0.2435, 0.2616),
        )


@dataclass(frozen=True)
class CIFAR100:
    """50,000 training and 10,000 test colour images of 100 classes, (3, 32, 32): Krizhevsky (2009).

    Args:
        root: Folder with ``cifar-100-python``, relative to the current directory.
        download: Whether torchvision may fetch what is missing.
    """

    root: str = "data"
    download: bool = False

    COUNTS: ClassVar[tuple[int, int]] = (50_000, 10_000)

    def __post_init__(self) -> None:
        check_source(self.root, self.download)

    def load(self) -> Dataset:
        """Read the three files; raises DataError where one is missing or damaged."""
        known = checksums.CIFAR100_MD5
        folder = locate(
            self.root, "cifar-100-python", list(known), download=self.download, using="CIFAR100"
        )
        names = tuple(read_pickle(folder / "meta", known["meta"])["fine_label_names"])
        parts = []
        for name, count in zip(("train", "test"), self.COUNTS, strict=True):
            images, labels = read_cifar100(folder / name, count, known[name])
            parts.append(Part(images, _from_zero(folder / name, labels, 0, len(names))))
        mean, std = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
        return in_memory(*parts[0], *parts[1], names, mean, std)


@dataclass(frozen=True)
class SVHN:
    """73,257 training and 26,032 test images of house numbers' digits, (3, 32, 32).

    Netzer et al. (2011), the cropped digits, without the further "extra" images.

    Args:
        root: Folder with ``train_32x32.mat`` and ``test_32x32.mat``, relative to the current
            directory.
        download: Whether torchvision may fetch what is missing.
    """

    root: str = "data"
    download: bool = False

    def __post_init__(self) -> None:
        check_source(self.root, self.download)

    def load(self) -> Dataset:
        """Read both files; raises DataError where one is missing or damaged."""
        parts = []
        for name, md5 in checksums.SVHN_MD5.items():
            split = name.partition("_")[0]
            folder = locate(
                self.root, "", [name], download=self.download, using="SVHN", split=split
            )
            images, labels = read_svhn(folder / name, md5)
            parts.append(Part(images, _from_zero(folder / name, labels, 0, 10)))
        mean, std = (0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)
        return in_memory(*parts[0], *parts[1], DIGITS, mean, std)


def _idx_names(prefix: str) -> tuple[str, str]:
    return f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"


def _read_idx_pair(
    folder: Path,
    prefix: str,
    count: int,
    num_classes: int,
    sha256: Mapping[str, str],
    first_label: int = 0,
) -> Part:
    """Images (count, 1, 28, 28) and labels from 0 of two IDX files."""
    images, labels = _idx_names(prefix)
    pixels = read_idx(folder / images, (count, 28, 28), sha256.get(images))
    numbers = read_idx(folder / labels, (count,), sha256.get(labels)).astype(np.int64)
    return Part(pixels[:, None], _from_zero(folder / labels, numbers, first_label, num_classes))


def _from_zero(
    path: Path, labels: NDArray[np.int64], first: int, num_classes: int
) -> NDArray[np.int64]:
    """Labels 0 … C-1 of labels that begin at ``first``; raises DataError for others."""
    last = first + num_classes - 1
    if labels.min() < first or labels.max() > last:
        found = f"{labels.min()} to {labels.max()}"
        raise damaged(path, f"its labels are {found} and should be {first} to {last}")
    return labels - first
