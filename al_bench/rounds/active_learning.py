"""A trial of active learning: its pool, its labeled order, and what it buys after a round.

A *position* is a place in the pool view, an *index* an id in the pool.
"""

import functools
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from al_bench.budget import Budget
from al_bench.data.base import Examples, Pool
from al_bench.data.labeled import LabeledSet
from al_bench.data.pool import copies_of
from al_bench.data.target import Targets
from al_bench.errors import AlBenchError, ConfigError, placed, within
from al_bench.models.base import NetworkModel, Posterior
from al_bench.rounds.notes import noted
from al_bench.rounds.splits import draw_initial, draw_validation
from al_bench.rounds.trial import Run, Trial
from al_bench.rounds.view import View, Viewer
from al_bench.seeding import Streams, isolated
from al_bench.strategies.base import LABELS, Strategy
from al_bench.strategies.contract import fault
from al_bench.training.recipe import Recipe
from al_bench.training.trainer import Weights


@dataclass(frozen=True, kw_only=True)
class ActiveLearningRun(Run):
    """A configuration of active learning, shared by all its seeds.

    Args:
        recipe: How the model's networks are trained.
        strategy: Picks the batches.
        budget: How many labels.
        init_strategy: Buys the initial set; ``None`` draws it. The same object as ``strategy``
            where it has the same parameters.
    """

    recipe: Recipe
    strategy: Strategy
    budget: Budget
    init_strategy: Strategy | None = None

    @property
    def label_access(self) -> bool:
        """Whether a strategy of this run sees labels before they are bought."""
        strategies = (self.strategy, self.init_strategy)
        return any(LABELS in strategy.needs for strategy in strategies if strategy is not None)

    def trial(
        self, streams: Streams, pool: Pool, targets: Targets, test: Examples, results: Path
    ) -> "ActiveLearningTrial":
        """One seed of it, at its beginning; it keeps nothing for others."""
        return ActiveLearningTrial(self, streams, pool, targets, test)

    def num_rounds(self, num_classes: int) -> int:
        """Rounds until all labels are bought; one more when the initial set is bought in one."""
        return self.budget.num_rounds(num_classes) + (self.init_strategy is not None)


@dataclass(frozen=True)
class Picks:
    """What a trial buys after a round.

    Args:
        acquired: Acquisition rows of the round; those of round 0 begin with the initial set.
        columns: What the selection adds to the round's curve row.
    """

    acquired: list[dict[str, Any]]
    columns: Mapping[str, Any] = field(default_factory=dict)


