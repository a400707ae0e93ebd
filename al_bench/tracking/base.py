"""What an experiment tracker is: three methods, and what it is told of a trial."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, Protocol

from al_bench.errors import ConfigError
from al_bench.results import ood
from al_bench.results.identity import RunIdentity, safe_name
from al_bench.results.schema import ENGINE
from al_bench.results.settings import flat
from al_bench.results.spending import LABELS, STEPS, spent_by


@dataclass(frozen=True)
class TrackedTrial:
    """A trial as a tracker is told of it.

    Args:
        identity: The run.
        seed: The trial's seed.
        engine: The engine columns.
        config: The resolved configuration without the tracker.
    """

    identity: RunIdentity
    seed: int
    engine: Mapping[str, Any]
    config: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What a person calls it: ``bald(beta=4) seed=3``."""
        return f"{self.identity.strategy_label} seed={self.seed}"

    @property
    def key(self) -> str:
        """What tells it from every other trial, the same in each attempt."""
        return f"{self.identity.run_id}-{self.seed}"

    @property
    def folder(self) -> Path:
        """A relative folder of its own: dataset/model/strategy label/run id/seed=3."""
        run = self.identity
        names = (run.dataset, run.model, run.strategy_label, run.run_id)
        return Path(*map(safe_name, names), f"seed={self.seed}")

    @property
    def group(self) -> str:
        """What the seeds of a run have in common: dataset/model/strategy/run id."""
        return self.identity.folder.as_posix()

    @property
    def facts(self) -> dict[str, Any]:
        """Who it is and what computes it: the identity columns, seed, the engine columns."""
        return {**self.identity.columns, "seed": self.seed, **self.engine}

    @property
    def axis(self) -> str:
        """The column that ``step`` reads: labels, or of active sampling steps."""
        return LABELS if self.config.get("selection") is None else STEPS

    @property
    def parameters(self) -> dict[str, Any]:
        """The configuration, flat: dotted key to plain value or list."""
        return flat(self.config)


class Tracker(Protocol):
    """Shows trials somewhere else, one tracked run a trial; several are open at a time.

    A method may raise what it likes: the run warns once and goes on without the tracker.
    """

    def start(self, trial: TrackedTrial) -> Any:
        """Open the trial's tracked run in the place of one that an earlier attempt left.

        Every committed round is then logged, also those of earlier attempts.

        Returns:
            Whatever ``log`` and ``finish`` need to find the tracked run again.
        """

    def log(self, run: Any, row: Mapping[str, Any]) -> None:
        """Show a committed round: a row of the curve (``al_bench.results.schema.CURVE``)."""

    def finish(self, run: Any, status: str) -> None:
        """Close the tracked run: ``done``, ``failed`` or ``interrupted``."""


def metrics(row: Mapping[str, Any]) -> dict[str, float]:
    """The columns of a curve's row that can be drawn: numbers that rounds may change."""
    constant = {*ENGINE, "seed", "metrics_version"}
    return {
        name: value if isinstance(value, int) else float(value)
        for name, value in {**row, **ood.spread(row.get(ood.COLUMN))}.items()
        if name not in constant and isinstance(value, Real) and not isinstance(value, bool)
    }


def step(row: Mapping[str, Any]) -> int:
    """Where a round lies on the horizontal axis: what all batch sizes have in common."""
    return spent_by(row).count


def require_package(name: str) -> None:
    """Raise ConfigError unless the tracker's package is installed; does not import it."""
    if importlib.util.find_spec(name) is None:
        raise ConfigError(
            f"tracker={name} needs the package {name}, which is not installed.",
            f'Type uv pip install -e ".[{name}]" where al-bench lies, or leave tracker={name} out.',
        )
