"""The data set that needs no download: scikit-learn's handwritten digits."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from al_bench.data.base import Dataset
from al_bench.data.build import in_memory

TEST_PER_CLASS = 50
MEAN, STD = 0.3057, 0.3765  # of the training images, grey values 0 … 1


@dataclass(frozen=True)
class Digits:
    """1,297 training and 500 test images of digits, (1, 8, 8), as scikit-learn ships them.

    Alpaydin and Kaynak (1998), the test part of the UCI set. Each class gives the same 50 test
    images whatever the seed.
    """

    def load(self) -> Dataset:
        """Read the images out of the scikit-learn package."""
        x, y = _read()
        images = (x / 16).astype(np.float32).reshape(-1, 1, 8, 8)  # grey values 0 … 16
        labels = y.astype(np.int64)
        # The legacy generator: its stream is frozen, so the split is the same under every numpy.
        order = np.random.RandomState(0).permutation(len(labels))
        test = np.sort(
            np.concatenate([order[labels[order] == c][:TEST_PER_CLASS] for c in range(10)])
        )
        train = np.setdiff1d(np.arange(len(labels)), test)
        return in_memory(
            images[train],
            labels[train],
            images[test],
            labels[test],
            class_names=[str(digit) for digit in range(10)],
            mean=(MEAN,),
            std=(STD,),
        )


def _read() -> tuple[np.ndarray, np.ndarray]:
    """Grey values (1797, 64) from 0 to 16, and labels (1797,).

    Of the file itself where it is found: importing scikit-learn takes as long as importing torch.
    """
    spec = find_spec("sklearn")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, "datasets", "data", "digits.csv.gz")
        if path.is_file():
            table = np.loadtxt(path, delimiter=",")
            return table[:, :-1], table[:, -1]
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return x, y
