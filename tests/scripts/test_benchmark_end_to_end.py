"""The benchmark of whole runs beside other tools, on made-up images: what it writes."""

import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
SIDES = [
    pytest.param("al-bench"),
    *(
        pytest.param(name, marks=pytest.mark.skipif(not found, reason=f"no {name}"))
        for name in ("baal", "batchbald_redux")
        for found in [importlib.util.find_spec(name)]
    ),
]


@pytest.fixture
def benchmark(monkeypatch):
    """The script, importable as when it is run."""
    monkeypatch.setattr(sys, "path", [str(SCRIPTS), *sys.path])
    import benchmark_end_to_end

    return benchmark_end_to_end


@pytest.fixture
def root(tmp_path):
    """As many images as MNIST has, of noise, in its files."""
    folder, generator = tmp_path / "MNIST" / "raw", np.random.default_rng(0)
    folder.mkdir(parents=True)
    for part, count in (("train", 60_000), ("t10k", 10_000)):
        images = generator.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        for name, values in (("images-idx3", images), ("labels-idx1", labels)):
            shape = np.array(values.shape, dtype=">i4").tobytes()
            magic = bytes([0, 0, 8, values.ndim])
            (folder / f"{part}-{name}-ubyte").write_bytes(magic + shape + values.tobytes())
    return tmp_path


@pytest.fixture
def on_digits(benchmark, monkeypatch):
    """al-bench refuses images that are not MNIST's; so it gets others."""
    typed = benchmark.typed

    def other(*given):
        left_out = ("dataset", "model/network")
        words = [word for word in typed(*given) if not word.startswith(left_out)]
        return [*words, "dataset=digits", "model/network=digits_cnn"]

    monkeypatch.setattr(benchmark, "typed", other)


@pytest.mark.slow
@pytest.mark.parametrize("side", SIDES)
def test_a_side_does_its_rounds_and_tells_what_they_took(
    benchmark, on_digits, root, side, tmp_path, capsys
):
    words = ["--root", str(root), "--pool", "60", "--samples", "2", "--rounds", "2"]
    out = tmp_path / "out.json"
    assert benchmark.main([*words, "--repeats", "1", "--only", side, "--out", str(out)]) == 0
    content = json.loads(out.read_text())
    found = content["sides"][side]
    assert content["work"] == {"samples": 2, "pool": 60, "rounds": 2, "repeats": 1}
    assert set(content["versions"]) == {"torch", "numpy", side}
    assert [row["num_labeled"] for row in found["rounds"][0]] == [20, 30]
    assert all(0 < row["accuracy"] < 1 and row["nll"] > 0 for row in found["rounds"][0])
    assert all(value > 0 for kind in ("cpu", "clock", "mebibytes") for value in found[kind])
    assert f"| {side} |" in capsys.readouterr().out


@pytest.mark.slow
def test_all_sides_are_given_the_same_work(benchmark, tmp_path):
    from peers import work

    from al_bench.configuration.composing import compose

    asked = SimpleNamespace(root=tmp_path, pool=10_000, samples=20, rounds=3)
    config = compose(benchmark.typed(asked, 0, str(tmp_path))).config
    training, budget = config.training, config.budget
    assert training.batch_size == work.STEP_SIZE
    assert training.epoch_size * training.max_epochs == work.STEPS * work.STEP_SIZE
    assert training.optimizer == "adam"
    assert training.learning_rate == work.LEARNING_RATE
    assert training.weight_decay == 0
    assert budget.init_per_class * 10 == work.INIT_SIZE
    assert budget.batch_size == work.BATCH
    assert budget.total == work.INIT_SIZE + 2 * work.BATCH
    assert config.strategy.max_configurations == work.OUTCOMES
    assert config.model.num_samples == 20
    assert config.evaluation.num_samples is None


def test_peers_that_are_not_there_are_named(benchmark, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(benchmark, "find_spec", lambda name: None if name == "baal" else object())
    assert benchmark.main(["--root", str(tmp_path)]) == 1
    assert capsys.readouterr().out == "baal: not installed. Try: pip install -e '.[peers]'\n"


def test_ratios_are_of_neighbors_in_time(benchmark):
    kinds = {"clock": [1.0, 2.0], "mebibytes": [5.0, 5.0], "rounds": [[{"accuracy": 0.5}]] * 2}
    sides = {"al-bench": {"cpu": [10.0, 20.0], **kinds}, "baal": {"cpu": [100.0, 240.0], **kinds}}
    content = {
        "processor": {"name": "A processor"},
        "load": [1.0],
        "work": {"samples": 20},
        "sides": sides,
    }
    (line,) = (line for line in benchmark.table(content).splitlines() if "| baal" in line)
    assert "| 11× [10, 12] |" in line
