"""Rows of curves that figures are drawn of."""

import pandas as pd
import pytest

from al_bench.results import parquet, schema

ROW = {
    "task": "active_learning",
    "protocol_id": "p0",
    "dataset": "digits",
    "pool": "full",
    "model": "mc_dropout",
    "network": "mlp",
    "training": "adam",
    "budget": "small",
    "num_queried": 0,
    "num_validation": 0,
    "steps": 10,
    "device": "cpu",
    "scoring_precision": "float32",
    "training_precision": "float32",
    "threads": 1,
    "chunk_bytes": 1,
    "torch_version": "2",
    "al_bench_version": "0",
    "numerics_version": 1,
}


def rising(seed, round):
    return min(0.5 + 0.1 * round + 0.01 * seed, 1.0)


@pytest.fixture
def make_frame():
    """Rows of one strategy's curves; ``value(seed, round)`` fills the metric."""

    def make(label, seeds, rounds, value=rising, *, metric="test_accuracy", **names):
        protocol = names.get("protocol_id", "p0")
        rows = [
            {
                **ROW,
                "run_id": f"{protocol}-{label}",
                "strategy": label.split("(")[0],
                "strategy_label": label,
                "seed": seed,
                "round": round,
                "num_labeled": 10 + 10 * round,
                metric: value(seed, round),
                **names,
            }
            for seed in seeds
            for round in rounds
        ]
        return pd.DataFrame(rows).reindex(columns=schema.CURVE.names)

    return make


@pytest.fixture
def store(tmp_path):
    """Writes a frame as the results store does; the results folder."""

    def write(frame, root="results"):
        for (run, seed), rows in frame.groupby(["run_id", "seed"]):
            names = rows.iloc[0]
            folder = tmp_path / root / names["dataset"] / names["model"] / names["strategy"] / run
            folder = folder / "curves"
            folder.mkdir(parents=True, exist_ok=True)
            present = rows.dropna(axis="columns", how="all").to_dict("records")
            table = schema.table(present, schema.CURVE)
            (folder / f"seed={seed}.parquet").write_bytes(parquet.encode(table, {}))
        return tmp_path / root

    return write
