"""What a stored column measures, in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from al_bench.errors import ConfigError
from al_bench.results import ood


@dataclass(frozen=True)
class Measure:
    """How to show a column and which way is up.

    Args:
        words: What it is.
        unit: Its unit once multiplied by ``scale``; empty for none.
        scale: Shown value over stored value.
        higher_is_better: None where neither is.
        low: Least possible stored value.
        high: Greatest possible stored value.
    """

    words: str
    unit: str = ""
    scale: float = 1.0
    higher_is_better: bool | None = None
    low: float = -math.inf
    high: float = math.inf

    @property
    def sign(self) -> float:
        """-1 where it is to be lowered, else 1: times it, more is better, or at least higher."""
        return -1.0 if self.higher_is_better is False else 1.0

    @property
    def digits(self) -> int:
        """Decimals that a value is shown with, once multiplied by ``scale``."""
        return 2 if self.scale != 1 else 3

    @property
    def label(self) -> str:
        """Words and unit, beginning with a capital, as on an axis."""
        words = self.words[0].upper() + self.words[1:]
        return f"{words} ({self.unit})" if self.unit else words


def _fraction(words: str, higher_is_better: bool = True) -> Measure:
    return Measure(words, "%", 100.0, higher_is_better, 0.0, 1.0)


_MEASURES = {
    "accuracy": _fraction("accuracy"),
    "balanced_accuracy": _fraction("balanced accuracy"),
    "macro_f1": _fraction("macro F1"),
    "nll": Measure("NLL", "nats", higher_is_better=False, low=0.0),
    "brier": Measure("Brier score", higher_is_better=False, low=0.0, high=2.0),
    "ece": _fraction("calibration error (ECE)", higher_is_better=False),
    "entropy": Measure("predictive entropy", "nats", low=0.0),
    "loss": Measure("loss", higher_is_better=False),
}

_JOINT = {  # columns of evaluation.joint_size and evaluation.online
    "test_nll_joint": replace(_MEASURES["nll"], words="joint test NLL", unit="nats per label"),
    "test_nll_conditional": replace(_MEASURES["nll"], words="test NLL of single samples"),
    "online_accuracy": _fraction("test accuracy after reweighting"),
    "online_nll": replace(_MEASURES["nll"], words="test NLL after reweighting"),
    "online_effective_samples": Measure("effective samples after reweighting", low=1.0),
    "online_top_weight": replace(
        _fraction("largest weight of a sample after reweighting"), higher_is_better=None
    ),
}

_OOD = {
    "auroc": _fraction("AUROC"),
    "aupr": _fraction("AUPR"),
    "fpr95": _fraction("FPR at 95 % recall", higher_is_better=False),
}

_SAMPLING = {  # columns of active sampling
    "selected_wrong": _fraction("wrong labels among the points chosen", higher_is_better=False),
    "selected_outside": _fraction("outside points among the points chosen", higher_is_better=False),
    "selected_known": replace(
        _fraction("known points among the points chosen"), higher_is_better=None
    ),
    "selected_seen": replace(
        _fraction("seen points among the points chosen"), higher_is_better=None
    ),
    "irreducible_accuracy": _fraction("accuracy of the irreducible-loss model"),
    "irreducible_nll": replace(_MEASURES["nll"], words="irreducible loss"),
    "seconds_irreducible": Measure(
        "irreducible-loss training", "s", higher_is_better=False, low=0.0
    ),
}

_NAMED = {**_JOINT, **_SAMPLING}


def p_value(value: float) -> str:
    """A p value as it is shown; nothing for NaN."""
    if math.isnan(value):
        return ""
    if value < 0.001:
        return "<0.001"
    # Which side of the usual level it is on is to be seen.
    return f"{value:.3f}" if f"{value:.3f}" != "0.050" else f"{value:.4f}"


def labels_saved(value: float, low: float, high: float, at_most: bool, at_start: bool) -> str:
    """Labels or steps saved with their interval, as they are shown; alone where there is none."""
    if at_start:
        return "at the start"
    whole = whole_labels(value)
    # An arm that lacks a value at the end of the budget takes at least one more.
    text = f"at most {min(whole, -1):+d}" if at_most else f"{whole:+d}"
    return text if math.isnan(low) else f"{text} [{whole_labels(low):+d}, {whole_labels(high):+d}]"


def times_sooner(value: float) -> str:
    """A speed-up as it is shown: 1 is as soon, 0 never."""
    return "never" if value == 0 else "∞" if math.isinf(value) else f"{value:.2f}"


def whole_labels(number: float) -> int:
    """A whole number of labels or steps; a part of one lost is one, so that no loss looks free."""
    return min(round(number), -1) if number < -1e-6 else round(number)


def measure(column: str) -> Measure:
    """The measure of a stored column; one that is not known is shown by its name."""
    if column in _NAMED:
        return _NAMED[column]
    if parts := ood.parts(column):
        quantity, score, dataset = parts
        shown = _OOD[quantity]
        return replace(shown, words=f"{shown.words} of {ood.SCORES[score]} against {dataset}")
    part, _, quantity = column.partition("_")
    if part in ("test", "validation", "train") and quantity in _MEASURES:
        base = _MEASURES[quantity]
        part = "training" if part == "train" else part
        return replace(base, words=f"{part} {base.words}")
    if part == "seconds":
        words = f"{quantity} time per round".replace("_", " ")
        return Measure(words, "s", higher_is_better=False, low=0.0)
    if column.endswith("_bytes"):
        words = column.removesuffix("_bytes").replace("_", " ")
        return Measure(words, "MiB", 2.0**-20, higher_is_better=False, low=0.0)
    return Measure(column.replace("_", " "))


def check_reach(reach: Sequence[float], metric: str, measure: Measure) -> None:
    """Raise ConfigError where a value to be reached is none of the metric's."""
    for value in reach:
        if measure.higher_is_better is None:
            raise ConfigError(f"{metric} is neither to be raised nor lowered; leave reach out.")
        if not measure.low <= value <= measure.high:
            raise ConfigError(
                f"reach must lie between {measure.low:g} and {measure.high:g} for {metric}, "
                f"got {value:g}."
            )
