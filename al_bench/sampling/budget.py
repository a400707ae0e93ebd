"""What ``conf/budget/steps.yaml`` says: how many steps are taken, and what is held out.

N training points; n_B candidates of a step, of which a selection chooses n_b.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from al_bench.errors import (
    ConfigError,
    choose,
    keyed,
    require_list,
    require_number,
    require_whole,
)

LABELS = ("clean", "pool")
CANDIDATES = 320  # of Mindermann et al. (2022), as their 32 points a step and their 10 passes
PASSES = 10
FEWEST_A_PASS = 4  # steps of a pass over a small training set
FEWEST_STEPS = 300


@dataclass(frozen=True)
class StepBudget:
    """How many steps are taken, and which points of the pool are held out.

    A pass shows every training point once as a candidate; candidates at its end that do not make
    up a whole step are dropped. Holdout and validation points are drawn once a seed, equal for all
    selections, and the target network is never trained on them.

    Args:
        passes: Passes over the training points; ``None`` is 10, or as many as make 300 steps.
        steps: Optimizer steps instead.
        candidates: n_B, points shown to the selection for one step; ``None`` is 320, or what makes
            four steps of a pass over a small training set.
        holdout_size: Points that irreducible losses may be learned from: a number, or a share
            below 1 of the points that validation leaves. 0 holds out none.
        holdout_labels: ``clean``: true labels, as published; a point of another data set has none
            and is put aside once drawn, so that training points are mixed as the pool is.
            ``pool``: the labels that the pool has, right or wrong.
        holdout_classes: Classes whose points stay in the holdout; the others of those drawn are put
            aside. ``None`` is all.
        validation_size: Points for validation.
        evaluate_every: Steps between evaluations; ``None`` is a pass.
        target_accuracy: Stop at this validation accuracy, in (0, 1]; ``None`` takes all steps.
    """

    passes: int | None = None
    steps: int | None = None
    candidates: int | None = None
    holdout_size: float = 0.5
    holdout_labels: str = "clean"
    holdout_classes: Sequence[int] | None = None
    validation_size: int = 0
    evaluate_every: int | None = None
    target_accuracy: float | None = None

    def __post_init__(self) -> None:
        if self.passes is not None and self.steps is not None:
            raise ConfigError(
                f"Give one of {keyed('passes')} and {keyed('steps')}, got {self.passes} and "
                f"{self.steps}.",
                "Set the other to null.",
            )
        for name in ("passes", "steps", "candidates", "evaluate_every"):
            if getattr(self, name) is not None:
                require_whole(name, getattr(self, name), 1)
        if isinstance(self.holdout_size, float):
            hint = "A share lies below 1; a number of points is written without a dot."
            require_number("holdout_size", self.holdout_size, 0, below=1, hint=hint)
        else:
            require_whole("holdout_size", self.holdout_size, 0)
        if self.holdout_labels not in LABELS:
            raise ConfigError(
                f"{keyed('holdout_labels')}={self.holdout_labels} is unknown.",
                choose(str(self.holdout_labels), LABELS),
            )
        if self.holdout_classes is not None:
            require_list("holdout_classes", self.holdout_classes)
            for label in self.holdout_classes:
                require_whole(f"A class in {keyed('holdout_classes')}", label, 0)
            if not self.holdout_classes:
                raise ConfigError(f"{keyed('holdout_classes')}=[] keeps none.", "Use null for all.")
        require_whole("validation_size", self.validation_size, 0)
        if self.target_accuracy is not None:
            hint = "Use null to take all steps."
            require_number("target_accuracy", self.target_accuracy, above=0, most=1, hint=hint)
            if self.validation_size == 0:
                raise ConfigError(
                    f"{keyed('target_accuracy')}={self.target_accuracy} needs a validation set.",
                    f"Add for example {keyed('validation_size')}=100.",
                )

    def num_holdout(self, available: int) -> int:
        """Points to hold out, of so many different ones that validation leaves."""
        if isinstance(self.holdout_size, float):
            return int(self.holdout_size * available)
        return self.holdout_size

    def plan(self, num_training: int, batch_size: int) -> "StepPlan":
        """The steps of a trial.

        Args:
            num_training: N.
            batch_size: n_b.

        Raises:
            ConfigError: So many training points do not make such steps.
        """
        candidates = self.candidates
        if candidates is None:
            few = max(num_training // FEWEST_A_PASS, batch_size)
            candidates = min(CANDIDATES, few, num_training)
        elif candidates > num_training:
            raise ConfigError(
                f"{keyed('candidates', self)}={candidates} is more than the {num_training} "
                "training points.",
                f"Use {keyed('candidates', self)}={num_training} or fewer.",
            )
        if batch_size > candidates:
            raise ConfigError(
                f"training.batch_size={batch_size} is more than the {candidates} candidates of a "
                "step.",
                f"Use training.batch_size={max(candidates // 10, 1)}, or more "
                f"{keyed('candidates', self)}.",
            )
        steps_per_pass = num_training // candidates
        total = self.steps
        if total is None:
            enough = -(-FEWEST_STEPS // steps_per_pass)
            total = (self.passes or max(PASSES, enough)) * steps_per_pass
        stretch = self.evaluate_every
        if stretch is None:
            stretch = min(steps_per_pass, total)
        elif stretch > total:
            raise ConfigError(
                f"{keyed('evaluate_every', self)}={stretch} is more than all {total} steps.",
                f"Use {keyed('evaluate_every', self)}={steps_per_pass}, which is a pass.",
            )
        return StepPlan(candidates, batch_size, steps_per_pass, total, stretch)


@dataclass(frozen=True)
class StepPlan:
    """The steps of a trial.

    Args:
        candidates: n_B.
        batch_size: n_b.
        steps_per_pass: Steps until every training point has been a candidate once.
        total: All steps.
        stretch: Steps between evaluations; the last stretch is shorter where needed.
    """

    candidates: int
    batch_size: int
    steps_per_pass: int
    total: int
    stretch: int

    @property
    def num_rounds(self) -> int:
        """Evaluations, that of the untrained network included."""
        return 1 + -(-self.total // self.stretch)

    @property
    def passes(self) -> float:
        """Passes, the last one perhaps in part."""
        return self.total / self.steps_per_pass

    def until(self, round: int) -> int:
        """Steps taken at the end of a round, from 0."""
        return min(round * self.stretch, self.total)
