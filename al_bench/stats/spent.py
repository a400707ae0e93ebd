"""What a row has spent: labels where they are bought, optimizer steps where all are known.

Statistics and figures ask this module; rows of the two kinds are never pooled.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from al_bench.errors import ResultsError
from al_bench.results.schema import SAMPLING


@dataclass(frozen=True)
class Axis:
    """What is spent, and what results that spend it are called.

    Args:
        one: One of it.
        many: Several.
        choice: What tells arms apart.
        choices: Several of them.
        baseline: The arm that the others are compared with unless another is named.
    """

    one: str
    many: str
    choice: str
    choices: str
    baseline: str

    @property
    def title(self) -> str:
        """As on an axis."""
        return f"Number of {self.many}"

    def counted(self, number: int) -> str:
        """``1 label``, ``20 labels``."""
        return f"{number} {self.one if number == 1 else self.many}"


LABELS = Axis("label", "labels", "strategy", "strategies", "random")
STEPS = Axis("step", "steps", "selection", "selections", "uniform")


def spent(frame: pd.DataFrame) -> "pd.Series[int]":
    """What each row has spent: labels, or optimizer steps where ``setting`` is ``sampling``.

    Labels that were asked for count where annotators refused some (``labels_asked_for``).

    Args:
        frame: Rows of curves; without the column ``setting`` all of them have bought labels.

    Raises:
        ResultsError: A row of sampling does not say how many steps were taken.
    """
    is_sampling = _is_sampling(frame)
    labels, _ = labels_asked_for(frame)
    if not is_sampling.any():
        return labels
    steps = frame["total_steps"]
    if (lacking := is_sampling & steps.isna()).any():
        run = frame.loc[lacking, "run_id"].iloc[0]
        raise ResultsError(
            f"Rows of run {run} say setting={SAMPLING} and have no total_steps.",
            "Leave its folder out, or run it again.",
        )
    return labels.astype("float64").where(~is_sampling, steps.astype("float64")).astype("int64")


def labels_asked_for(frame: pd.DataFrame) -> tuple["pd.Series[int]", bool]:
    """Labels of each row, in protocols with refused ones those asked for; whether there are such.

    What is refused differs from seed to seed, what is asked for does not: seeds stay comparable.
    """
    labeled = frame["num_labeled"]
    if "num_queried" not in frame:
        return labeled, False
    queried = frame["num_queried"].astype("Float64").fillna(labeled).astype("int64")
    refused = queried > labeled
    if not refused.any():
        return labeled, False
    concerned = refused.groupby(frame["protocol_id"]).transform("any")
    return labeled.mask(concerned, queried).astype("int64"), True


def axis_of(rows: pd.DataFrame) -> Axis:
    """What these rows spend.

    Raises:
        ValueError: Some spend labels and some steps; ``by_axis`` parts them.
    """
    is_sampling = _is_sampling(rows)
    if is_sampling.any() and not is_sampling.all():
        raise ValueError("rows of both kinds: part them with by_axis")
    return STEPS if is_sampling.any() else LABELS


def by_axis(frame: pd.DataFrame) -> Iterator[tuple[Axis, pd.DataFrame]]:
    """The rows that spend labels and those that spend steps, each where there are any."""
    is_sampling = _is_sampling(frame)
    if not is_sampling.all() or frame.empty:
        yield LABELS, frame[~is_sampling] if is_sampling.any() else frame
    if is_sampling.any():
        yield STEPS, frame if is_sampling.all() else frame[is_sampling]


def _is_sampling(frame: pd.DataFrame) -> "pd.Series[bool]":
    if "setting" not in frame:
        return pd.Series(False, index=frame.index)
    return frame["setting"].eq(SAMPLING).fillna(False).astype(bool)