class ActiveLearningTrial(Trial):
    """One seed of a run of active learning; it ends with its budget, its pool or at its target.

    Attributes:
        initial: (I,) indices of the initial set as it was drawn; none where a strategy buys it.
        labeled: Pool indices in the order in which they were labeled.
        num_queried: Labels asked for, refused ones included.
        weights: Of the last round, where training starts warm.
    """

    run: ActiveLearningRun

    def __init__(
        self,
        run: ActiveLearningRun,
        streams: Streams,
        pool: Pool,
        targets: Targets,
        test: Examples,
    ) -> None:
        super().__init__(run, streams, pool, targets, test)
        with placed(run.budget):
            run.budget.check(len(pool), pool.num_classes)
        self.validation = draw_validation(pool, run.budget, streams)
        self.initial = torch.empty(0, dtype=torch.int64)
        if run.init_strategy is None:
            self.initial = draw_initial(pool, self.validation, run.budget, streams)
        self.labeled: list[int] = self.initial.tolist()
        self.num_queried = len(self.labeled)
        self.weights: Weights | None = None
        self._available = torch.ones(len(pool), dtype=torch.bool)
        self._available[copies_of(pool, torch.cat([self.validation, self.initial]))] = False
        buyable, wanted = int(self._available.sum()), run.budget.left(self.num_queried)
        if wanted > buyable:
            raise ConfigError(
                f"budget.total={run.budget.total} is more than the {buyable + self.num_queried} "
                "points that are left without copies of validation and initial points.",
                f"Use budget.total={buyable + self.num_queried} or less.",
            )

    @property
    def recipe(self) -> Recipe:
        """How the model's networks are trained."""
        return self.run.recipe

    def labeled_set(self) -> LabeledSet:
        """The labeled points in the order in which they were labeled."""
        return self.points(torch.tensor(self.labeled, dtype=torch.int64))

    @property
    def num_bytes(self) -> int:
        """As of any trial, and the weights that it keeps for the next round."""
        return super().num_bytes + self._available.nbytes + self._bytes_of_weights

    @functools.cached_property
    def _bytes_of_weights(self) -> int:
        model = self.run.model
        if self.recipe.start != "warm" or not isinstance(model, NetworkModel):
            return 0
        with isolated(self.streams.generator("init")):
            network = model.build(self.pool.inputs.input_shape, self.num_classes)
        return model.num_networks * sum(part.nbytes for part in network.state_dict().values())

    @property
    def num_rounds(self) -> int:
        """Rounds until the budget is spent."""
        return self.run.num_rounds(self.num_classes)

    @property
    def reason(self) -> str:
        """Why the trial, which has come to its end, ended."""
        last = self.rows[-1]
        if self.run.budget.left(last["num_queried"]) <= 0:
            return "budget"
        return "target accuracy" if self._has_met_target(last) else "pool is empty"

    @property
    def checkpoint(self) -> dict[str, Any] | None:
        """The weights from which the next round starts warm."""
        return None if self.weights is None else {"weights": self.weights}

    def _batch_size(self, row: Mapping[str, Any]) -> int:
        """Labels to buy after the round of ``row``; 0 when that was the last round."""
        if self._has_met_target(row):
            return 0
        budget = self.run.budget
        left = budget.left(row["num_queried"])
        size = budget.batch_size
        if self.run.init_strategy is not None and self.round == 0:
            size = budget.initial_labels(self.num_classes)
        return max(0, min(size, left, int(self._available.sum())))

    def _has_met_target(self, row: Mapping[str, Any]) -> bool:
        target, reached = self.run.budget.target_accuracy, row["validation_accuracy"]
        return target is not None and reached is not None and bool(reached >= target)

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
        """The curve row of this round, without what the selection and the store add."""
        return {
            "round": self.round,
            "num_labeled": len(self.labeled),
            "num_queried": self.num_queried,
            "num_validation": len(self.validation),
            "label_access": self.run.label_access or None,
            **measured,
        }

    def view(self, posterior: Posterior, strategy: Strategy) -> View:
        """The pool of the round to come as this strategy sees it."""
        state = self.state_for(strategy)
        name, needs = type(strategy).__name__, strategy.needs
        return View(self, posterior, Viewer(name, needs, json.loads(state) if state else None))

    def select(self, posterior: Posterior, row: Mapping[str, Any]) -> Picks:
        """The batch to buy after the round of ``row``; no point of it after the last round."""
        size = self._batch_size(row)
        notes = getattr(posterior, "notes", {})
        if size == 0:
            return Picks(self._acquisitions([], []), noted(notes))
        strategy = self._strategy(self.round)
        view = self.view(posterior, strategy)
        generator = self.streams.generator("select", self.round)
        started = time.perf_counter()
        with within(_name(strategy)), placed(strategy):
            selection = strategy.select(view, size, generator)
        seconds = time.perf_counter() - started
        _check_answer(strategy, selection, size, len(view))
        columns: dict[str, Any] = {
            "seconds_score": view.seconds_score,
            "seconds_select": seconds - view.seconds_score,
            **noted({**notes, **view.notes, **selection.notes}),
        }
        if selection.state is not None:
            columns["strategy_state"] = json.dumps(dict(selection.state), sort_keys=True)
        bought = view.indices[selection.positions].tolist()
        return Picks(self._acquisitions(bought, selection.scores.tolist()), columns)

    def available(self) -> Tensor:
        """(N,) pool indices that can be bought, ascending: what a view's positions stand for."""
        return self._available.nonzero().squeeze(1)

    def _acquisitions(self, bought: Sequence[int], scores: Sequence[float]) -> list[dict[str, Any]]:
        """Acquisition rows of this round; round 0 begins with the initial set."""
        rows = self._acquired(self.labeled, None, None) if self.round == 0 else []
        return rows + self._acquired(bought, self.round, scores)

    def _acquired(
        self, indices: Sequence[int], round: int | None, scores: Sequence[float] | None
    ) -> list[dict[str, Any]]:
        pool = self.pool
        return [
            {
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
        self,
        rows: Sequence[dict[str, Any]],
        acquired: Sequence[Mapping[str, Any]],
        checkpoint: Mapping[str, Any] | None = None,
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
        if checkpoint is not None:
            self.weights = checkpoint["weights"]


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
