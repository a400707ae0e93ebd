"""The benchmark of large pools, on a small one: what it writes, and when it is not content."""

import json
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def benchmark(monkeypatch):
    """The script, importable as when it is run."""
    monkeypatch.setattr(sys, "path", [str(SCRIPTS), *sys.path])
    import benchmark_large_pools

    return benchmark_large_pools


@pytest.mark.slow
@pytest.mark.parametrize(("wanted", "code"), [(4.0, 0), (0.01, 1)])
def test_memory_beside_the_pool_is_told_and_judged(benchmark, monkeypatch, tmp_path, wanted, code):
    monkeypatch.setattr(benchmark, "WANTED", wanted)
    monkeypatch.setattr(benchmark, "BATCH", 10)
    words = ["--points", "400", "--only", "powerbald", "--out", str(tmp_path / "out.json")]
    assert benchmark.main(words) == code
    content = json.loads((tmp_path / "out.json").read_text())
    (row,) = content["rows"]
    assert (content["points"], row["strategy"]) == (400, "powerbald")
    assert 0.1 < row["gibibytes"] < 4.0
    assert row["score"] > 0


def test_every_strategy_of_the_table_is_one_of_al_bench(benchmark):
    conf = SCRIPTS.parent / "conf" / "strategy"
    for name, words in benchmark.STRATEGIES.items():
        if not words:
            assert (conf / f"{name}.yaml").exists(), name
