"""Information gains sampled by dropout against their Fisher forms: how alike they rank the pool.

Kirsch and Gal (2022), arXiv:2208.00549: with a Gaussian over the last layer's weights, BALD is
about EIG = ½ log det(I + F(x) Σ) ≤ ½ tr(F(x) Σ), and EPIG and JEPIG are what x takes from the same
of the mean, or the sum, of the targets' Fisher information (``al_bench.information.fisher``). The
network has no unit dropped there, Σ is the full posterior covariance given the labeled set, and the
prior's precision maximises the evidence.

n points, T targets, K posterior samples, V quantities.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor

from al_bench.data.base import Inputs
from al_bench.errors import ConfigError, keyed, require_whole
from al_bench.information.entropies import mutual_information
from al_bench.information.evidence import evidence_precision
from al_bench.information.fisher import (
    expected_information_gain,
    expected_predictive_information_gain,
)
from al_bench.information.last_layer import FULL_LIMIT, FullPosterior, Points, fisher_matrix
from al_bench.information.predictive import information_about, marginal_outcomes
from al_bench.models.base import GRADIENTS, NETWORK, SAMPLES, NetworkModel, Posterior
from al_bench.models.capabilities import offered
from al_bench.models.chunks import in_chunks
from al_bench.models.laplace import labeled_points
from al_bench.models.spectrum import FullSpectrum
from al_bench.plots import panels
from al_bench.seeding import isolated
from al_bench.stats.ranks import Array, kendall, spearman
from al_bench.studies.base import Study, StudyTrial
from al_bench.studies.seeds import CAPTION, in_words, over_seeds
from al_bench.text.console import Table
from al_bench.training.trainer import fit_one

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Computed = TypeVar("Computed")

QUANTITIES = {
    "bald": "BALD, sampled",
    "epig": "EPIG, sampled",
    "eig_logdet": "EIG, log-det",
    "eig_trace": "EIG, trace",
    "epig_logdet": "EPIG, log-det",
    "epig_trace": "EPIG, trace",
    "jepig_logdet": "JEPIG, log-det",
    "jepig_trace": "JEPIG, trace",
}
SAMPLED = ("bald", "epig")
MEASURES = {"spearman": ("Spearman's ρ", spearman), "kendall": ("Kendall's τ", kendall)}
AMONG = {"all": "all points", "upper_half": "upper half"}


@dataclass(frozen=True)
class Fisher(Study):
    """Rank correlations between all quantities, on points drawn from the pool.

    Args:
        num_points: n, at least 4, drawn from what is not labeled.
        num_targets: T, drawn from the run's target distribution (the pool if none is chosen).
    """

    num_points: int = 300
    num_targets: int = 300
    needs: ClassVar[frozenset[str]] = frozenset({SAMPLES, GRADIENTS, NETWORK})
    columns: ClassVar[Sequence[pa.Field]] = (
        pa.field("measure", pa.string(), nullable=False),
        pa.field("among", pa.string(), nullable=False),
        pa.field("quantity", pa.string(), nullable=False),
        pa.field("other", pa.string(), nullable=False),
        pa.field("correlation", pa.float64()),
        pa.field("prior_precision", pa.float64(), nullable=False),
        pa.field("train_accuracy", pa.float64()),
    )

    def __post_init__(self) -> None:
        require_whole("num_points", self.num_points, 4)
        require_whole("num_targets", self.num_targets, 1)

    def check(self, trial: StudyTrial) -> None:
        """Raise ConfigError unless there are as many points and targets, and the layer is small."""
        there = {
            "num_points": (self.num_points, len(trial.available()), "points without a label"),
            "num_targets": (self.num_targets, len(trial.targets.indices), "target inputs"),
        }
        for name, (asked, count, what) in there.items():
            if asked > count:
                raise ConfigError(
                    f"{keyed(name)}={asked} is more than the {count} {what}.",
                    f"Use {keyed(name)}={count} or less.",
                )
        assert isinstance(trial.model, NetworkModel)
        with isolated(torch.Generator().manual_seed(0)):
            network = trial.model.build(trial.pool.inputs.input_shape, trial.num_classes)
        _require_small(network.output.weight, network.output.bias)

    def measure(self, trial: StudyTrial) -> Iterator[dict[str, Any]]:
        """Both matrices of correlations, over all points and over the upper half of each row."""
        fitted = fit_one(trial)
        posterior = fitted.posterior
        pool = trial.available()
        order = torch.randperm(len(pool), generator=trial.streams.generator("select"))
        chosen = pool[order[: self.num_points]]
        targets = trial.targets.draw(self.num_targets, trial.streams.generator("target"))
        shown = _Shown(trial, posterior)
        quantities = shown.sampled(chosen, targets)
        gaussian, precision = shown.gaussian()
        quantities |= fisher_forms(
            shown.factors(trial.pool.inputs, chosen),
            shown.factors(trial.targets.inputs, targets),
            gaussian,
        )
        for row in correlations(quantities):
            yield {
                **row,
                "prior_precision": precision,
                "train_accuracy": fitted.diagnostics["train_accuracy"],
            }

    def table(self, rows: pd.DataFrame) -> Table:
        """A row a quantity: its correlations with the sampled ones."""
        table = Table("Rank correlation with sampled BALD and EPIG", caption=CAPTION)
        table.add_column("quantity", no_wrap=True)
        columns = [(m, a, s) for s in SAMPLED for m in MEASURES for a in AMONG]
        for measure, among, sampled in columns:
            name = f"{MEASURES[measure][0][-1]} with {sampled.upper()}, {AMONG[among]}"
            table.add_column(name, justify="right", overflow="fold")
        summary = _summary(rows)
        for quantity, words in QUANTITIES.items():
            cells = [in_words(_entry(summary, m, a, s, quantity), 2) for m, a, s in columns]
            table.add_row(words, *cells)
        return table

    def draw(self, rows: pd.DataFrame) -> "Figure":
        """A matrix for each measure and set of points, each entry the mean over seeds."""
        summary = _summary(rows)
        seeds = rows["seed"].nunique()
        titles = {
            (measure, among): f"{words} · {AMONG[among]} (n = {seeds})"
            for measure, (words, _) in MEASURES.items()
            for among in AMONG
        }
        page = panels.page({" ".join(key): title for key, title in titles.items()},
                           columns=2, height=3.4)  # fmt: skip
        for measure, among in titles:
            axes = page.axes[f"{measure} {among}"]
            values = np.array(
                [
                    [_mean(_entry(summary, measure, among, one, other)) for other in QUANTITIES]
                    for one in QUANTITIES
                ]
            )
            axes.imshow(values, cmap="RdBu", vmin=-1.0, vmax=1.0)
            for (i, j), value in np.ndenumerate(values):
                text = "" if np.isnan(value) else f"{value:.2f}"
                color = "white" if abs(value) > 0.7 else "black"
                axes.text(j, i, text, ha="center", va="center", fontsize=5.5, color=color)
            names = list(QUANTITIES.values())
            is_below = measure == list(MEASURES)[-1]
            axes.set_xticks(range(len(names)), names if is_below else [], rotation=45, ha="right")
            axes.set_yticks(range(len(names)), names if among == "all" else [])
            axes.grid(visible=False)
            axes.tick_params(length=0)
        return page.figure


class _Shown:
    """What a fitted posterior says of points, in chunks.

    Args:
        trial: The seed.
        posterior: Fitted to its labeled set.
    """

    def __init__(self, trial: StudyTrial, posterior: Posterior) -> None:
        self._trial = trial
        self._posterior = posterior

    def sampled(self, chosen: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """BALD and EPIG of the points ``chosen``, (n,) each."""
        log_probs_of = self._posterior.log_probs
        of_targets = torch.cat(list(self._of(self._trial.targets.inputs, targets, log_probs_of)))
        outcomes = marginal_outcomes(of_targets)
        bald, epig = [], []
        for log_probs in self._of(self._trial.pool.inputs, chosen, log_probs_of):
            bald.append(mutual_information(log_probs))
            epig.append(information_about(log_probs, outcomes))
        return {"bald": torch.cat(bald), "epig": torch.cat(epig)}

    def factors(self, inputs: Inputs, indices: Tensor) -> Points:
        """Points as the last layer sees them, no unit dropped."""
        found = self._of(inputs, indices, offered(self._posterior, GRADIENTS))
        log_probs, features = (torch.cat(parts) for parts in zip(*found, strict=True))
        return Points.of(log_probs, features)

    def gaussian(self) -> tuple[FullPosterior, float]:
        """The last layer's posterior given the labeled set, and the precision of its prior."""
        engine = self._trial.engine
        network = offered(self._posterior, NETWORK)().to(engine.device)
        labeled = self._trial.labeled_set().on(engine.device, engine.chunk_bytes)
        return evidence_posterior(
            labeled_points(network, labeled), network.output.weight, network.output.bias
        )

    def _of(
        self, inputs: Inputs, indices: Tensor, compute: Callable[[Tensor], Computed]
    ) -> Iterator[Computed]:
        engine = self._trial.engine
        where = engine.device, engine.chunk_bytes
        return in_chunks(self._posterior, inputs, indices, *where, compute)


