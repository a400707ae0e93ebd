"""dynamicAL's subset approximation: what leaving out terms between points of a batch costs.

Wang et al. (2022), arXiv:2110.08611, Eq. 13 and Fig. 4. The speed of training on S is
G(S) = ‖Σ_S ∇ℓ(x, y)‖², in all parameters, and the points of a batch Q have their most probable
classes for labels. What Q adds, Δ(Q | S) = G(S ∪ Q) - G(S), is replaced by the sum of what each of
its points would add alone, so that the batch of the highest sum is found in one pass. The ratio R
of that sum to Δ(Q | S) is 1 where nothing is lost.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor

from al_bench.data.labeled import LabeledSet
from al_bench.errors import ConfigError, keyed, require_list, require_whole
from al_bench.information.gradients import (
    Direction,
    gradient_sum,
    squared_norms_and_products,
)
from al_bench.models.base import NETWORK, Network
from al_bench.models.frozen import frozen_copy
from al_bench.plots import panels
from al_bench.stats.measures import Measure
from al_bench.strategies.point_gradients import chunk_size
from al_bench.studies.base import Study, StudyTrial
from al_bench.studies.epochs import check_epochs, check_trained
from al_bench.studies.seeds import CAPTION, draw_curves, in_words, over_seeds
from al_bench.text.console import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Change(NamedTuple):
    """What a batch adds to the speed of training, in squared nats per unit of parameter.

    Args:
        summed: Σ_Q Δ({x} | S), each point alone.
        joint: Δ(Q | S), all together.
    """

    summed: float
    joint: float


@dataclass(frozen=True)
class Approximation(Study):
    """The ratio R of random batches of the pool, over the epochs of a fit.

    Args:
        batch_sizes: Points of a batch, ascending; a smaller batch is the beginning of a larger one.
        num_batches: Batches of each size, each drawn anew from the points that are not labeled, and
            the same after whatever epoch.
        epochs: After how many epochs it is measured, ascending; 0 is before the first.
    """

    batch_sizes: Sequence[int] = (25, 50, 100)
    num_batches: int = 10
    epochs: Sequence[int] = (0, 1, 2, 5, 10, 20)
    needs: ClassVar[frozenset[str]] = frozenset({NETWORK})
    columns: ClassVar[Sequence[pa.Field]] = (
        pa.field("epochs", pa.int64(), nullable=False),
        pa.field("train_accuracy", pa.float64(), nullable=False),
        pa.field("batch_size", pa.int64(), nullable=False),
        pa.field("batch", pa.int64(), nullable=False),
        pa.field("summed", pa.float64(), nullable=False),
        pa.field("joint", pa.float64(), nullable=False),
        pa.field("ratio", pa.float64()),
    )

    def __post_init__(self) -> None:
        require_list("batch_sizes", self.batch_sizes)
        for size in self.batch_sizes:
            require_whole("batch_sizes", size, 1)
        if not self.batch_sizes or list(self.batch_sizes) != sorted(set(self.batch_sizes)):
            raise ConfigError(
                f"{keyed('batch_sizes')}={list(self.batch_sizes)} must be sizes that ascend.",
                f"Try {keyed('batch_sizes')}=[25,50,100].",
            )
        require_whole("num_batches", self.num_batches, 1)
        check_epochs(self.epochs)

    def check(self, trial: StudyTrial) -> None:
        """Raise ConfigError unless the pool has a batch, and the fit as many epochs."""
        check_trained(self.epochs, trial.recipe)
        left = len(trial.available())
        if self.batch_sizes[-1] > left:
            raise ConfigError(
                f"{keyed('batch_sizes')} has {self.batch_sizes[-1]}, and the pool has {left} "
                "points beside the labeled ones.",
                f"Use {keyed('batch_sizes')}=[{max(left, 1)}] or less.",
            )

    def measure(self, trial: StudyTrial) -> Iterator[dict[str, Any]]:
        """The changes of all batches after each number of epochs."""
        pool, most = trial.available(), self.batch_sizes[-1]
        batches = []
        for number in range(self.num_batches):
            generator = trial.streams.generator("select", member=number)
            batches.append(pool[torch.randperm(len(pool), generator=generator)[:most]])
        rows: list[dict[str, Any]] = []

        def look(epochs: int, network: Network) -> None:
            network = frozen_copy(network, torch.float32).requires_grad_(True)
            labeled = trial.labeled_set()
            accuracy = _accuracy(network, _chunks(trial, network, labeled))
            speed = gradient_sum(network, _chunks(trial, network, labeled))
            for number, batch in enumerate(batches):
                chunks = _of_sizes(trial, network, batch, self.batch_sizes)
                changes = changes_of(network, speed, chunks)
                for size, change in zip(self.batch_sizes, changes, strict=True):
                    ratio = change.summed / change.joint if change.joint else None
                    rows.append(
                        {
                            "epochs": epochs,
                            "train_accuracy": accuracy,
                            "batch_size": size,
                            "batch": number,
                            **change._asdict(),
                            "ratio": ratio,
                        }
                    )

        trial.train(look, self.epochs)
        yield from rows

    def table(self, rows: pd.DataFrame) -> Table:
        """A row a number of epochs, a column a size of batches."""
        table = Table("Summed Δ over joint Δ, median of random batches", caption=CAPTION)
        sizes = sorted(rows["batch_size"].unique())
        for name in ("epochs", "seeds", "training accuracy", *(f"{size} points" for size in sizes)):
            table.add_column(name, justify="right")
        ratios = _of_seeds(rows)
        accuracies = over_seeds(rows, ["epochs"], "train_accuracy")
        for epochs, own in accuracies.groupby("epochs"):
            at = ratios[ratios["epochs"] == epochs]
            cells = [in_words(at[at["batch_size"] == size]) for size in sizes]
            table.add_row(str(epochs), str(own["num_seeds"].max()), in_words(own), *cells)
        return table

    def draw(self, rows: pd.DataFrame) -> "Figure":
        """The ratio over the epochs trained, a line a size; 1 is where nothing is lost."""
        ratios = _of_seeds(rows)
        page = panels.page({"ratio": "Median of random batches of the pool"})
        page.axes["ratio"].axhline(1.0, color="#7F7F7F", linewidth=0.8, zorder=1)
        lines = {
            f"{size} points": ratios[ratios["batch_size"] == size]
            for size in sorted(rows["batch_size"].unique())
        }
        draw_curves(page, {"ratio": lines}, "epochs", Measure("ratio"))
        page.label("Epochs trained", "Summed Δ over joint Δ")
        return page.figure


def _of_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """The ratio over seeds; that of a seed is a median over batches: a joint Δ may be near 0."""
    keys = ["epochs", "batch_size"]
    medians = rows.groupby([*keys, "seed"], sort=False)["ratio"].median().reset_index()
    return over_seeds(medians, keys, "ratio")


def changes_of(
    network: Network, speed: Direction, parts: Iterable[Iterable[Tensor]]
) -> Iterator[Change]:
    """What growing batches add, with the most probable classes as labels.

    Args:
        network: In evaluation mode; left as it is.
        speed: Σ_S ∇ℓ(x, y) of the labeled set S.
        parts: Inputs by which each batch is larger than the one before, in chunks.
    """
    summed = 0.0
    total = {name: torch.zeros_like(value, dtype=torch.float64) for name, value in speed.items()}
    for part in parts:
        for inputs in part:
            with torch.no_grad():
                labels = network(inputs).argmax(dim=1)
            norms, products = squared_norms_and_products(network, inputs, labels, speed)
            summed += float((norms + 2.0 * products).sum())
            for name, gradient in gradient_sum(network, [(inputs, labels)]).items():
                total[name] += gradient
        joint = sum(
            float((gradient * (gradient + 2.0 * speed[name])).sum())
            for name, gradient in total.items()
        )
        yield Change(summed, joint)


def _chunks(
    trial: StudyTrial, network: Network, points: LabeledSet
) -> Iterator[tuple[Tensor, Tensor]]:
    device = trial.engine.device
    for places in torch.split(torch.arange(len(points)), _chunk_size(trial, network)):
        if len(places):
            inputs = points.inputs.gather(points.indices[places], device)
            yield inputs, points.labels[places].to(device)


def _of_sizes(
    trial: StudyTrial, network: Network, batch: Tensor, sizes: Sequence[int]
) -> Iterator[Iterator[Tensor]]:
    """The points of a batch up to each size from the one before, in chunks of inputs."""
    chunk = _chunk_size(trial, network)
    for begin, end in zip([0, *sizes], sizes, strict=False):
        parts = torch.split(batch[begin:end], chunk)
        yield (trial.pool.inputs.gather(part, trial.engine.device) for part in parts)


def _chunk_size(trial: StudyTrial, network: Network) -> int:
    return chunk_size(network, trial.pool.inputs.gather(torch.tensor([0]), trial.engine.device))


def _accuracy(network: Network, chunks: Iterable[tuple[Tensor, Tensor]]) -> float:
    right = [(network(inputs).argmax(dim=1) == labels) for inputs, labels in chunks]
    return float(torch.cat(right).double().mean()) if right else 0.0
