"""Results of active sampling that nobody ran, whose speed-ups are known.

An arm of speed v has after t steps what ``uniform`` has after v · t, up to noise of its own.
"""

import math

import numpy as np
import pandas as pd

from al_bench.results import parquet, schema

STEPS_PER_PASS = 20
CANDIDATES = 50
ROW = {
    "task": "classification",
    "dataset": "digits",
    "pool": "full",
    "model": "deterministic",
    "network": "rho_mlp",
    "training": "steps",
    "budget": "steps",
    "setting": schema.SAMPLING,
    "num_labeled": STEPS_PER_PASS * CANDIDATES + 7,  # the rest of a pass is dropped
    "num_queried": STEPS_PER_PASS * CANDIDATES + 7,
    "num_validation": 0,
    "num_holdout": 500,
    "device": "cpu",
    "scoring_precision": "float32",
    "training_precision": "float32",
    "threads": 1,
    "chunk_bytes": 1,
    "torch_version": "2",
    "al_bench_version": "0",
    "numerics_version": 3,
}
SPEEDS = {"uniform": 1.0, "rho_loss": 2.0, "loss": 0.5}


def accuracy(steps, speed, seed, noise=0.0):
    """Of an arm after so many steps: from 0.1 at the start towards 0.98."""
    drawn = np.random.default_rng([seed, steps, int(1000 * speed)]).normal() if steps else 0.0
    return 0.1 + 0.88 * (1 - math.exp(-speed * steps / 80)) + noise * drawn


def arm(label, seeds, value, *, every=10, rounds=20, protocol="p0", see=CANDIDATES, **columns):
    """Rows of one selection; ``value(seed, steps)`` is its accuracy."""
    rows = [
        {
            **ROW,
            "protocol_id": protocol,
            "run_id": f"{protocol}-{label}",
            "strategy": label.split("(")[0],
            "strategy_label": label,
            "seed": seed,
            "round": round,
            "steps": every if round else 0,
            "total_steps": every * round,
            "candidates_seen": every * round * see,
            "test_accuracy": value(seed, every * round),
            **{name: x(seed, round) if callable(x) else x for name, x in columns.items()},
        }
        for seed in seeds
        for round in range(rounds + 1)
    ]
    frame = pd.DataFrame(rows).reindex(columns=schema.CURVE.names)
    integers = ["total_steps", "candidates_seen", "num_holdout"]
    return frame.astype(dict.fromkeys(integers, "Int64"))  # as the store gives them


def arms(seeds=range(5), speeds=SPEEDS, noise=0.003, **columns):
    """Arms of known speeds, with shares of what they chose and times."""
    return pd.concat(
        [
            arm(
                label,
                seeds,
                lambda seed, steps, v=speed: accuracy(steps, v, seed, noise),
                **shares(label),
                **times(label),
                **columns,
            )
            for label, speed in speeds.items()
        ],
        ignore_index=True,
    )


def shares(label):
    """A tenth of the labels is wrong: ``loss`` likes them, ``rho_loss`` doesn't."""
    wrong = {"uniform": 0.1, "loss": 0.3, "rho_loss": 0.02}.get(label, 0.1)

    def after_steps(share):
        return lambda seed, round: share(seed, round) if round else None

    return {
        "selected_wrong": after_steps(lambda seed, round: wrong + 0.001 * seed),
        "selected_known": after_steps(lambda seed, round: min(0.05 * round, 0.9)),
        "selected_outside": after_steps(lambda seed, round: 0.0),
        "selected_seen": after_steps(lambda seed, round: 1 - 0.9**round),
    }


def times(label):
    """A step of ``uniform`` takes 10 ms, of others 20 ms; ``rho_loss`` first trains for 1 s."""
    return {
        "seconds_irreducible": lambda seed, round: (
            1.0 if label == "rho_loss" and not round else None
        ),
        "seconds_select": lambda seed, round: 0.1 if label != "uniform" and round else 0.0,
        "seconds_fit": lambda seed, round: 0.1 if round else None,
    }


def store(frame, root):
    """Writes a frame as the results store does."""
    for (run, seed), rows in frame.groupby(["run_id", "seed"]):
        first = rows.iloc[0]
        folder = root / first["dataset"] / first["model"] / first["strategy"] / run / "curves"
        folder.mkdir(parents=True, exist_ok=True)
        known = [
            {k: v for k, v in row.items() if not _is_missing(v)} for row in rows.to_dict("records")
        ]
        content = parquet.encode(schema.table(known, schema.CURVE), {})
        (folder / f"seed={seed}.parquet").write_bytes(content)
    return root


def _is_missing(value):
    return not isinstance(value, list) and pd.isna(value)
