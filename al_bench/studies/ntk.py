"""Whether training speed goes with alignment and a bound on the error, as dynamicAL says.

Wang et al. (2022, arXiv:2110.08611) buy the points Q that make training on S ∪ Q fastest, and argue
that fast training goes with a small bound on the error. With Θ the kernel of an infinitely wide
network, labels Y (n, C), one-hot, and outputs f, they measure it by

- G = Tr[(f - Y)ᵀ Θ (f - Y)], how fast the squared error falls,
- A = Tr[Yᵀ Θ Y], the alignment of the labels with the kernel,
- B = √(2 Tr[Yᵀ Θ⁻¹ Y] / n), a bound on the generalisation error.

n points of S ∪ Q, C classes.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
import torch.nn.functional as F
from torch import Tensor

from al_bench.errors import AlBenchError, ConfigError, keyed, require_list, require_whole
from al_bench.plots import panels, style
from al_bench.stats.ranks import kendall
from al_bench.studies.base import Study, StudyTrial
from al_bench.studies.neural_tangents import at_width, drawn, infinite_width
from al_bench.studies.seeds import CAPTION, in_words, over_seeds
from al_bench.text.console import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LABELS = TRUE, REGRESSION, ARGMAX = "true", "regression", "argmax"  # of Q, that G is measured with
OUTPUTS = ZERO, INITIAL, TRAINED = "zero", "initial", "trained"  # that it is measured at
ALIGNMENT, BOUND = "tau_alignment", "tau_bound"
THEOREM_1, THEOREM_2, DISTANCE = "theorem_1", "theorem_2", "kernel_distance"
WORDS = {
    ALIGNMENT: "Kendall's τ of G with A",
    BOUND: "Kendall's τ of G with B",
    THEOREM_1: "share of batches in which theorem 1 holds",
    THEOREM_2: "share of batches in which theorem 2 holds",
    DISTANCE: "distance of the mean kernel from the limit",
}
ROUNDING = 1e-9
EXAMPLES = 20  # images on which finite networks are compared with the limit


def alignment(kernel: Tensor, targets: Tensor) -> float:
    """A = Tr[Yᵀ Θ Y], with Θ (n, n) and Y (n, C)."""
    return float((targets * (kernel @ targets)).sum())


def bound(kernel: Tensor, targets: Tensor) -> float:
    """B = √(2 Tr[Yᵀ Θ⁻¹ Y] / n)."""
    solved = torch.linalg.solve(kernel, targets)
    return math.sqrt(2 * float((targets * solved).sum()) / len(targets))


def error_after(kernel: Tensor, targets: Tensor, steps: Sequence[int]) -> list[float]:
    """E_t² = ‖f_t - Y‖² after t steps of gradient descent from f = 0, with step 1 / λmax."""
    values, vectors = torch.linalg.eigh(kernel)
    kept = 1 - values / values[-1]
    parts = (vectors.T @ targets).square().sum(dim=1)
    return [float((kept ** (2 * count) * parts).sum()) for count in steps]


def outputs_after(
    kernel: Tensor, targets: Tensor, before: Tensor, num_trained: int, steps: int
) -> Tensor:
    """Outputs (n, C) once the first points alone were trained on, by steps of 1 / λmax.

    Args:
        kernel: Θ, (n, n).
        targets: Y of the points that are trained on, (num_trained, C).
        before: Outputs at initialisation, (n, C).
        num_trained: How many points, the first ones.
        steps: Of gradient descent on half the squared error.
    """
    own = kernel[:num_trained, :num_trained]
    values, vectors = torch.linalg.eigh(own)
    decayed = 1 - (1 - values / values[-1]) ** steps
    gap = vectors.T @ (targets - before[:num_trained])
    return before + kernel[:, :num_trained] @ (vectors @ ((decayed / values)[:, None] * gap))


def speed(kernel: Tensor, outputs: Tensor, targets: Tensor) -> float:
    """G = Tr[(f - Y)ᵀ Θ (f - Y)]."""
    return alignment(kernel, outputs - targets)


def within_errors(kernel: Tensor, targets: Tensor, steps: Sequence[int]) -> bool:
    """Theorem 1: Tr[YᵀY] - 2 t η A ≤ E_t² ≤ Tr[YᵀY] - η A, for η = 1 / λmax and t at least 1."""
    rate = 1 / float(torch.linalg.eigvalsh(kernel)[-1])
    total, slope = float(targets.square().sum()), rate * alignment(kernel, targets)
    slack = ROUNDING * total
    found = error_after(kernel, targets, steps)
    return all(
        total - 2 * count * slope - slack <= error <= total - slope + slack
        for count, error in zip(steps, found, strict=True)
    )


def within_bounds(kernel: Tensor, targets: Tensor) -> bool:
    """Theorem 2: Tr²[YᵀY] / A ≤ (n / 2) B² ≤ (λmax / λmin) Tr²[YᵀY] / A."""
    values = torch.linalg.eigvalsh(kernel)
    least = float(targets.square().sum()) ** 2 / alignment(kernel, targets)
    middle = len(targets) / 2 * bound(kernel, targets) ** 2
    most = float(values[-1] / values[0]) * least
    return least * (1 - ROUNDING) <= middle <= most * (1 + ROUNDING)


def check_images(trial: StudyTrial, side: int) -> None:
    """Raise ConfigError unless inputs are images that can be averaged to ``side`` pixels a side."""
    shape = trial.pool.inputs.input_shape
    if len(shape) != 3 or min(shape[1:]) < side:
        raise ConfigError(
            f"Inputs of shape {tuple(shape)} cannot be averaged to {side}x{side} pixels.",
            f"Choose a data set of images, or a smaller {keyed('side')}.",
        )


def kernel_of(trial: StudyTrial, indices: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """The averaged images of n points of the pool, and Θ of them, (n, n), both float64.

    Raises:
        AlBenchError: Θ is singular.
    """
    inputs = trial.pool.inputs.gather(indices, torch.device("cpu")).double()
    images = F.adaptive_avg_pool2d(inputs, side)
    kernel = infinite_width(images)
    values = torch.linalg.eigvalsh(kernel)
    if values[0] <= len(kernel) * torch.finfo(kernel.dtype).eps * values[-1]:
        raise AlBenchError(
            "The kernel of these images is singular: some are alike once they are averaged.",
            f"Raise {keyed('side')}={side}, or use a pool without copies.",
        )
    return images, kernel


def one_hot(trial: StudyTrial, indices: Tensor) -> Tensor:
    """True labels of n points of the pool, (n, C) float64."""
    return F.one_hot(trial.pool.labels[indices], trial.num_classes).double()


@dataclass(frozen=True)
class NTK(Study):
    """Kendall's τ of G with A and with B over random batches Q, and how soon networks are wide.

    The labeled set is S. Images are averaged to ``side`` × ``side`` pixels. The paper does not say
    at which f it takes G: it is measured at 0, where G of the true labels is A, at the outputs of a
    network at initialisation, and at what gradient descent in the limit makes of these.

    Args:
        side: Pixels.
        batch_size: Points of Q.
        num_batches: Draws of Q.
        num_others: Unlabeled points that Q is drawn from.
        steps: Of gradient descent, for the outputs of a trained network.
        widths: Channels of the finite networks whose kernels are compared with the limit.
        num_initializations: Networks of each width, over which their kernels are averaged.
    """

    side: int = 8
    batch_size: int = 25
    num_batches: int = 150
    num_others: int = 100
    steps: int = 100
    widths: Sequence[int] = (16, 64)
    num_initializations: int = 10
    columns: ClassVar[Sequence[pa.Field]] = (
        pa.field("quantity", pa.string(), nullable=False),
        pa.field("labels", pa.string()),
        pa.field("outputs", pa.string()),
        pa.field("width", pa.int64()),
        pa.field("value", pa.float64()),
    )

    def __post_init__(self) -> None:
        for name, least in (
            ("side", 1),
            ("batch_size", 1),
            ("num_batches", 2),
            ("num_others", 1),
            ("steps", 1),
            ("num_initializations", 1),
        ):
            require_whole(name, getattr(self, name), least)
        require_list("widths", self.widths)
        if not self.widths:
            raise ConfigError(f"{keyed('widths')} is empty.", f"Try {keyed('widths')}=[16,64].")
        for width in self.widths:
            require_whole("widths", width, 1)
        if self.batch_size > self.num_others:
            raise ConfigError(
                f"{keyed('batch_size')}={self.batch_size} points cannot be drawn from "
                f"{self.num_others}.",
                f"Use at most {keyed('num_others')}.",
            )

    @property
    def num_fits(self) -> int:
        """Nothing is trained: gradient descent in the limit is solved."""
        return 0

    def check(self, trial: StudyTrial) -> None:
        """Raise ConfigError unless inputs are images and there are points to draw from."""
        check_images(trial, self.side)
        if not len(trial.labeled):
            raise ConfigError("There is no labeled set.", "Add budget.init_size=500.")
        if (left := len(trial.available())) < self.num_others:
            raise ConfigError(
                f"{keyed('num_others')}={self.num_others}, but {left} points are unlabeled.",
                f"Use at most {left}.",
            )

    def measure(self, trial: StudyTrial) -> Iterator[dict[str, Any]]:
        """Rank correlations, how often the theorems hold, and distances of kernels."""
        generator = trial.streams.generator("select")
        available = trial.available()
        chosen = torch.randperm(len(available), generator=generator)[: self.num_others]
        indices = torch.cat([trial.labeled, available[chosen]])
        images, kernel = kernel_of(trial, indices, self.side)
        targets = one_hot(trial, indices)
        yield from self._batches(trial, kernel, images, targets, generator)
        examples = images[:EXAMPLES]
        limit = kernel[: len(examples), : len(examples)]
        for width in self.widths:
            drawn = [
                at_width(width, examples, trial.streams.generator("init", width, member))
                for member in range(self.num_initializations)
            ]
            distance = float((torch.stack(drawn).mean(dim=0) - limit).norm() / limit.norm())
            yield {"quantity": DISTANCE, "width": width, "value": distance}

    def _batches(
        self,
        trial: StudyTrial,
        kernel: Tensor,
        images: Tensor,
        targets: Tensor,
        generator: torch.Generator,
    ) -> Iterator[dict[str, Any]]:
        count = len(trial.labeled)
        own = kernel[:count, :count]
        guessed = kernel[:, :count] @ torch.linalg.solve(own, targets[:count])
        hard = F.one_hot(guessed.argmax(dim=1), trial.num_classes).double()
        labels = {
            name: torch.cat([targets[:count], values[count:]])
            for name, values in ((TRUE, targets), (REGRESSION, guessed), (ARGMAX, hard))
        }
        network = drawn(max(self.widths), images.shape[1], trial.num_classes,
                        trial.streams.generator("init"))  # fmt: skip
        initial = network(images)
        outputs = {
            ZERO: torch.zeros_like(targets),
            INITIAL: initial,
            TRAINED: outputs_after(kernel, targets[:count], initial, count, self.steps),
        }
        pairs = list(itertools.product(labels, outputs))
        found: dict[str, list[float]] = {ALIGNMENT: [], BOUND: [], THEOREM_1: [], THEOREM_2: []}
        speeds: dict[tuple[str, str], list[float]] = {pair: [] for pair in pairs}
        for _ in range(self.num_batches):
            batch = torch.randperm(self.num_others, generator=generator)[: self.batch_size]
            both = torch.cat([torch.arange(count), count + batch])
            part, true = kernel[both][:, both], targets[both]
            found[ALIGNMENT].append(alignment(part, true))
            found[BOUND].append(bound(part, true))
            found[THEOREM_1].append(within_errors(part, true, (1, 10, self.steps)))
            found[THEOREM_2].append(within_bounds(part, true))
            for label, output in pairs:
                value = speed(part, outputs[output][both], labels[label][both])
                speeds[label, output].append(value)
        for (label, output), values in speeds.items():
            ranks = kendall([values, found[ALIGNMENT], found[BOUND]])
            for quantity, value in zip((ALIGNMENT, BOUND), ranks[0, 1:], strict=True):
                tau = None if math.isnan(value) else float(value)
                yield {"quantity": quantity, "labels": label, "outputs": output, "value": tau}
        for theorem in (THEOREM_1, THEOREM_2):
            yield {"quantity": theorem, "value": sum(found[theorem]) / self.num_batches}

    def table(self, rows: pd.DataFrame) -> Table:
        """A row a correlation, a theorem and a width."""
        table = Table("Training speed and the kernel", caption=CAPTION)
        for name in ("quantity", "labels of Q", "outputs"):
            table.add_column(name)
        table.add_column("value", justify="right")
        keys = ["quantity", "labels", "outputs", "width"]
        summary = over_seeds(rows, keys, "value")
        for place in range(len(summary)):
            row = summary.iloc[place : place + 1]
            quantity, label, output, width = row[keys].iloc[0]
            name = WORDS[quantity]
            if quantity == DISTANCE:
                name = f"{name}, {int(width)} channels"
            table.add_row(name, _or_empty(label), _or_empty(output), in_words(row))
        return table

    def draw(self, rows: pd.DataFrame) -> "Figure":
        """Rank correlations of G by labels of Q and outputs, and kernels' distance by width."""
        page = panels.page({ALIGNMENT: WORDS[ALIGNMENT], BOUND: WORDS[BOUND], DISTANCE: "Kernels"})
        summary = over_seeds(rows, ["quantity", "labels", "outputs", "width"], "value")
        looks = style.assign(dict.fromkeys(f"labels of Q: {label}" for label in LABELS))
        for quantity in (ALIGNMENT, BOUND):
            axes = page.axes[quantity]
            axes.axhline(0.0, color="#7F7F7F", linewidth=0.8, zorder=1)
            for place, label in enumerate(LABELS):
                own = summary[(summary["quantity"] == quantity) & (summary["labels"] == label)]
                own = own.set_index("outputs").reindex(list(OUTPUTS))
                places = np.arange(len(OUTPUTS)) + (place - 1) / 5
                reach = (own["high"] - own["mean"]).fillna(0.0)
                look = looks[f"labels of Q: {label}"]
                axes.errorbar(
                    places, own["mean"], reach, linestyle="none", color=look.color,
                    marker=look.marker, capsize=2,
                )  # fmt: skip
            axes.set_xticks(np.arange(len(OUTPUTS)), [f"f {name}" for name in OUTPUTS])
            axes.set_ylim(-1.1, 1.1)
        own = summary[summary["quantity"] == DISTANCE]
        axes = page.axes[DISTANCE]
        reach = (own["high"] - own["mean"]).fillna(0.0)
        axes.errorbar(own["width"], own["mean"], reach, color="#000000", marker="o", capsize=2)
        axes.set_xscale("log", base=2)
        axes.set_ylim(bottom=0.0)
        axes.set_xlabel("Channels")
        axes.set_ylabel("Distance from the limit")
        page.axes[ALIGNMENT].set_ylabel("Kendall's τ")
        panels.legend(page.figure, {name: name for name in looks}, looks)
        return page.figure


def _or_empty(text: Any) -> str:
    return "" if pd.isna(text) else str(text)
