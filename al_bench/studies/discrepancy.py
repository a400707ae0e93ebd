"""How far a strategy's points are from random ones, beside the bound that holds for random ones.

A bound on the generalisation error assumes points drawn at random. Where a strategy has chosen
them, Wang et al. (2022, arXiv:2110.08611, App. D) add the maximum mean discrepancy (MMD) between
the chosen points and the pool, under the kernel Θ of an infinitely wide network, and show that it
is small beside the bound B.

m acquired points, n of the reference sample, whose first m are the acquired ones.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor

from al_bench.data.pool import copies_of
from al_bench.data.sources import Sources
from al_bench.errors import ConfigError, keyed, require_whole
from al_bench.paths import opened
from al_bench.plots import panels
from al_bench.results import manifest
from al_bench.results.history import TrialPaths
from al_bench.stats.measures import Measure
from al_bench.strategies.stored_order import COLUMNS, StoredOrder, begins
from al_bench.studies.base import Study, StudyTrial
from al_bench.studies.ntk import bound, check_images, kernel_of, one_hot
from al_bench.studies.seeds import CAPTION, draw_curves, in_words, over_seeds
from al_bench.text.console import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = {
    "mmd_squared": "MMD²",
    "bound": "B",
    "ratio": "MMD / B",
}


def mmd_squared(kernel: Tensor, num_acquired: int) -> float:
    """The paper's estimate of MMD² between acquired points and a sample that they begin.

    Σ_{i≠j} Θ(x_i, x_j) / (m (m - 1)) + Σ_{i≠j} Θ(x'_i, x'_j) / (n (n - 1))
    - 2 [Σ_{i,j} Θ(x_i, x'_j) - Σ_i Θ(x_i, x'_i)] / (m (n - 1)); an estimate may be below 0.

    Args:
        kernel: Θ of the reference sample, (n, n).
        num_acquired: m, at least 2.
    """
    m, n = num_acquired, len(kernel)
    own = _between(kernel[:m, :m]) / (m * (m - 1))
    reference = _between(kernel) / (n * (n - 1))
    across = _between(kernel[:m]) / (m * (n - 1))
    return float(own + reference - 2 * across)


def _between(kernel: Tensor) -> Tensor:
    """The sum of all but the points with themselves."""
    return kernel.sum() - kernel.diagonal().sum()


@dataclass(frozen=True)
class Discrepancy(StoredOrder, Study):
    """MMD / B of a stored run, round by round.

    Each seed reads what the run bought under that seed. The reference sample of a round is what it
    had bought by then, followed by ``num_others`` points of the pool drawn at random from those
    that it never labeled, the same ones in all rounds. B is that of its labeled set, initial
    points included, with true labels. Images are averaged to ``side`` × ``side`` pixels.

    Args:
        run: Folder of the run: ``results/<dataset>/<model>/<strategy>/<run id>``.
        side: Pixels.
        num_others: Points of the reference sample beside the acquired ones.
    """

    side: int = 8
    num_others: int = 100
    columns: ClassVar[Sequence[pa.Field]] = (
        pa.field("num_labeled", pa.int64(), nullable=False),
        pa.field("num_acquired", pa.int64(), nullable=False),
        pa.field("mmd_squared", pa.float64(), nullable=False),
        pa.field("bound", pa.float64(), nullable=False),
        pa.field("ratio", pa.float64()),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole("side", self.side, 1)
        require_whole("num_others", self.num_others, 1)

    @property
    def num_fits(self) -> int:
        """Nothing is trained."""
        return 0

    def check(self, trial: StudyTrial) -> None:
        """Raise ConfigError unless inputs are images and the run bought its labels in this pool."""
        check_images(trial, self.side)
        bought = self._bought(trial)
        left = len(_others(trial, bought))
        if left < self.num_others:
            raise ConfigError(
                f"{keyed('num_others')}={self.num_others}, but the run left {left} points "
                "unlabeled.",
                f"Use at most {left}.",
            )

    def measure(self, trial: StudyTrial) -> Iterator[dict[str, Any]]:
        """A row a round that had bought two points or more."""
        bought = self._bought(trial)
        others = _others(trial, bought)
        chosen = torch.randperm(len(others), generator=trial.streams.generator("select"))
        acquired = torch.tensor(bought["index"].tolist())
        indices = torch.cat([trial.labeled, acquired, others[chosen[: self.num_others]]])
        kernel = kernel_of(trial, indices, self.side)[1]
        targets = one_hot(trial, indices)
        begun, end = len(trial.labeled), len(trial.labeled) + len(acquired)
        drawn = torch.arange(end, len(indices))
        ends = bought.groupby("round", sort=True).size().cumsum()
        for count in ends[ends >= 2].tolist():
            sample = torch.cat([torch.arange(begun, begun + count), drawn])
            squared = mmd_squared(kernel[sample][:, sample], count)
            size = begun + count
            error = bound(kernel[:size, :size], targets[:size])
            yield {
                "num_labeled": size,
                "num_acquired": count,
                "mmd_squared": squared,
                "bound": error,
                "ratio": math.sqrt(squared) / error if squared >= 0 else None,
            }

    def _bought(self, trial: StudyTrial) -> pd.DataFrame:
        """What the run bought under the trial's seed after its initial set, in its order."""
        seed = trial.streams.seed
        orders = self.orders((*COLUMNS, "origin"))
        if not orders:
            raise ConfigError(
                f"{self.run} has bought no labels.",
                "Name the folder of a run of active learning, with strategy=, not selection=.",
            )
        if seed not in orders:
            known = ", ".join(map(str, sorted(orders)))
            raise ConfigError(
                f"{self.run} has no seed {seed}, only {known}.",
                "Choose among them with seeds=[…].",
            )
        self.require_unharmed(seed)
        written = manifest.read(TrialPaths(opened(self.run), seed).manifest)
        status = manifest.DONE if written is None else written.get("status")
        if status != manifest.DONE:
            raise ConfigError(
                f"Seed {seed} of {self.run} is {status}, and a study is measured once.",
                "Let the run come to its end first.",
            )
        order = orders[seed][orders[seed]["label"].notna()]
        labels = trial.pool.labels[trial.labeled]
        first = list(zip(trial.labeled.tolist(), labels.tolist(), strict=True))
        places, sources = (torch.tensor(order[name].tolist()) for name in ("index", "source_index"))
        same = Sources.of(trial.pool).hold(places, sources, order["origin"].tolist())
        bought = order.iloc[len(trial.labeled) :]
        if not same or not begins(order, first) or bought["round"].isna().any():
            raise ConfigError(
                f"Seed {seed} of {self.run} has not begun with the {len(trial.labeled)} labels "
                "here, or is of another pool.",
                "Give the dataset, pool and budget.init_… of that run.",
            )
        if len(bought) < 2:
            raise ConfigError(
                f"Seed {seed} of {self.run} has bought {len(bought)} labels, and it takes two.",
                "Name a run with a larger budget.total.",
            )
        return bought

    def table(self, rows: pd.DataFrame) -> Table:
        """A row a number of labels."""
        table = Table("Acquired points and random ones under the kernel", caption=CAPTION)
        for name in ("labels", "acquired", *SHOWN.values()):
            table.add_column(name, justify="right")
        keys = ["num_labeled", "num_acquired"]
        summaries = {name: over_seeds(rows, keys, name) for name in SHOWN}
        for place in range(len(summaries["bound"])):
            cells = [in_words(one.iloc[place : place + 1], 5) for one in summaries.values()]
            counts = summaries["bound"][keys].iloc[place]
            table.add_row(*map(str, counts), *cells)
        return table

    def draw(self, rows: pd.DataFrame) -> "Figure":
        """A panel each for MMD², B and their ratio, over the number of labels."""
        page = panels.page(SHOWN)
        curves = {name: {"the run": over_seeds(rows, ["num_labeled"], name)} for name in SHOWN}
        draw_curves(page, curves, "num_labeled", Measure("value"))
        page.label("Labels", "")
        return page.figure


def _others(trial: StudyTrial, bought: pd.DataFrame) -> Tensor:
    """Pool indices of what the run did not label, copies of it left out."""
    left = trial.available()
    taken = copies_of(trial.pool, torch.tensor(bought["index"].tolist()))
    return left[~torch.isin(left, taken)]
