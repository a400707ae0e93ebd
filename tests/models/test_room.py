"""What is held of all points of a pool is refused before it is computed where it does not fit."""

import json

import pytest
import torch

from al_bench.errors import AlBenchError
from al_bench.models import cgroups, room
from al_bench.models.base import GradientFactors
from al_bench.running import notebook


@pytest.fixture
def little(available):
    """A machine with four megabytes left."""
    available(4_000)


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
    monkeypatch.setattr(cgroups, "MEMBERSHIP", tmp_path / "none")
    assert room.available(torch.device("cpu")) is None
    assert room.rows_of(iter([torch.ones(2, 3)]), 2, "values").shape == (2, 3)


SECOND = ("memory.max", "memory.current", "inactive_file", "0::/job/step", "")
FIRST = (
    "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file",
    "5:cpu,cpuacct:/\n4:memory:/job/step\n0::/", "memory",
)  # fmt: skip


@pytest.mark.parametrize(
    ("version", "without_limit"), [(SECOND, "max"), (FIRST, str(2**63 - 4096))]
)
def test_a_container_with_less_than_the_machine_has_that(
    tmp_path, monkeypatch, little, version, without_limit
):
    limit_file, used_file, cached, membership, mount = version
    own = tmp_path / mount / "job" / "step"
    own.mkdir(parents=True)
    (tmp_path / "membership").write_text(membership + "\n")
    monkeypatch.setattr(cgroups, "MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(cgroups, "MOUNT", tmp_path)

    def limit(folder, most, used):
        (folder / limit_file).write_text(f"{most}\n")
        (folder / used_file).write_text(f"{used}\n")
        hot = cached.replace("inactive", "active")
        (folder / "memory.stat").write_text(f"anon 7\n{hot} 200000\n{cached} 300000\n")

    cpu = torch.device("cpu")
    assert room.available(cpu) == 4_096_000  # groups say nothing
    limit(own, without_limit, 9_000_000)
    assert room.available(cpu) == 4_096_000
    limit(own, 10_000_000, 9_000_000)  # half a megabyte of that is cached files
    assert room.available(cpu) == 1_500_000
    limit(own.parent, 9_600_000, 9_000_000)  # of all steps of the job together
    assert room.available(cpu) == 1_100_000
    limit(own.parent, 1_000_000, 9_000_000)
    assert room.available(cpu) == 0
    limit(own.parent, 99_000_000, 1)
    limit(own, 99_000_000, 1)
    assert room.available(cpu) == 4_096_000  # the machine has less


def test_chunks_with_fewer_rows_than_points_are_told():
    with pytest.raises(AlBenchError, match=r"Features of 5 points: the model gave 4 rows\."):
        room.rows_of(iter([torch.zeros(2, 3), torch.zeros(2, 3)]), 5, "Features of 5 points")
