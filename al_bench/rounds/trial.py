"""A trial: one seed of one run, with its pool, its random streams and its labeled order.

A *position* is a place in the pool view, an *index* an id in the pool.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from al_bench.budget import Budget
from al_bench.data.base import Examples, Pool
from al_bench.data.labeled import LabeledSet
from al_bench.data.pool import copies_of
from al_bench.data.target import Targets
from al_bench.engine import Engine
from al_bench.errors import AlBenchError, ConfigError, placed, within
from al_bench.models.base import Model, Posterior
from al_bench.results.identity import RunIdentity
from al_bench.rounds.view import View
from al_bench.seeding import Streams
from al_bench.strategies.base import LABELS, Selection, Strategy
from al_bench.strategies.contract import fault
from al_bench.training.recipe import Recipe
from al_bench.training.trainer import Weights


@dataclass(frozen=True)
class Run:
    """One configuration, shared by all its seeds.

    Args:
        identity: Names and ids.
        model: The posterior family.
        recipe: How its networks are trained.
        strategy: Picks the batches.
        budget: How many labels.
        engine: How it is computed.
        evaluation_samples: Posterior samples of test and validation metrics; ``None`` is all K.
        calibration_bins: Bins of the calibration metrics.
        init_strategy: Buys the initial set; ``None`` draws it. The same object as ``strategy``
            where it has the same parameters.
    """

    identity: RunIdentity
    model: Model
    recipe: Recipe
    strategy: Strategy
    budget: Budget
    engine: Engine
    evaluation_samples: int | None = None
    calibration_bins: int = 15
    init_strategy: Strategy | None = None

    @property
    def label_access(self) -> bool:
        """Whether a strategy of this run sees labels before they are bought."""
        strategies = (self.strategy, self.init_strategy)
        return any(LABELS in strategy.needs for strategy in strategies if strategy is not None)

    def num_rounds(self, num_classes: int) -> int:
        """Rounds until all labels are bought; one more when the initial set is bought in one."""
        return self.budget.num_rounds(num_classes) + (self.init_strategy is not None)


class Trial:
    """One seed of a run.

    Args:
        run: What all seeds share.
        streams: The seed's random streams.
        pool: The transformed pool of this seed.
        targets: The inputs whose predictions matter.
        test: The fixed test set; only ``evaluate`` reads it.

    Attributes:
        round: The round to come, from 0.
        labeled: Pool indices in the order in which they were labeled.
        rows: Curve rows of the rounds behind.
        weights: Of the last round, where training starts warm.
        finished: Nothing is left to do: the budget is spent, the pool empty, the target met, or
            the trial failed.
    """

    def __init__(
        self, run: Run, streams: Streams, pool: Pool, targets: Targets, test: Examples
    ) -> None:
        self.run = run
        self.streams = streams
        self.pool = pool
        self.targets = targets
        self.test = test
        with placed(run.budget):
            run.budget.check(len(pool), pool.num_classes)
        self.validation = _draw_validation(pool, run.budget, streams)
        self.initial = torch.empty(0, dtype=torch.int64)
        if run.init_strategy is None:
            self.initial = _draw_initial(pool, self.validation, run.budget, streams)
        self.labeled: list[int] = self.initial.tolist()
        self.num_queried = len(self.labeled)
        self.round = 0
        self.rows: list[dict[str, Any]] = []
        self.weights: Weights | None = None
        self.finished = False
        self._available = torch.ones(len(pool), dtype=torch.bool)
        self._available[copies_of(pool, torch.cat([self.validation, self.initial]))] = False
        buyable, wanted = int(self._available.sum()), run.budget.left(self.num_queried)
        if wanted > buyable:
            raise ConfigError(
                f"budget.total={run.budget.total} is more than the {buyable + self.num_queried} "
                "points that are left without copies of validation and initial points.",
                f"Use budget.total={buyable + self.num_queried} or less.",
            )

    # What a trainer needs.

    @property
    def model(self) -> Model:
        """The posterior family."""
        return self.run.model

    @property
    def recipe(self) -> Recipe:
        """How its networks are trained."""
        return self.run.recipe

    @property
    def engine(self) -> Engine:
        """How it is computed."""
        return self.run.engine

    @property
    def seed(self) -> int:
        """The trial's seed."""
        return self.streams.seed

    @property
    def num_classes(self) -> int:
        """C."""
        return self.pool.num_classes

    def labeled_set(self) -> LabeledSet:
        """The labeled points in the order in which they were labeled."""
        return self._points(torch.tensor(self.labeled, dtype=torch.int64))

    def validation_set(self) -> LabeledSet:
        """The validation points."""
        return self._points(self.validation)

    def _points(self, indices: Tensor) -> LabeledSet:
        return LabeledSet(self.pool.inputs, indices, self.pool.labels[indices])

    # The round.

    def _batch_size(self, row: Mapping[str, Any]) -> int:
        """Labels to buy after the round of ``row``; 0 when that was the last round."""
        budget = self.run.budget
        target, reached = budget.target_accuracy, row["validation_accuracy"]
        if target is not None and reached is not None and reached >= target:
            return 0
        left = budget.left(row["num_queried"])
        size = budget.batch_size
        if self._buys_initial_set(self.round):
            size = budget.initial_labels(self.num_classes)
        return max(0, min(size, left, int(self._available.sum())))

    def _buys_initial_set(self, round: int) -> bool:
        return self.run.init_strategy is not None and round == 0

    def _strategy(self, round: int) -> Strategy:
        """Who chooses after this round."""
        init_strategy = self.run.init_strategy
        return init_strategy if init_strategy is not None and round == 0 else self.run.strategy

    def state_for(self, strategy: Strategy) -> str | None:
        """What this strategy has left for itself in the round before, as JSON.

        ``None`` where another has chosen, be it one of its class with other parameters.
        """
        if not self.rows or self._strategy(self.rows[-1]["round"]) is not strategy:
            return None
        state: str | None = self.rows[-1].get("strategy_state")
        return state

    state_for.numerics_version = 1  # type: ignore[attr-defined]
    state_for.numerics_name = "al_bench.trial.Trial.state_for"  # type: ignore[attr-defined]

    def row(self, measured: Mapping[str, Any]) -> dict[str, Any]:
        """The curve row of this round, without what the selection adds."""
        return {
            **self.run.identity.columns,
            "seed": self.seed,
            "round": self.round,
            "num_labeled": len(self.labeled),
            "num_queried": self.num_queried,
            "num_validation": len(self.validation),
            "label_access": self.run.label_access or None,
            **measured,
            **self.engine.columns(),
        }

    def select(self, posterior: Posterior, row: dict[str, Any]) -> Selection:
        """The batch to buy after the round of ``row``; empty after the last round.

        Adds ``seconds_score``, ``seconds_select``, ``notes`` and ``strategy_state`` to the row.
        """
        size = self._batch_size(row)
        if size == 0:
            return Selection(torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.float64))
        strategy = self._strategy(self.round)
        view = View(self, posterior, strategy)
        with within(_name(strategy)), placed(strategy):
            selection = view.timed_select(size, self.streams.generator("select", self.round))
        _check_answer(strategy, selection, size, len(view))
        row["seconds_score"] = view.seconds_score
        row["seconds_select"] = view.seconds_select
        notes = {**view.notes, **selection.notes}
        if notes:
            row["notes"] = json.dumps(notes, sort_keys=True)
        if selection.state is not None:
            row["strategy_state"] = json.dumps(dict(selection.state), sort_keys=True)
        return selection

    def available(self) -> Tensor:
        """(N,) pool indices that can be bought, ascending: what a view's positions stand for."""
        return self._available.nonzero().squeeze(1)

    def acquisitions(self, selection: Selection) -> list[dict[str, Any]]:
        """Acquisition rows of this round; round 0 begins with the initial set."""
        bought = self.available()[selection.positions].tolist()
        rows = self._acquired(self.labeled, None, None) if self.round == 0 else []
        return rows + self._acquired(bought, self.round, selection.scores.tolist())

    def _acquired(
        self, indices: Sequence[int], round: int | None, scores: Sequence[float] | None
    ) -> list[dict[str, Any]]:
        pool = self.pool
        return [
            {
                "run_id": self.run.identity.run_id,
                "seed": self.seed,
                "round": round,
                "rank": rank,
                "index": index,
                "source_index": int(pool.source_index[index]),
                "label": None if pool.refused[index] else int(pool.labels[index]),
                "true_label": int(pool.true_labels[index]),
                "origin": pool.origins[int(pool.origin[index])],
                "score": None if scores is None else scores[rank],
            }
            for rank, index in enumerate(indices)
        ]

    def label(self, row: dict[str, Any], acquired: Sequence[Mapping[str, Any]]) -> None:
        """Take the committed ``row`` and what it bought into account and go to the next round."""
        self.rows.append(row)
        bought = [entry for entry in acquired if entry["round"] is not None]
        for entry in bought:
            self._available[entry["index"]] = False
            if entry["label"] is not None:
                self.labeled.append(entry["index"])
        self.num_queried += len(bought)
        self.round += 1
        self.finished = not bought

    def restore(
        self, rows: Sequence[dict[str, Any]], acquired: Sequence[Mapping[str, Any]]
    ) -> None:
        """Go to where stored rounds left off; the trial must be at its beginning."""
        initial = [entry["index"] for entry in acquired if entry["round"] is None]
        if rows and initial != self.labeled:
            raise AlBenchError(
                f"The stored initial set of seed {self.seed} in run {self.run.identity.run_id} is "
                "not the one this version draws.",
                "Move that run's folder away and start again.",
            )
        for row in rows:
            self.label(row, [entry for entry in acquired if entry["round"] == row["round"]])


