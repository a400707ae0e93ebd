"""What results hold already of a run that is about to begin."""

import numpy as np
import pytest

from al_bench.configuration.composing import compose
from al_bench.running.prepare import prepare


@pytest.fixture
def notes(tmp_path):
    """What is told of a run on these data, with the folder of the run."""
    x, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 3
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y, x_test=x, y_test=y)

    def of(*words):
        own = ("dataset=arrays", f"dataset.path={tmp_path / 'own.npz'}", "strategy=random")
        budget = ("budget.init_size=10", "budget.total=20", "budget.validation_size=0")
        prepared = prepare(compose([*own, *budget, f"results={tmp_path / 'results'}", *words]))
        return prepared.notes, prepared.folder

    return of


def test_a_run_of_equal_data_with_another_name_is_told(notes, tmp_path):
    _, folder = notes("dataset.name=first")
    folder.mkdir(parents=True)
    said, other = notes()
    assert other.name == folder.name
    [sentence] = [one for one in said if "under the name" in one]
    assert "under the name first. dataset.name=first goes on with it." in sentence
    assert not any("under the name" in one for one in notes("dataset.name=first")[0])
    assert not any("under the name" in one for one in notes("budget.total=30")[0])
