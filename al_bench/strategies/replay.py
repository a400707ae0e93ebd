"""Replay: buys again what another run has bought, in its order.

N pool points, M labeled points, B batch size.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from al_bench.errors import AlBenchError, ConfigError, require_whole
from al_bench.strategies.base import PoolView, Selection

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("run_id", "seed", "round", "rank", "index", "source_index", "label", "score")


@dataclass(frozen=True)
class Replay:
    """The stored order of a finished run, to train another model on the same labels.

    The run may have had another model, training or batch size, but the same pool: a trial finds
    its stored order as the one that begins with exactly its own labeled points and labels, so every
    seed replays its own, and every point of the order must be the same point of the data set.
    Points that differ only in their inputs (other noise, another normalisation) are not told apart.
    O(N + stored labels) a round.

    Args:
        run: Folder of the run: ``results/<dataset>/<model>/<strategy>/<run id>``.
        seed: The seed of it that every trial replays; ``None`` finds each trial's own, which needs
            initial sets that differ.
    """

    run: str
    seed: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.run, str) or not Path(self.run).is_dir():
            raise ConfigError(
                f"strategy.run={self.run} is no folder.",
                "Name the folder of a stored run: results/<dataset>/<model>/<strategy>/<run id>.",
            )
        if self.seed is not None:
            require_whole("strategy.seed", self.seed, 0)

    @property
    def needs(self) -> frozenset[str]:
        """Nothing."""
        return frozenset()

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """The next B points of the stored order, with the scores stored there.

        Notes ``replayed_seed``.

        Raises:
            ConfigError: No stored order begins with the labeled set, or several do; the order ends
                before B points; or it has points that cannot be bought here.
        """
        if not 1 <= batch_size <= len(view):
            raise ValueError(f"cannot pick {batch_size} of {len(view)} points")
        seed, order = self._order(view)
        position_of = {index: place for place, index in enumerate(view.indices.tolist())}
        bought = order[order["round"].notna()]
        available = bought["index"].isin(list(position_of))
        begin = int(available.to_numpy().argmax()) if available.any() else len(bought)
        before = int(order["round"].isna().sum()) + int(bought["label"].iloc[:begin].notna().sum())
        if before != len(view.labels()) or not available.iloc[begin:].all():
            raise self._other_pool(f"seed {seed} bought points that cannot be bought here")
        batch = bought.iloc[begin : begin + batch_size]
        if len(batch) < batch_size:
            raise AlBenchError(
                f"The order of seed {seed} in {self.run} ends after {len(order)} labels.",
                f"Use budget.total={len(order)} or less.",
            )
        positions = torch.tensor([position_of[index] for index in batch["index"]])
        sources = view.source_indices[positions].tolist()
        if sources != batch["source_index"].tolist():
            raise self._other_pool("its indices stand for other points")
        scores = batch["score"].astype("float64").to_numpy(copy=True)
        return Selection(positions, torch.from_numpy(scores), {"replayed_seed": seed})

    def _order(self, view: PoolView) -> tuple[int, "pd.DataFrame"]:
        """The seed whose stored order begins with the labeled set, and that order."""
        from al_bench.results.frame import read_acquisitions

        stored: Any = read_acquisitions(self.run, COLUMNS)
        if stored["run_id"].nunique() > 1:
            raise ConfigError(
                f"strategy.run={self.run} holds {stored['run_id'].nunique()} runs.",
                "Name the folder of one of them.",
            )
        known = list(zip(view.labeled_source_indices.tolist(), view.labels().tolist(), strict=True))
        found = {}
        for seed, order in stored.groupby("seed"):
            if self.seed is not None and int(seed) != self.seed:
                continue
            order = order.sort_values(["round", "rank"], na_position="first")
            labeled = order[order["label"].notna()].head(len(known))
            if list(zip(labeled["source_index"], labeled["label"], strict=True)) == known:
                found[int(seed)] = order
        if not found:
            labels = f"with the {len(known)} labels here"
            if self.seed is None:
                raise self._other_pool(f"no seed of it begins {labels}")
            raise self._other_pool(f"its seed {self.seed} does not begin {labels}")
        if len(found) > 1:
            seeds = ", ".join(map(str, found))
            raise ConfigError(
                f"Seeds {seeds} of {self.run} begin alike.",
                f"Name one: strategy.seed={min(found)}.",
            )
        return found.popitem()

    def _other_pool(self, why: str) -> ConfigError:
        return ConfigError(
            f"{self.run} cannot be replayed here: {why}.",
            "Replay needs the same dataset, pool, budget.init_… and seeds.",
        )
