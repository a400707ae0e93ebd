"""GraNd and EL2N at initialisation and while networks are trained: what they rank points by.

Paul et al. (2021), arXiv:2107.07075, prune training sets by GraNd(x) = ‖∇ -log p(y | x)‖ and
EL2N(x) = ‖p - e_y‖, GraNd already at initialisation. A score that tells something of the points
ranks them alike whatever the initialisation, and other than the norm of their inputs does.

n points, I initialisations.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor

from al_bench.errors import ConfigError, require_whole
from al_bench.models.base import NETWORK, Network
from al_bench.models.frozen import frozen_copy, normalized
from al_bench.plots import panels
from al_bench.stats.measures import Measure
from al_bench.stats.ranks import spearman
from al_bench.strategies.last_layer import label_errors
from al_bench.strategies.point_gradients import gradient_norms
from al_bench.studies.base import Study, StudyTrial
from al_bench.studies.epochs import check_epochs, check_trained
from al_bench.studies.seeds import CAPTION, draw_curves, in_words, over_seeds
from al_bench.text.console import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCORES = {"grand": "GraNd", "el2n": "EL2N"}
ONE, MEAN, OTHER = "input_norm", "input_norm_of_mean", "other_initialization"
AGAINST = {
    ONE: "input norm, one network",
    MEAN: "input norm, mean over networks",
    OTHER: "another initialisation",
}


@dataclass(frozen=True)
class Initialization(Study):
    """How the scores of I networks rank the labeled set, by the number of epochs trained.

    Args:
        epochs: After how many epochs the scores are taken, ascending; 0 is at initialisation.
        num_initializations: I, at least 2; they differ in the order of their batches too.
    """

    epochs: Sequence[int] = (0, 1, 2, 5)
    num_initializations: int = 5
    needs: ClassVar[frozenset[str]] = frozenset({NETWORK})
    columns: ClassVar[Sequence[pa.Field]] = (
        pa.field("score", pa.string(), nullable=False),
        pa.field("epochs", pa.int64(), nullable=False),
        pa.field("against", pa.string(), nullable=False),
        pa.field("initialization", pa.int64()),
        pa.field("other", pa.int64()),
        pa.field("spearman", pa.float64()),
    )

    def __post_init__(self) -> None:
        check_epochs(self.epochs)
        require_whole("num_initializations", self.num_initializations, 2)

    @property
    def num_fits(self) -> int:
        """One an initialisation."""
        return self.num_initializations

    def check(self, trial: StudyTrial) -> None:
        """Raise ConfigError unless networks are trained for long enough, on points to rank."""
        check_trained(self.epochs, trial.recipe)
        if len(trial.labeled) < 2:
            raise ConfigError(
                f"{len(trial.labeled)} labels cannot be ranked.", "Add budget.init_size=500."
            )

    def measure(self, trial: StudyTrial) -> Iterator[dict[str, Any]]:
        """Rank correlations of the scores, all points being those that are trained on."""
        points, device = trial.labeled_set(), trial.engine.device
        scores: dict[tuple[str, int], list[Tensor]] = {}
        norms = []
        for inputs, _ in points.on(device, trial.engine.chunk_bytes):
            norms.append(inputs.double().flatten(1).norm(dim=1))

        def look(epochs: int, network: Network) -> None:
            errors = error_norms(network, points.on(device, trial.engine.chunk_bytes))
            gradients = gradient_norms(network, points, device)
            for name, values in (("grand", gradients), ("el2n", errors)):
                scores.setdefault((name, epochs), []).append(values)

        for member in range(self.num_initializations):
            trial.train(look, self.epochs, member)
        for (name, epochs), values in scores.items():
            for row in correlations(torch.stack(values), torch.cat(norms)):
                yield {"score": name, "epochs": epochs, **row}

    def table(self, rows: pd.DataFrame) -> Table:
        """A row a score and number of epochs, a column for what it is compared with."""
        table = Table("Spearman's ρ of scores with", caption=CAPTION)
        table.add_column("score")
        for name in ("epochs", "seeds", *AGAINST.values()):
            table.add_column(name, justify="right")
        summary = over_seeds(rows, ["score", "epochs", "against"], "spearman")
        for (score, epochs), own in summary.groupby(["score", "epochs"], sort=False):
            cells = [in_words(own[own["against"] == against]) for against in AGAINST]
            seeds = str(own["num_seeds"].max())
            table.add_row(SCORES[str(score)], str(epochs), seeds, *cells)
        return table

    def draw(self, rows: pd.DataFrame) -> "Figure":
        """A panel a score: each correlation over the epochs trained."""
        summary = over_seeds(rows, ["score", "epochs", "against"], "spearman")
        page = panels.page(SCORES)
        curves = {
            score: {
                label: summary[(summary["score"] == score) & (summary["against"] == against)]
                for against, label in AGAINST.items()
            }
            for score in SCORES
        }
        draw_curves(page, curves, "epochs", Measure("correlation", low=-1.0, high=1.0))
        page.label("Epochs trained", "Spearman's ρ")
        return page.figure


def correlations(scores: Tensor, norms: Tensor) -> Iterator[Mapping[str, Any]]:
    """Spearman's ρ of one score under several initialisations.

    Args:
        scores: (I, n).
        norms: Of the inputs, (n,).

    Yields:
        Rows: of each initialisation with the norms, of the mean over initialisations with the
        norms, and of each two initialisations.
    """
    count = len(scores)
    found = spearman(torch.cat([scores, scores.mean(dim=0, keepdim=True), norms[None]]).cpu())
    for i in range(count):
        yield _row(ONE, found[i, -1], initialization=i)
    yield _row(MEAN, found[count, -1])
    for i in range(count):
        for j in range(i + 1, count):
            yield _row(OTHER, found[i, j], initialization=i, other=j)


def _row(against: str, value: float, **which: int) -> dict[str, Any]:
    return {"against": against, "spearman": None if np.isnan(value) else float(value), **which}


def error_norms(network: Network, batches: Any) -> Tensor:
    """‖p - e_y‖ of each point, no unit dropped, (n,) float64 from 0 to √2: EL2N of one network."""
    network = frozen_copy(network, torch.float32)
    with torch.inference_mode():
        return torch.cat(
            [
                label_errors(normalized(network(inputs)), labels).norm(dim=1)
                for inputs, labels in batches
            ]
        )
