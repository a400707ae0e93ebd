"""What a figure is, where figures are found, and how they are written.

A figure is a module with a function ``draw(frame, options)``: from the rows of curves to matplotlib
figures by file name (no ending), an empty dict where it has nothing to show; then it may tell the
reason to ``options.explain``. A figure that is the same whatever the metric keeps the metric out of
its file names. Its docstring's first line says what it shows. Put it into this package, or anywhere
and name it with its dots (``figure=mine.heatmap``, ``figure=mine.draw_heatmap``); nothing else has
to be touched. Build figures from ``matplotlib.figure.Figure`` within ``style.look()``, never
through pyplot, which keeps them alive. There a dollar is a dollar, for names may have one; a text
of your own that is mathematics takes ``parse_math=True``.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

import pandas as pd

from al_bench.configuration.targets import locate
from al_bench.configuration.trust import Trust
from al_bench.errors import AlBenchError, ConfigError, choose, within
from al_bench.plots import __path__ as _package_path
from al_bench.plots import style
from al_bench.results import outputs
from al_bench.results.identity import safe_name
from al_bench.stats.spent import STEPS, by_axis
from al_bench.stats.summary import metrics

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _say_nothing(reason: str) -> None:
    """Nobody asked."""


@dataclass(frozen=True)
class Options:
    """What every figure is told.

    Args:
        metric: The column to show.
        level: Of the intervals.
        baseline: The strategy that others are compared with.
        reach: Values of the metric, to which labels or steps are counted; ``None`` for the usual
            ones.
        folders: Where the results are, for figures that read more than curves.
        moved: Where the runs' data lie now, for figures that show inputs, by the key of
            ``al-bench run``; without one they lie where they did when the runs were made.
        trust: Which classes the runs may name beside al-bench's, for figures that show inputs.
        explain: Told why a figure has nothing to show.
    """

    metric: str = "test_accuracy"
    level: float = 0.95
    baseline: str = "random"
    reach: Sequence[float] | None = None
    folders: Sequence[Path] = ()
    moved: Mapping[str, str] = field(default_factory=dict)
    trust: Trust = field(default_factory=Trust)
    explain: Callable[[str], None] = _say_nothing


class Draw(Protocol):
    """A figure module's ``draw``."""

    def __call__(self, frame: pd.DataFrame, options: Options) -> "Mapping[str, Figure]":
        """Figures by file name."""


def available() -> dict[str, Draw]:
    """The figures of this package, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(_package_path))
    modules = {name: importlib.import_module(f"al_bench.plots.{name}") for name in names}
    return {name: module.draw for name, module in modules.items() if hasattr(module, "draw")}


def find(name: str) -> Draw:
    """The figure of that name, or the function or module of that dotted name.

    Raises:
        ConfigError: There is none.
    """
    figures = available()
    if name in figures:
        return figures[name]
    if "." not in name:
        raise ConfigError(f"There is no figure {name!r}.", choose(name, [*figures, "all"]))
    found = locate(name, "figure")
    own: Draw | None = getattr(found, "draw", None) if isinstance(found, ModuleType) else found
    if not callable(own):
        raise ConfigError(
            f"figure={name} is no figure.",
            "Name a function of the rows of curves and the options, or a module whose draw is one.",
        )
    return own


def drawn(
    name: str, draw: Draw, frame: pd.DataFrame, options: Options, baseline: str | None
) -> "dict[str, Figure]":
    """What a figure draws of the rows that spend labels, and of those that spend steps.

    Where there are both, it is called for each that has the metric, and ``_steps`` stands behind
    the names of the figures of the latter.

    Args:
        name: The figure's.
        draw: Its function.
        frame: Rows of curves.
        options: Told to it, but for their baseline.
        baseline: ``None`` for ``random``, and for ``uniform`` where steps are spent.

    Raises:
        AlBenchError: One of a user's own returns something else than figures.
    """
    found: dict[str, Figure] = {}
    kinds = list(by_axis(frame))
    for axis, rows in kinds:
        if len(kinds) > 1 and options.metric not in metrics(rows):
            continue
        own = replace(options, baseline=baseline or axis.baseline)
        behind = f"_{axis.many}" if axis is STEPS and len(kinds) > 1 else ""
        figures = _drawn(name, draw, rows, own)
        found |= {f"{file}{behind}": figure for file, figure in figures.items()}
    return found


def _drawn(name: str, draw: Draw, frame: pd.DataFrame, options: Options) -> "Mapping[str, Figure]":
    from matplotlib.figure import Figure

    with within(f"figure={name}"):
        figures: object = draw(frame, options)
    if isinstance(figures, Mapping) and all(isinstance(one, Figure) for one in figures.values()):
        return figures
    got = type(figures).__name__
    if isinstance(figures, Mapping):
        got += " of " + ", ".join(sorted({type(one).__name__ for one in figures.values()}))
    raise AlBenchError(f"figure={name} must return matplotlib figures by file name, got a {got}.")


def save(figures: "Mapping[str, Figure]", folder: Path, formats: Sequence[str]) -> Iterator[Path]:
    """Write each figure in each format into the folder; each path once its file is written.

    Equal figures give equal files.

    Raises:
        ResultsError: The folder cannot be written.
    """
    for name, figure in figures.items():
        for ending in formats:
            path = folder / f"{safe_name(name)}.{ending}"
            with outputs.written(path) as stream, style.look():
                style.write(figure, stream, ending)
            yield path