def _draw_validation(pool: Pool, budget: Budget, streams: Streams) -> Tensor:
    size = budget.validation_labels(pool.num_classes)
    drawn = torch.randperm(len(pool), generator=streams.generator("split"))
    drawn = drawn[~pool.refused[drawn]]
    drawn = drawn[_first_copies(pool, drawn)]
    if size > len(drawn):
        raise ConfigError(
            f"budget.validation_size={size} is more than the {len(drawn)} different points with "
            "labels."
        )
    return drawn[:size]


def _draw_initial(pool: Pool, validation: Tensor, budget: Budget, streams: Streams) -> Tensor:
    order = torch.randperm(len(pool), generator=streams.generator("initial"))
    blocked = pool.refused.clone()
    blocked[copies_of(pool, validation)] = True
    order = order[~blocked[order]]
    if budget.is_full:
        return order
    order = order[_first_copies(pool, order)]
    if budget.init_per_class is None:
        assert budget.init_size is not None
        if budget.init_size > len(order):
            raise ConfigError(
                f"budget.init_size={budget.init_size} is more than the {len(order)} different "
                "points that validation leaves."
            )
        return order[: budget.init_size]
    chosen = []
    for label in range(pool.num_classes):
        of_class = order[pool.labels[order] == label][: budget.init_per_class]
        if len(of_class) < budget.init_per_class:
            raise ConfigError(
                f"budget.init_per_class={budget.init_per_class}: the pool has {len(of_class)} "
                f"points of class {label}.",
                "Use budget.init_per_class=null budget.init_size=20 for a uniform draw.",
            )
        chosen.append(of_class)
    return torch.stack(chosen, dim=1).flatten()  # one of each class, then the next of each


def _first_copies(pool: Pool, order: Tensor) -> Tensor:
    """(n,) bool: whether each place of ``order`` is the first with its source point."""
    if len(order) == 0:
        return torch.empty(0, dtype=torch.bool)
    source = pool.origin[order] * (int(pool.source_index.max()) + 1) + pool.source_index[order]
    _, group = torch.unique(source, return_inverse=True)
    first = torch.full((int(group.max()) + 1,), len(order), dtype=torch.int64)
    places = torch.arange(len(order))
    first.scatter_reduce_(0, group, places, reduce="amin")
    return first[group] == places


def _check_answer(strategy: Strategy, answer: object, size: int, pool_size: int) -> None:
    said = fault(answer, size, pool_size)
    if said is not None:
        raise AlBenchError(
            f"{_name(strategy)} must pick {size} different positions of {pool_size} with a score "
            f"each: {said}.",
            "al-bench check with that strategy says what else its contract asks for.",
        )


def _name(strategy: Strategy) -> str:
    kind = type(strategy)
    return f"The strategy {kind.__module__}.{kind.__qualname__}"
