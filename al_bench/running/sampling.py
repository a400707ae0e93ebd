"""Runs of active sampling: selections that choose the points of each step, built and checked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from al_bench.configuration.building import build
from al_bench.configuration.composing import Composed
from al_bench.data.base import Inputs
from al_bench.errors import ConfigError
from al_bench.models.base import SAMPLES, Model, Network
from al_bench.models.capabilities import MC_DROPOUT
from al_bench.models.deterministic import Deterministic
from al_bench.models.mc_dropout import MCDropout
from al_bench.rounds.loop import RoundStore
from al_bench.rounds.trial import Trial
from al_bench.running.compatibility import (
    check_dropout,
    check_evaluation,
    check_needs,
    check_one_point,
    check_samples,
)
from al_bench.running.parts import num_targets
from al_bench.running.setting import Round, Setting, Work
from al_bench.sampling.base import IRREDUCIBLE, TARGETS, CoreSet, Selection
from al_bench.sampling.budget import StepBudget
from al_bench.sampling.core_sets import ProxyScored
from al_bench.sampling.irreducible import Table, model_of
from al_bench.sampling.loop import execute
from al_bench.sampling.recipe import StepRecipe
from al_bench.sampling.trial import SamplingRun, SamplingTrial
from al_bench.sampling.view import Batch, StepView, Viewer
from al_bench.seeding import isolated
from al_bench.training.trainer import Trainer

MODELS = (Deterministic, MCDropout)  # one network, of which a step makes another posterior
HINTS = {SAMPLES: f"Use {MC_DROPOUT}."}


class Sampling(Setting):
    """All labels are known; a selection chooses which points each step trains on."""

    group: ClassVar[str] = "selection"
    runs: ClassVar[type[SamplingRun]] = SamplingRun
    chosen: Mapping[str, Selection | CoreSet]

    def __init__(self, config: Any) -> None:
        self.selection = build_selection(config.selection)
        self.chosen = {"selection": self.selection}
        self.recipe = build(config.training, "training")
        self.budget = build(config.budget, "budget")

    def check_choices(self, composed: Composed, model: Model) -> None:
        """Raise ConfigError unless what was built goes together, as far as no data are needed."""
        names = composed.names
        choice = f"selection={names['strategy']}"
        if not isinstance(self.budget, StepBudget):
            raise ConfigError(
                f"{choice} is given steps, and budget={names['budget']} counts labels.",
                "Use budget=steps.",
            )
        if not isinstance(self.recipe, StepRecipe):
            raise ConfigError(
                f"{choice} takes single steps, and training={names['training']} trains in epochs.",
                "Use training=steps.",
            )
        if names["init_strategy"]:
            raise ConfigError(
                f"{choice} has all labels, and strategy@init_strategy={names['init_strategy']} "
                "buys some.",
                "Leave out strategy@init_strategy.",
            )
        if composed.config.evaluation.get("online"):
            raise ConfigError(
                f"{choice} has all labels, and evaluation.online=true learns from those bought.",
                "Leave out evaluation.online.",
            )
        if not isinstance(model, MODELS):
            raise ConfigError(
                f"{choice} trains one network step by step, and model={names['model']} is more "
                "than that.",
                "Use model=deterministic or model=mc_dropout.",
            )
        check_evaluation(composed, model)
        check_samples(composed, model, "selection", self.selection)
        if IRREDUCIBLE in self.selection.needs:
            model_of(self.selection)

    def check_data(
        self,
        composed: Composed,
        model: Model,
        provided: frozenset[str],
        inputs: Inputs,
        num_classes: int,
    ) -> None:
        """Raise ConfigError unless it goes with the data."""
        there = provided | {IRREDUCIBLE, TARGETS}
        check_needs(composed, there, "selection", self.selection, HINTS)
        check_dropout(composed, model, provided)
        if self.recipe.batch_size == 1 and isinstance(model, MODELS):
            hint = "Use training.batch_size=32."
            check_one_point(model, inputs.input_shape, num_classes, hint)

    def run(self, **common: Any) -> SamplingRun:
        """The run, of what all runs have in common."""
        identity = common["identity"]
        return SamplingRun(
            recipe=self.recipe,
            budget=self.budget,
            selection=self.selection,
            about={"own_code": identity.own_code, "part_versions": identity.part_versions},
            **common,
        )

    def notes(self, trial: SamplingTrial) -> list[str]:
        """A sentence where the selection asks for more target inputs than there are."""
        there, count = len(trial.targets.indices), num_targets(self.selection) or 0
        if count <= there:
            return []
        return [f"selection asks for {count} target inputs; there are {there}, and all are used."]

    @staticmethod
    def schedule(trial: SamplingTrial) -> list[Round]:
        """The rounds of a trial, where no target is met early."""
        ends = [trial.plan.until(round) for round in range(trial.num_rounds)]
        steps = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
        return [Round(count, count) for count in steps]

    @staticmethod
    def work(trial: SamplingTrial) -> Work:
        """What a trial at its beginning will do."""
        plan, selection = trial.plan, trial.run.selection
        aside = trial.num_put_aside
        points = (
            f"{len(trial.training):,} to train on, {len(trial.holdout):,} held out, "
            f"{len(trial.validation):,} for validation"
            f"{f', {aside:,} put aside' if aside else ''}"
        )
        per_step = f"{plan.batch_size} of {plan.candidates} candidates each"
        scored = 0
        if isinstance(selection, CoreSet):
            per_step = f"{plan.batch_size} points of a core-set each"
        else:
            scored = plan.total * passes_a_step(selection, trial)
        sizes = {"points": points, "steps": f"{plan.total:,}, {per_step}"}
        if IRREDUCIBLE in selection.needs:
            model = model_of(selection)
            count = model.num_passes(len(trial.training), len(trial.holdout))
            sizes["losses"] = f"irreducible ones by {count:,} forward passes a seed, unless stored"
        if isinstance(selection, ProxyScored):
            count = selection.num_passes(len(trial.training))
            sizes["core-set"] = f"chosen by {count:,} forward passes of proxies a seed"
        return Work(sizes, scored)

    @staticmethod
    def execute(
        trials: Sequence[SamplingTrial],
        store: RoundStore,
        watch: Callable[[Trial], None],
        trainer: Trainer | None = None,
    ) -> None:
        """Run trials to their end, one after the other."""
        execute(trials, store, watch)


def build_selection(node: Any) -> Selection | CoreSet:
    """The selection of ``node``; ConfigError when the class lacks what selections have."""
    built: Any = build(node, "selection")
    name = type(built).__name__
    if not isinstance(getattr(built, "needs", None), frozenset):
        raise ConfigError(
            f"selection: {name} has no frozenset called needs.",
            "Write needs = frozenset() for nothing, or name what the run must provide.",
        )
    if not isinstance(built, Selection | CoreSet):
        raise ConfigError(
            f"selection: {name} has no method choose(view, batch_size, generator), nor "
            "keep(training).",
            "al_bench.sampling.base says what such a class has.",
        )
    return built


class _Counting(Network):
    """A network that counts the points that it is shown, and looks at none of them."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.output = torch.nn.Linear(1, num_classes)
        self.shown = 0

    def prefix(self, inputs: Tensor) -> Tensor:
        """(n, 1) numbers of no meaning."""
        return torch.arange(len(inputs), dtype=torch.float32)[:, None]

    def body(self, hidden: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """The same."""
        self.shown += len(hidden)
        return hidden


def passes_a_step(selection: Selection, trial: SamplingTrial) -> int:
    """Forward passes, points times samples, that a selection asks for in a step.

    It is asked to choose once, by a network that counts: nothing is trained.
    """
    engine = replace(trial.engine, device=torch.device("cpu"))
    with isolated(torch.Generator().manual_seed(0)):
        network = _Counting(trial.num_classes)
    names = ("irreducible_accuracy", "irreducible_nll", "seconds_irreducible")
    losses = torch.zeros(len(trial.training), dtype=torch.float64)
    viewer = Viewer(
        network=network,
        num_samples=trial.model.num_samples,
        mode=trial.recipe.selection_mode,
        streams=trial.streams,
        engine=engine,
        targets=trial.targets,
        irreducible=Table(trial.training, {**dict.fromkeys(names, 0.0), "losses": losses}),
    )
    indices = trial.training[: trial.plan.candidates]
    inputs = trial.pool.inputs.gather(indices, engine.device)
    view = StepView(viewer, Batch(indices, inputs, trial.pool.labels[indices]), 0, selection)
    selection.choose(view, trial.plan.batch_size, torch.Generator().manual_seed(0))
    return network.shown
