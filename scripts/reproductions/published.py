"""Published numbers and orderings as ``docs/published.yaml`` has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SOURCES = {
    "S": "read in the paper or its repository",
    "L": "computed from the authors' logs",
    "F": "read off a figure, to half a point at best",
    "P": "from another's digest of the paper",
}
MEASURES = ("at", "reach", "area", "end", "mean", "speed_up")


@dataclass(frozen=True)
class Value:
    """A published value of one arm.

    Args:
        arm: Name of a strategy, of a selection, or of an entry of the experiment's ``arms``.
        value: In the unit of its number: percent for fractions, labels, or as it is.
        deviation: Standard deviation over the paper's seeds, where it gives one.
        seeds: How many these were.
    """

    arm: str
    value: float
    deviation: float | None = None
    seeds: int | None = None


@dataclass(frozen=True, kw_only=True)
class Number:
    """One quantity of several arms.

    Args:
        what: It in words.
        source: A letter of ``SOURCES``.
        metric: Column of curves, or of a study's rows.
        less: Column that is subtracted from it, row by row.
        at: Labels or steps at which it is read.
        reach: Value of the metric that is reached; the labels to get there are the number.
        area: Its mean over the curve, by the area under it.
        end: Its last value.
        mean: Its mean over the rows that have it.
        speed_up: The published speed-up over this baseline.
        statistic: ``mean`` or ``median`` over seeds.
        fraction: The metric is one: it is shown as percent, and held to four points.
        values: Of each arm.
    """

    what: str
    source: str
    metric: str = "test_accuracy"
    less: str | None = None
    at: float | None = None
    reach: float | None = None
    area: bool = False
    end: bool = False
    mean: bool = False
    speed_up: str | None = None
    statistic: str = "mean"
    fraction: bool = True
    values: tuple[Value, ...] = ()

    @property
    def in_points(self) -> bool:
        """Whether the number itself is a fraction, and not labels or a ratio."""
        return self.fraction and self.reach is None and self.speed_up is None

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise ValueError(f"{self.what}: source is {self.source!r}, not one of {[*SOURCES]}")
        given = [name for name in MEASURES if getattr(self, name) not in (None, False)]
        if len(given) != 1:
            raise ValueError(f"{self.what}: one of {MEASURES} is to be given, not {given}")
        if self.statistic not in ("mean", "median"):
            raise ValueError(f"{self.what}: statistic is {self.statistic!r}")


@dataclass(frozen=True, kw_only=True)
class Ordering:
    """A claim that one arm is better than another.

    Args:
        better: The arm.
        than: The other one.
        source: A letter of ``SOURCES``, or ``M`` for what is told of the paper and was not checked.
        metric: Column of curves.
    """

    better: str
    than: str
    source: str
    metric: str = "test_accuracy"

    def __post_init__(self) -> None:
        if self.source not in (*SOURCES, "M"):
            raise ValueError(f"{self.better} over {self.than}: source is {self.source!r}")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A published experiment, and where its repetition lies.

    Args:
        title: It in words.
        work: The paper.
        preset: ``experiment=`` that repeats it; ``None`` where there is none.
        results: File or folder under ``results/reference``; ``None`` where it was not run.
        study: Whether that holds the rows of a study and not curves; its arms are named.
        same_protocol: Whether what was run has the published sizes and settings.
        differs: What differs, in sentences.
        not_run: Why not, where it was not.
        rows: Column or dotted setting to the value that rows of it have.
        arms: Name to what rows of that arm have, where this is more than its strategy.
        numbers: Published ones.
        orderings: Published ones.
    """

    title: str
    work: str
    preset: str | None = None
    results: str | None = None
    study: bool = False
    same_protocol: bool = False
    differs: str = ""
    not_run: str = ""
    rows: Mapping[str, Any] = field(default_factory=dict)
    arms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    numbers: tuple[Number, ...] = ()
    orderings: tuple[Ordering, ...] = ()

    def __post_init__(self) -> None:
        if (self.results is None) != bool(self.not_run):
            raise ValueError(f"{self.title}: give results, or say in not_run why there are none")


def read(path: Path) -> list[Experiment]:
    """The experiments of the file, in its order.

    Raises:
        ValueError: A number has no source, or an experiment neither results nor a reason.
        TypeError: A key is unknown or missing.
    """
    return [_experiment(entry) for entry in yaml.safe_load(path.read_text(encoding="utf-8"))]


def _experiment(entry: Mapping[str, Any]) -> Experiment:
    numbers = tuple(_number(one) for one in entry.get("numbers", ()))
    orderings = tuple(Ordering(**one) for one in entry.get("orderings", ()))
    return Experiment(**{**entry, "numbers": numbers, "orderings": orderings})


def _number(entry: Mapping[str, Any]) -> Number:
    return Number(**{**entry, "values": tuple(_values(entry["values"]))})


def _values(entries: Mapping[str, float | Sequence[float]]) -> list[Value]:
    """``{arm: value}`` or ``{arm: [value, deviation, seeds]}``."""
    values = []
    for arm, entry in entries.items():
        value, deviation, seeds = (*entry,) if isinstance(entry, list) else (entry, None, None)
        values.append(Value(arm, value, deviation, seeds))
    return values
