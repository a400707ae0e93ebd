"""Tables of the UCI repository, read from its own files: three that EPIG was published with.

Splits and standardisation are those of Bickford Smith et al. (2023), arXiv:2304.08151: features
have mean 0 and standard deviation 1 over the training part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from al_bench.data.base import Dataset
from al_bench.data.build import in_memory
from al_bench.data.files import check_source, damaged, missing
from al_bench.data.formats import read_table
from al_bench.errors import DataError, keyed
from al_bench.paths import opened


class Table(NamedTuple):
    """What a file holds: features (n, F), float32, and labels (n,), from 0."""

    features: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class _Uci:
    """A data set in one folder of text files, packed with gzip or not.

    Args:
        root: Folder with its files, relative to the current directory.
    """

    root: str = "data"

    FILES: ClassVar[Sequence[str]]
    NAMES: ClassVar[Sequence[str]]  # of the classes
    FROM: ClassVar[str]  # where the files are to be had

    def __post_init__(self) -> None:
        check_source(self.root, False)

    def load(self) -> Dataset:
        """Read its files; raises DataError where one is missing, cut or of another kind."""
        folder = opened(self.root).absolute()
        if absent := missing(folder, self.FILES):
            what = f"{folder} lacks {absent[0]}"
            if not folder.is_dir():
                what = f"There is no folder {folder}"
            raise DataError(
                f"{what}.",
                f"Get {absent[0]} from {self.FROM}. {keyed('root')}=... is the folder that holds "
                "it.",
            )
        try:
            train, test = self.parts(folder)
        except DataError as error:  # its own hint is for what can be downloaded
            raise DataError(error.message, f"Get it again from {self.FROM}.") from error
        mean = train.features.mean(axis=0, dtype=np.float64)
        std = train.features.std(axis=0, dtype=np.float64)
        return in_memory(*train, *test, self.NAMES, tuple(map(float, mean)), tuple(map(float, std)))

    def parts(self, folder: Path) -> tuple[Table, Table]:
        """Training and test part, features as they are in the files."""
        raise NotImplementedError


@dataclass(frozen=True)
class Magic(_Uci):
    """MAGIC gamma telescope, 13,314 training and 5,706 test points of 10 features, 2 classes.

    Bock et al. (2004). The file has no split: its rows are shuffled, equally for every seed, and
    the last 30 % are for testing.
    """

    FILES = ("magic04.data",)
    NAMES = ("gamma", "hadron")
    FROM = "archive.ics.uci.edu/dataset/159"
    COUNTS: ClassVar[tuple[int, int]] = (12_332, 6_688)

    def parts(self, folder: Path) -> tuple[Table, Table]:
        """The first 70 % of the shuffled rows, and the others."""
        rows = sum(self.COUNTS)
        table = _table(folder / self.FILES[0], rows, 10, ("g", "h"), self.COUNTS)
        # The legacy generator: its stream is frozen, so the split is the same under every numpy.
        order = np.random.RandomState(0).permutation(rows)
        num_test = int(0.3 * rows)
        return _at(table, order[:-num_test]), _at(table, order[-num_test:])


@dataclass(frozen=True)
class Satellite(_Uci):
    """Statlog Landsat satellite, 4,435 training and 2,000 test points of 36 features, 6 classes.

    Michie et al. (1994). The features are four spectral bands of 3x3 pixels.
    """

    FILES = ("sat.trn", "sat.tst")
    NAMES = ("red soil", "cotton crop", "grey soil", "damp grey soil", "vegetation stubble",
             "very damp grey soil")  # fmt: skip
    FROM = "archive.ics.uci.edu/dataset/146"
    COUNTS: ClassVar[tuple[Sequence[int], Sequence[int]]] = (
        (1_072, 479, 961, 415, 470, 1_038),
        (461, 224, 397, 211, 237, 470),
    )

    def parts(self, folder: Path) -> tuple[Table, Table]:
        """A file each."""
        train, test = (
            _table(folder / name, sum(counts), 36, ("1", "2", "3", "4", "5", "7"), counts)
            for name, counts in zip(self.FILES, self.COUNTS, strict=True)
        )
        return train, test


@dataclass(frozen=True)
class Vowel(_Uci):
    """Vowels of British English, 528 training and 462 test points of 10 features, 11 classes.

    Deterding (1989). Eight speakers are for training, seven others for testing; the features are
    log area ratios.
    """

    FILES = ("vowel-context.data",)
    NAMES = ("hid", "hId", "hEd", "hAd", "hYd", "had", "hOd", "hod", "hUd", "hud", "hed")
    FROM = "archive.ics.uci.edu/dataset/152"

    def parts(self, folder: Path) -> tuple[Table, Table]:
        """The rows that the first column marks with 0, and those that it marks with 1."""
        path = folder / self.FILES[0]
        words = [str(label) for label in range(11)]
        # Beside the features: the part, the speaker and the sex.
        table = _table(path, 990, 13, words, (90,) * 11)
        is_test = table.features[:, 0] == 1
        if int(is_test.sum()) != 462:
            raise damaged(path, f"it marks {int(is_test.sum())} rows as a test and should mark 462")
        features = Table(np.ascontiguousarray(table.features[:, 3:]), table.labels)
        return _at(features, np.flatnonzero(~is_test)), _at(features, np.flatnonzero(is_test))


def _at(table: Table, rows: NDArray[np.int64]) -> Table:
    return Table(table.features[rows], table.labels[rows])


def _table(
    path: Path, rows: int, features: int, words: Sequence[str], counts: Sequence[int]
) -> Table:
    """A file of so many features and a class a row, the classes named by ``words``."""
    texts = read_table(path, rows, features + 1)
    label_of = {word: label for label, word in enumerate(words)}
    if unknown := set(texts[:, -1]) - set(words):
        raise damaged(path, f"it has a class {min(unknown)}, and should have {', '.join(words)}")
    labels = np.array([label_of[word] for word in texts[:, -1]], dtype=np.int64)
    found = np.bincount(labels, minlength=len(words)).tolist()
    if found != list(counts):
        raise damaged(path, f"its classes have {found} rows and should have {list(counts)}")
    try:
        numbers = texts[:, :-1].astype(np.float32)
    except ValueError as error:
        raise damaged(path, f"{error}") from error
    if not np.isfinite(numbers).all():
        raise damaged(path, "a feature is no finite number")
    return Table(numbers, labels)
