"""Command lines typed in an empty folder, and the curves that they leave."""

import sys

import pytest

from al_bench import cli

QUICK = (
    "training.max_epochs=1",
    "training.epoch_size=64",
    "model.num_samples=3",
    "model/network=mlp",
    "model.network.hidden=[16]",
    "budget.total=35",
    "seeds=2",
)


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