def evidence_posterior(
    labeled: Points, weight: Tensor, bias: Tensor
) -> tuple[FullPosterior, float]:
    """N(·, (δ I + Fisher information of the labeled set)⁻¹), and δ, which maximises the evidence.

    Args:
        labeled: The labeled set as the last layer sees it.
        weight: Of the last layer, (C, D).
        bias: (C,).

    Raises:
        ConfigError: The last layer has too many weights for a full covariance.
    """
    _require_small(weight, bias)
    norm = float(weight.detach().double().square().sum() + bias.detach().double().square().sum())
    precision = evidence_precision(FullSpectrum(labeled).eigenvalues, norm)
    matrix = fisher_matrix(labeled)
    matrix.diagonal().add_(precision)
    return FullPosterior(matrix, labeled.num_classes), precision


def fisher_forms(points: Points, targets: Points, posterior: FullPosterior) -> dict[str, Tensor]:
    """Both forms of EIG, EPIG and JEPIG of each point, nats, (n,) float64 each."""
    forms = {}
    for form in ("logdet", "trace"):
        forms[f"eig_{form}"] = expected_information_gain(points, posterior, form)
    for name, joint in (("epig", False), ("jepig", True)):
        forms[f"{name}_logdet"] = expected_predictive_information_gain(
            points, targets, posterior, "logdet", joint
        )
    trace = expected_predictive_information_gain(points, targets, posterior, "trace")
    forms |= {"epig_trace": trace, "jepig_trace": trace * targets.num_points}  # sum, not mean
    return forms


