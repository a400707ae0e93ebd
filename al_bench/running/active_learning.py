"""Runs of active learning: strategies that buy labels, built and checked."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from al_bench.budget import Budget
from al_bench.configuration.building import build
from al_bench.configuration.composing import Composed
from al_bench.data.base import Inputs
from al_bench.errors import ConfigError
from al_bench.models.base import Model
from al_bench.rounds import loop
from al_bench.rounds.active_learning import ActiveLearningRun, ActiveLearningTrial
from al_bench.rounds.trial import Trial
from al_bench.running.compatibility import (
    check_choices,
    check_dropout,
    check_needs,
    check_smallest_batch,
)
from al_bench.running.parts import num_targets
from al_bench.running.setting import Round, Setting, Work
from al_bench.sampling.budget import StepBudget
from al_bench.sampling.recipe import StepRecipe
from al_bench.strategies.base import Strategy
from al_bench.training.packed import PackedTrainer
from al_bench.training.recipe import Recipe
from al_bench.training.trainer import Trainer


class ActiveLearning(Setting):
    """A strategy buys labels; everything that is labeled is trained on."""

    group: ClassVar[str] = "strategy"
    packs: ClassVar[bool] = True
    runs: ClassVar[type[ActiveLearningRun]] = ActiveLearningRun
    chosen: Mapping[str, Strategy]
    recipe: Recipe
    budget: Budget

    def __init__(self, config: Any) -> None:
        self.chosen = build_strategies(config)
        self.recipe = build_recipe(config.training)
        self.budget = build_budget(config.budget)

    def check_choices(self, composed: Composed, model: Model) -> None:
        """Raise ConfigError unless what was built goes together, as far as no data are needed."""
        check_choices(composed, model, self.recipe, self.budget, self.chosen)

    def check_data(
        self,
        composed: Composed,
        model: Model,
        provided: frozenset[str],
        inputs: Inputs,
        num_classes: int,
    ) -> None:
        """Raise ConfigError unless it goes with the data."""
        self.recipe.check(inputs, self.recipe.max_epochs)
        check_smallest_batch(model, self.recipe, self.budget, inputs.input_shape, num_classes)
        for group, strategy in self.chosen.items():
            check_needs(composed, provided, group, strategy)
        check_dropout(composed, model, provided)

    def run(self, **common: Any) -> ActiveLearningRun:
        """The run, of what all runs have in common."""
        return ActiveLearningRun(
            recipe=self.recipe,
            budget=self.budget,
            strategy=self.chosen["strategy"],
            init_strategy=self.chosen.get("init_strategy"),
            **common,
        )

    def notes(self, trial: ActiveLearningTrial) -> list[str]:
        """A sentence for each strategy that asks for more target inputs than there are."""
        there = len(trial.targets.indices)
        counts = {group: num_targets(strategy) or 0 for group, strategy in self.chosen.items()}
        return [
            f"{group} asks for {count} target inputs; there are {there}, and all are used."
            for group, count in counts.items()
            if count > there
        ]

    @staticmethod
    def schedule(trial: ActiveLearningTrial) -> list[Round]:
        """The rounds of a trial, where no label is refused and no target is met early."""
        run, budget = trial.run, trial.run.budget
        bought = run.init_strategy is not None
        first = budget.initial_labels(trial.num_classes) if bought else len(trial.labeled)
        rounds = range(budget.num_rounds(trial.num_classes))
        counts = [min(first + i * budget.batch_size, budget.total or first) for i in rounds]
        networks = getattr(run.model, "num_networks", 0)
        epochs = run.recipe.max_epochs
        return [
            Round(count, run.recipe.steps_per_epoch(max(count, 1)) * epochs * networks)
            for count in ([0, *counts] if bought else counts)
        ]

    @staticmethod
    def work(trial: ActiveLearningTrial) -> Work:
        """What a trial at its beginning will do."""
        budget, model = trial.run.budget, trial.run.model
        initial, available = len(trial.labeled), len(trial.available())
        total = initial if budget.total is None else budget.total
        batches = "at once" if budget.is_full else f"to {total} in batches of {budget.batch_size}"
        scored = sum(
            max(available - step * budget.batch_size, 0) * model.num_samples
            for step in range(trial.num_rounds - 1)
        )
        validation = f"{len(trial.validation):,} for validation"
        sizes = {"labels": f"{initial} {batches}, {validation}"}
        return Work(sizes, scored, total - initial if trial.run.online else 0)

    @staticmethod
    def execute(
        trials: Sequence[ActiveLearningTrial],
        store: loop.RoundStore,
        watch: Callable[[Trial], None],
        trainer: Trainer | None = None,
    ) -> None:
        """Run trials to their end, round by round."""
        loop.execute(trials, trainer or PackedTrainer(watch), store)


def build_strategies(config: Any) -> dict[str, Strategy]:
    """By group: ``strategy``, and ``init_strategy`` where one buys the initial set.

    They are one object where they are the same with the same parameters: it goes on with what it
    has kept.
    """
    built = {"strategy": build_strategy(config.strategy, "strategy")}
    if config.init_strategy is not None:
        bought_by = build_strategy(config.init_strategy, "init_strategy")
        same = config.init_strategy == config.strategy
        built["init_strategy"] = built["strategy"] if same else bought_by
    return built


def build_strategy(node: Any, group: str) -> Strategy:
    """The strategy of ``node``; ConfigError when the class lacks something that strategies have."""
    strategy: Strategy = build(node, group)
    if not isinstance(getattr(strategy, "needs", None), frozenset):
        raise ConfigError(
            f"{group}: {type(strategy).__name__} has no frozenset called needs.",
            "Write needs = frozenset() for nothing, or name what the model must provide.",
        )
    if not callable(getattr(strategy, "select", None)):
        raise ConfigError(
            f"{group}: {type(strategy).__name__} has no method select(view, batch_size, generator)."
        )
    return strategy


def build_recipe(node: Any) -> Recipe:
    """How networks are trained in epochs; ConfigError for what trains otherwise."""
    recipe = build(node, "training")
    if isinstance(recipe, StepRecipe):
        raise ConfigError(
            "training=steps trains on points that a selection chooses, and there is none.",
            "Use training=default, or a selection=… in place of the strategy.",
        )
    if not isinstance(recipe, Recipe):
        raise ConfigError(
            f"training: {type(recipe).__name__} is no Recipe.",
            "Derive the class from al_bench.training.recipe.Recipe.",
        )
    return recipe


def build_budget(node: Any) -> Budget:
    """How many labels; ConfigError for what counts something else."""
    budget = build(node, "budget")
    if isinstance(budget, StepBudget):
        raise ConfigError(
            "budget=steps counts steps, and a strategy buys labels.",
            "Use budget=default, or a selection=… in place of the strategy.",
        )
    counted: Budget = budget
    return counted
