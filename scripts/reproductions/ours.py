"""What was measured here, of the curves under ``results/reference``.

S seeds.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from al_bench.results.frame import read_curves
from al_bench.results.settings import of_runs
from al_bench.stats.areas import normalized_area
from al_bench.stats.comparison import compare
from al_bench.stats.spent import spent
from reproductions.published import Experiment, Number, Ordering

Array = NDArray[np.float64]


def rows_of(reference: Path, experiment: Experiment) -> pd.DataFrame:
    """Curves or rows of the experiment, those alone that it wants, each labelled with its arm.

    Where the experiment names its arms, all of them are one protocol's.
    """
    assert experiment.results is not None
    stored = reference / experiment.results
    frame = _of_study(stored) if experiment.study else read_curves(stored)
    frame = frame[_having(frame, experiment.rows)]
    if not experiment.arms:
        return frame.assign(strategy_label=frame["strategy"]).sort_values("round")
    parts = [
        frame[_having(frame, wanted)].assign(strategy_label=name, protocol_id="these arms")
        for name, wanted in experiment.arms.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _of_study(folder: Path) -> pd.DataFrame:
    return pd.concat(map(pd.read_parquet, sorted(folder.glob("seed=*.parquet"))))


def arm_of(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of one arm; empty where it was not run."""
    return frame[frame["strategy_label"] == name]


def _having(frame: pd.DataFrame, wanted: Mapping[str, Any]) -> "pd.Series[bool]":
    """Which rows have these values in these columns, or settings."""
    kept = pd.Series(True, index=frame.index)
    settings = {run: json.loads(text) for run, text in of_runs(frame).items()}
    for key, value in wanted.items():
        if key in frame:
            kept &= frame[key].isna() if value is None else frame[key] == value
        else:
            runs = [run for run, of_run in settings.items() if of_run.get(key) == value]
            kept &= frame["run_id"].isin(runs)
    return kept


def values_of(rows: pd.DataFrame, number: Number) -> Array:
    """(S,) the number of each seed of one arm; infinite for a seed that never reaches it."""
    values = []
    for _, trial in rows.groupby("seed"):
        curve = trial[number.metric].to_numpy(dtype=np.float64)
        if number.less is not None:
            curve = curve - trial[number.less].to_numpy(dtype=np.float64)
        if number.mean:
            values.append(float(np.nanmean(curve)))
        else:
            values.append(_of_curve(spent(trial).to_numpy(dtype=np.float64), curve, number))
    scale = 100.0 if number.in_points else 1.0
    return np.array(values) * scale


def _of_curve(places: Array, curve: Array, number: Number) -> float:
    if number.reach is not None:
        reached = curve >= number.reach
        return float(places[reached.argmax()]) if reached.any() else np.inf
    if number.at is not None:
        return float(curve[places == number.at].item())
    if number.area:
        return float(normalized_area(places, curve, places[0], places[-1]))
    return float(curve[-1])


def speed_ups(frame: pd.DataFrame, number: Number) -> dict[str, Array]:
    """Arm to its published speed-up on each seed, (S,)."""
    (result,) = compare(frame, number.metric, number.speed_up).protocols
    return {arm.arm: arm.speed_up_published.values for arm in result.arms if arm.speed_up_published}


def said_of(frame: pd.DataFrame, ordering: Ordering) -> str | None:
    """What ``compare`` says of an ordering, after Holm's adjustment; None where an arm is lacking.

    One of better, worse, equivalent and not distinguishable.
    """
    if not {ordering.better, ordering.than} <= set(frame["strategy_label"]):
        return None
    (result,) = compare(frame, ordering.metric, ordering.than).protocols
    (arm,) = [arm for arm in result.arms if arm.arm == ordering.better]
    return arm.verdict
