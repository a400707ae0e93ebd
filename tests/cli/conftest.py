"""Command lines typed in an empty folder, and the curves that they leave."""

import sys

import numpy as np
import pytest

from al_bench import cli
from al_bench.data import ambiguous, vision
from al_bench.data.build import in_memory

QUICK = (
    "training.max_epochs=1",
    "training.epoch_size=64",
    "model.num_samples=3",
    "model/network=mlp",
    "model.network.hidden=[16]",
    "budget.total=35",
    "seeds=2",
)

CLASSES = [str(label) for label in range(10)]
SETS = {
    vision.MNIST: 1,
    vision.FashionMNIST: 1,
    vision.EMNIST: 1,
    ambiguous.MadeAmbiguousMNIST: 1,
    vision.CIFAR10: 3,
    vision.CIFAR100: 3,
    vision.SVHN: 3,
}


@pytest.fixture
def al_bench(tmp_path, monkeypatch, capfd):
    """Type a command line in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["al-bench"])
    monkeypatch.setattr(sys, "path", [*sys.path])

    def run(*words):
        code = cli.main(list(words))
        out, err = capfd.readouterr()
        return code, out, err

    return run


@pytest.fixture
def quick_run(al_bench):
    """``al-bench run`` of something that is over in a second; later words replace earlier ones."""

    def run(*words):
        last = {word.partition("=")[0]: word for word in (*QUICK, *words)}
        return al_bench("run", *last.values())

    return run


@pytest.fixture
def curves(tmp_path):
    """What lies in the results folder, but for the columns that clocks and memory decide."""
    from al_bench.results.frame import read_curves
    from al_bench.results.schema import MEASURED

    def read(folder="results"):
        frame = read_curves([tmp_path / folder]).drop(columns=list(MEASURED))
        return frame.sort_values(["strategy_label", "seed", "round"]).reset_index(drop=True)

    return read


@pytest.fixture
def handfuls(monkeypatch):
    """Each data set has 100 training and 20 test points, noise around the class's own image."""
    for number, (source, channels) in enumerate(SETS.items()):
        draw = np.random.default_rng(number)
        side = 28 if channels == 1 else 32
        centers = draw.integers(0, 200, (10, channels, side, side))
        halves = []
        for count in (100, 20):
            labels = np.arange(count) % 10
            noise = draw.integers(0, 55, (count, channels, side, side))
            halves += [(centers[labels] + noise).astype(np.uint8), labels]
        dataset = in_memory(*halves, CLASSES, (0.5,) * channels, (0.5,) * channels)
        monkeypatch.setattr(source, "load", lambda _, dataset=dataset: dataset)
