"""What tells a trial from every other one that a process may meet."""

from dataclasses import dataclass
from pathlib import Path

from al_bench.results.history import TrialPaths


@dataclass(frozen=True)
class TrialKey:
    """A trial of a run: equal keys are one trial, in whichever process.

    Args:
        folder: The run's folder, absolute.
        seed: The trial's seed.
    """

    folder: Path
    seed: int

    @property
    def paths(self) -> TrialPaths:
        """Where its files are."""
        return TrialPaths(self.folder, self.seed)
