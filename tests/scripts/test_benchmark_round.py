"""The benchmark of a round measures one run, which is that of the protocol it names."""

import sys
from pathlib import Path

import pytest

from al_bench.configuration.composing import compose

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.mark.slow
def test_its_rounds_are_those_of_the_preset(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(SCRIPTS), *sys.path])
    import benchmark_round

    run, preset = compose(benchmark_round.MNIST), compose(["experiment=batchbald/mnist"])
    assert not run.is_sweep
    for group in ("dataset", "model", "network", "training", "budget"):
        assert run.names[group] == preset.names[group], group
    for node, changed in (
        ("training", {"max_epochs", "monitor", "patience"}),
        ("budget", {"total"}),
        ("model", {"num_samples"}),
    ):
        measured, published = dict(run.config[node]), dict(preset.config[node])
        assert {k for k in published if measured[k] != published[k]} <= changed, node
