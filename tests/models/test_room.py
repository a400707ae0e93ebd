"""What is held of all points of a pool is refused before it is computed where it does not fit."""

import json

import pytest
import torch

from al_bench.errors import AlBenchError
from al_bench.models import room
from al_bench.models.base import GradientFactors
from al_bench.running import notebook


@pytest.fixture
def little(tmp_path, monkeypatch):
    """A machine with four megabytes left."""
    path = tmp_path / "meminfo"
    path.write_text("MemTotal: 99999999 kB\nMemAvailable: 4000 kB\n")
    monkeypatch.setattr(room, "MEMINFO", path)


def words(strategy, num_samples):
    return (
        "seeds=1",
        "budget.total=30",
        f"strategy={strategy}",
        f"model.num_samples={num_samples}",
    )


@pytest.mark.slow
def test_what_does_not_fit_is_refused_with_its_bytes_and_a_way_out(make_trials, little):
    with pytest.raises(AlBenchError) as error:
        notebook.execute(make_trials(*words("batchbald", 100)))
    assert str(error.value) == (
        "BatchBALD: log-probabilities of 1,277 points by 100 samples take 5 MB, and 4 MB are "
        "available on cpu. Choose among fewer of them: strategy=subsample "
        "strategy@strategy.of=… strategy.size=10000."
    )


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "num_samples"), [("bald", 100), ("batchbald", 20)])
def test_what_fits_and_what_is_never_held_goes_on(make_trials, little, strategy, num_samples):
    frame = notebook.execute(make_trials(*words(strategy, num_samples)))
    assert frame["num_labeled"].tolist() == [20, 30]


@pytest.mark.slow
def test_the_way_out_is_one(make_trials, little):
    chosen = ("strategy@strategy.of=batchbald", "strategy.size=500")
    frame = notebook.execute(make_trials(*words("subsample", 100), *chosen))
    assert frame["num_labeled"].tolist() == [20, 30]
    assert "information" in json.loads(frame["notes"].iloc[0])


def test_rows_are_those_of_the_chunks_in_their_order():
    values = torch.arange(24.0).view(8, 3)
    whole = room.rows_of(iter(torch.split(values, 3)), 8, "values")
    assert torch.equal(whole, values)
    parts = (GradientFactors(part, 2 * part) for part in torch.split(values, 5))
    factors = room.rows_of(parts, 8, "values")
    assert isinstance(factors, GradientFactors)
    assert torch.equal(factors.features, 2 * values)
    assert room.rows_of(iter([torch.empty(0, 3)]), 0, "nothing").shape == (0, 3)


def test_a_machine_that_does_not_say_what_it_has_refuses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "MEMINFO", tmp_path / "none")
    assert room.available(torch.device("cpu")) is None
    assert room.rows_of(iter([torch.ones(2, 3)]), 2, "values").shape == (2, 3)


def test_chunks_with_fewer_rows_than_points_are_told():
    with pytest.raises(AlBenchError, match=r"Features of 5 points: the model gave 4 rows\."):
        room.rows_of(iter([torch.zeros(2, 3), torch.zeros(2, 3)]), 5, "Features of 5 points")
