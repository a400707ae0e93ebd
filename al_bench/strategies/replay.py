"""Replay: buys again what another run has bought, in its order.

N pool points, M labeled points, B batch size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from al_bench.errors import AlBenchError, ConfigError, ResultsError, keyed, require_whole
from al_bench.strategies.base import LABELS, PoolView, Selection, require_batch_size
from al_bench.strategies.stored_order import COLUMNS, StoredOrder, begins

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Replay(StoredOrder):
    """The stored order of a finished run, to train another model on the same labels.

    The run may have had another model, training or batch size, but the same pool: a trial replays
    the order of its own seed, which must begin with exactly the trial's labeled points and labels,
    and every point of the order must be the same point of the same data set. Points that differ
    only in their inputs (other noise, another normalisation) are not told apart.
    As ``strategy@init_strategy=replay`` it begins with the first points of the order.

    An order from elsewhere is a folder with ``acquisitions/seed=0.parquet``, which has the columns
    ``run_id seed round rank index source_index label score`` (and ``origin`` in a pool of several
    data sets; ``round`` is null for a drawn initial set, ``label`` for a refused point), and
    ``curves/seed=0.parquet`` with a row for each round, the last one included. Its seeds may have
    other numbers: a trial whose own seed isn't there, or begins otherwise, replays the only order
    that begins with its labels.

    O(N + stored labels) a round.

    Args:
        run: Folder of the run: ``results/<dataset>/<model>/<strategy>/<run id>``.
        seed: The seed of it that every trial replays; ``None`` is each trial's own.
    """

    seed: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.seed is not None:
            require_whole("seed", self.seed, 0)

    @cached_property  # it reads files, and is asked for in every round
    def needs(self) -> frozenset[str]:
        """Nothing of the model; LABELS where a control that saw labels made the order."""
        return frozenset({LABELS} if _saw_labels(self.run) else ())

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """The next B points of the stored order, with the scores stored there.

        Notes ``replayed_seed``.

        Raises:
            ConfigError: No stored order begins with the labeled set, or none is the seed's and
                several do; or it has points that cannot be bought here.
            AlBenchError: The order ends before B points.
        """
        require_batch_size(batch_size, len(view))
        seed, order = self._order(view)
        position_of = {index: place for place, index in enumerate(view.indices.tolist())}
        available = order["index"].isin(list(position_of)).to_numpy()
        begin = int(available.argmax()) if available.any() else len(order)
        labeled = int(order["label"].iloc[:begin].notna().sum())
        if labeled != len(view.labels()) or not available[begin:].all():
            raise self._other_pool(f"seed {seed} bought points that cannot be bought here")
        end = begin + batch_size
        if end > len(order):
            raise AlBenchError(
                f"The order of seed {seed} in {self.run} ends after {len(order)} labels.",
                f"Use budget.total={len(order)} or less.",
            )
        begun, batch = order.iloc[:end], order.iloc[begin:end]
        indices, sources = (torch.tensor(begun[name].tolist()) for name in _POINT)
        if not view.holds(indices, sources, begun["origin"].tolist() if _mixes(view) else None):
            raise self._other_pool("its indices stand for other points")
        positions = torch.tensor([position_of[index] for index in batch["index"]])
        scores = batch["score"].astype("float64").to_numpy(copy=True)
        return Selection(positions, torch.from_numpy(scores), {"replayed_seed": seed})

    def _order(self, view: PoolView) -> tuple[int, "pd.DataFrame"]:
        """The seed whose stored order is replayed, and that order."""
        orders = self.orders((*COLUMNS, "origin") if _mixes(view) else COLUMNS)
        known = list(zip(view.labeled_indices.tolist(), view.labels().tolist(), strict=True))
        fits = [seed for seed, order in orders.items() if begins(order, known)]
        own = view.seed if self.seed is None else self.seed
        if own in fits:
            self.require_unharmed(own)
            return own, orders[own]
        if self.seed is not None or not known:
            if own in orders:
                raise self._other_pool(f"its seed {own} does not begin {_with(known)}")
            seeds = ", ".join(map(str, orders)) or "none"
            raise ConfigError(f"{self.run} has no seed {own}, only {seeds}.", _ANOTHER)
        if not fits:
            raise self._other_pool(f"no seed of it begins {_with(known)}")
        if len(fits) > 1:
            seeds = ", ".join(map(str, fits))
            raise ConfigError(
                f"Seeds {seeds} of {self.run} begin alike, and none is seed {own}.",
                f"Name one: {keyed('seed', self)}={min(fits)}.",
            )
        self.require_unharmed(fits[0])
        return fits[0], orders[fits[0]]

    def _other_pool(self, why: str) -> ConfigError:
        return ConfigError(
            f"{self.run} cannot be replayed here: {why}.",
            "Replay needs the same dataset, pool, budget.init_… and seeds; an initial set that a "
            "strategy bought is replayed by strategy@init_strategy=replay init_strategy.run=….",
        )


_POINT = ("index", "source_index")
_ANOTHER = f"Use stored seeds, or {keyed('seed')}=… to replay one of them for every seed."


def _saw_labels(run: str) -> bool:
    from al_bench.results.frame import read_curves

    try:
        return bool(read_curves(run, ["label_access"])["label_access"].eq(True).any())
    except ResultsError:  # nothing to replay: selecting says so
        return False


def _mixes(view: PoolView) -> bool:
    return len(view.origins) > 1


def _with(known: Sequence[tuple[int, int]]) -> str:
    return f"with the {len(known)} labels here"
