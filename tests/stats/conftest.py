"""Frames of curves with known differences between arms."""

import pandas as pd
import pytest

from al_bench.results import schema

NAMES = {"dataset": "digits", "pool": "full", "model": "mc_dropout", "budget": "small"}
MORE = {"task": "active_learning", "network": "mlp", "training": "adam", "device": "cpu"}


@pytest.fixture
def make_frame():
    """Rows of curves as the store gives them; ``value(seed, round)`` fills the metric."""

    def make(
        label,
        seeds,
        rounds,
        value,
        *,
        init=10,
        batch=10,
        protocol="p0",
        metric="test_accuracy",
        **names,
    ):
        rows = [
            {
                **NAMES,
                **MORE,
                "protocol_id": protocol,
                "run_id": f"{protocol}-{label}",
                "strategy": label.split("(")[0],
                "strategy_label": label,
                "seed": seed,
                "round": round,
                "num_labeled": init + batch * round,
                metric: value(seed, round),
                **names,
            }
            for seed in seeds
            for round in rounds
        ]
        return pd.DataFrame(rows).reindex(columns=schema.CURVE.names)

    return make
