"""The order in which a stored run labeled its points, for whoever reads it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from al_bench.errors import ConfigError, ResultsError, keyed
from al_bench.paths import opened

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("run_id", "seed", "round", "rank", "index", "source_index", "label", "score")


@dataclass(frozen=True)
class StoredOrder:
    """A part of a run that reads another one; in ids the folder's name stands for it anywhere.

    Args:
        run: Folder of the run: ``results/<dataset>/<model>/<strategy>/<run id>``.
    """

    run: str

    def __post_init__(self) -> None:
        if not isinstance(self.run, str) or not opened(self.run).is_dir():
            raise ConfigError(
                f"{keyed('run')}={self.run} is no folder.",
                "Name the folder of a stored run: results/<dataset>/<model>/<strategy>/<run id>.",
            )

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return opened(self.run).resolve().name

    def orders(self, columns: Sequence[str] = COLUMNS) -> "dict[int, pd.DataFrame]":
        """By seed, the points that the run labeled, the first one first.

        Args:
            columns: Of stored acquisitions, those of ``COLUMNS`` among them.

        Raises:
            ConfigError: The folder holds several runs.
            ResultsError: It holds none.
        """
        from al_bench.results.frame import read_acquisitions

        stored: Any = read_acquisitions(opened(self.run), columns)
        if stored["run_id"].nunique() > 1:
            raise ConfigError(
                f"{keyed('run', self)}={self.run} holds {stored['run_id'].nunique()} runs.",
                "Name the folder of one of them.",
            )
        return {
            int(seed): order.sort_values(["round", "rank"], na_position="first")
            for seed, order in stored.groupby("seed")
        }

    def require_unharmed(self, seed: int) -> None:
        """Raise ResultsError where the files of a seed are not what its manifest says."""
        from al_bench.results import damage, manifest
        from al_bench.results.history import TrialPaths

        paths = TrialPaths(opened(self.run), seed)
        for found in damage.find(paths, manifest.read(paths.manifest), thorough=True):
            if damage.hurts(paths, found):
                raise ResultsError(
                    f"{self.run} cannot be read: {found}.",
                    "The command line that made it computes it again.",
                )


def begins(order: "pd.DataFrame", known: Sequence[tuple[int, int]]) -> bool:
    """Whether the first labels of ``order`` are ``known``: index and label of each."""
    first = order[order["label"].notna()].head(len(known))
    return list(zip(first["index"], first["label"], strict=True)) == list(known)