def correlations(quantities: Mapping[str, Tensor]) -> Iterator[dict[str, Any]]:
    """Rows of both measures between each two quantities, over all points and the upper halves.

    The upper half of a row are the points of which its ``quantity`` is at least the median.

    Args:
        quantities: By name, (n,) each.
    """
    names = list(QUANTITIES)
    values = torch.stack([quantities[name].double().cpu() for name in names]).numpy()
    for measure, (_, correlate) in MEASURES.items():
        matrices: dict[str, Array] = {"all": correlate(values)}
        matrices["upper_half"] = np.stack(
            [
                correlate(values[:, row >= np.median(row)])[number]
                for number, row in enumerate(values)
            ]
        )
        for among, matrix in matrices.items():
            for i, quantity in enumerate(names):
                for j, other in enumerate(names):
                    value = None if np.isnan(matrix[i, j]) else float(matrix[i, j])
                    yield {
                        "measure": measure,
                        "among": among,
                        "quantity": quantity,
                        "other": other,
                        "correlation": value,
                    }


def _summary(rows: pd.DataFrame) -> pd.DataFrame:
    keys = ["measure", "among", "quantity", "other"]
    return over_seeds(rows, keys, "correlation").set_index(keys)


def _entry(
    summary: pd.DataFrame, measure: str, among: str, quantity: str, other: str
) -> pd.DataFrame:
    return summary.loc[[(measure, among, quantity, other)]]


def _mean(entry: pd.DataFrame) -> float:
    return float(entry["mean"].iloc[0])


def _require_small(weight: Tensor, bias: Tensor) -> None:
    """Raise ConfigError unless the last layer has few enough weights for a full covariance."""
    count = weight.numel() + bias.numel()
    if count > FULL_LIMIT:
        raise ConfigError(
            f"A full covariance of the last layer's {count} weights is too large; {FULL_LIMIT} are "
            "possible.",
            "Use a network with fewer features.",
        )
