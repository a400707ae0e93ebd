"""A trial of active sampling: its split, its network, and the points of each step.

N training points; n_B candidates of a step, of which a selection chooses n_b; C classes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from al_bench.data.base import Examples, Pool
from al_bench.data.labeled import LabeledSet
from al_bench.data.pool import copy_numbers
from al_bench.data.target import Targets
from al_bench.engine import PRECISIONS
from al_bench.errors import AlBenchError, ConfigError, TrainingError, keyed, placed, within
from al_bench.models.base import NetworkModel, Posterior
from al_bench.models.masks import draw_masks
from al_bench.results.schema import SAMPLING
from al_bench.rounds.trial import Run, Trial
from al_bench.sampling.base import IRREDUCIBLE, Chosen, CoreSet, Selection
from al_bench.sampling.beside import Beside, PointsToKeep
from al_bench.sampling.budget import StepBudget
from al_bench.sampling.contract import core_set_fault, fault, with_replacement
from al_bench.sampling.irreducible import Irreducible, Known, model_of
from al_bench.sampling.recipe import StepRecipe
from al_bench.sampling.split import draw_split
from al_bench.sampling.tally import Tally
from al_bench.sampling.view import Batch, StepView, Viewer
from al_bench.sampling.working import Working
from al_bench.seeding import Streams, isolated
from al_bench.training.step import Points, Step, take_step


@dataclass(frozen=True, kw_only=True)
class SamplingRun(Run):
    """A configuration of active sampling, shared by all its seeds.

    Args:
        model: One network, and posterior samples of it where the model has some.
        recipe: How a step is taken.
        selection: Chooses the points of a step, or what of the training set is kept.
        budget: How many steps, and what is held out.
        about: What decides irreducible losses beside data and configuration: one's own code, and
            numerics versions.
    """

    model: NetworkModel
    recipe: StepRecipe
    selection: Selection | CoreSet
    budget: StepBudget
    about: Mapping[str, Any] = field(default_factory=dict)

    def trial(
        self, streams: Streams, pool: Pool, targets: Targets, test: Examples, results: Path
    ) -> "SamplingTrial":
        """One seed of it, at its beginning."""
        return SamplingTrial(self, streams, pool, targets, test, results)


class SamplingTrial(Trial):
    """One seed of a run of active sampling; it ends with its steps, or at its target.

    Attributes:
        training: (N,) int64 pool indices of the points that the target network may be trained on.
        holdout: Points that irreducible losses may be learned from.
        num_put_aside: Points drawn for the holdout that are not in it.
        plan: How many steps, of how many candidates.
        total_steps: Steps taken.
        candidates_seen: Points that were shown to the selection.
    """

    run: SamplingRun

    def __init__(
        self,
        run: SamplingRun,
        streams: Streams,
        pool: Pool,
        targets: Targets,
        test: Examples,
        results: Path,
    ) -> None:
        super().__init__(run, streams, pool, targets, test)
        split = draw_split(pool, run.budget, streams)
        self.training, self.holdout, self.validation, self.num_put_aside = split
        self.targets = among(targets, pool, self.training)
        self.plan = run.budget.plan(len(self.training), run.recipe.batch_size)
        if isinstance(run.selection, CoreSet) and hasattr(run.selection, "num_kept"):
            self._require_enough(run.selection, run.selection.num_kept(len(self.training)))
        run.recipe.check(pool.inputs, self.plan.passes)
        if IRREDUCIBLE in run.selection.needs:
            model_of(run.selection).check(self.training_set(), len(self.holdout), self.num_classes)
        self.total_steps = 0
        self.candidates_seen = 0
        self._tally = Tally(pool, test)
        self._results = results  # where irreducible losses are kept
        self._stored: Mapping[str, Any] | None = None  # a checkpoint to go on from
        self._working: Working | None = None
        self._last_order: tuple[int, Tensor] | None = None

    @property
    def recipe(self) -> StepRecipe:
        """How a step is taken."""
        return self.run.recipe

    def training_set(self) -> LabeledSet:
        """The training points with the labels that the pool has."""
        return self.points(self.training)

    @property
    def num_bytes(self) -> int:
        """Memory that the trial holds between two rounds, but for a network under training."""
        held = (self.training, self.holdout.indices, self.holdout.labels)
        return super().num_bytes + sum(tensor.nbytes for tensor in held)

    @property
    def num_rounds(self) -> int:
        """Evaluations, that of the untrained network included."""
        return self.plan.num_rounds

    @property
    def reason(self) -> str:
        """Why the trial, which has come to its end, ended."""
        return "budget" if self.total_steps >= self.plan.total else "target accuracy"

    @property
    def checkpoint(self) -> dict[str, Any]:
        """Weights, buffers and optimizer state, from which the next step is taken."""
        return self.working().state()

    def restore(
        self,
        rows: Sequence[dict[str, Any]],
        acquired: Sequence[Mapping[str, Any]],
        checkpoint: Mapping[str, Any] | None = None,
    ) -> None:
        """Go to where stored rounds left off; the trial must be at its beginning."""
        for row in rows:
            if row["num_labeled"] != len(self.training):
                raise AlBenchError(
                    f"The stored training set of seed {self.seed} in run "
                    f"{self.run.identity.run_id} is not the one this version draws.",
                    "Move that run's folder away and start again.",
                )
            self.go_on(row)
        if rows and checkpoint is None and not self.finished:
            raise AlBenchError(
                f"Round {len(rows) - 1} of seed {self.seed} in run {self.run.identity.run_id} has "
                "left no weights to go on from.",
                "Move that run's folder away and start again.",
            )
        self._stored = checkpoint

    # The round.

    def steps(self) -> range:
        """The steps of the round to come, counted from 0 over all rounds; round 0 has none."""
        return range(self.total_steps, self.plan.until(self.round))

    def take_step(self, step: int) -> None:
        """Choose points and train on them.

        Raises:
            AlBenchError: The selection does not answer as it must.
            TrainingError: The loss is not finite.
        """
        working, tally = self.working(), self._tally
        with tally.timed("seconds_select"):
            batch = self._shown(working, step)
            chosen = self._choose(working, batch, step)
            places, order = chosen.positions.sort()
            weights = None if chosen.weights is None else chosen.weights[order]
        with tally.timed("seconds_fit"):
            picked = Batch(batch.indices[places], batch.inputs[places], batch.labels[places])
            taken = self._train(working, picked, weights, step)
        tally.add(picked.indices, working.seen[picked.indices], taken)
        tally.note(chosen.notes)
        working.seen[picked.indices] = True
        self.candidates_seen += len(batch.indices)
        self.total_steps = step + 1

    def posterior(self) -> Posterior:
        """The model over the network as it now is."""
        working, engine = self.working(), self.engine
        return self.run.model.posterior(
            [working.network],
            working.read,
            self.streams.generator("posterior", self.total_steps),
            PRECISIONS[engine.scoring_precision],
        )

    def row(self, measured: Mapping[str, Any]) -> dict[str, Any]:
        """The curve row of this round, without what the store adds."""
        irreducible = self.working().viewer.irreducible if self.round == 0 else None
        if irreducible is not None:
            self._tally.note(irreducible.notes)
        return {
            "round": self.round,
            "setting": SAMPLING,
            "num_labeled": len(self.training),
            "num_queried": len(self.training),
            "num_validation": len(self.validation),
            "num_holdout": len(self.holdout),
            "total_steps": self.total_steps,
            "candidates_seen": self.candidates_seen,
            **self._tally.columns(),
            **({} if irreducible is None else irreducible.columns),
            **measured,
        }

    def go_on(self, row: dict[str, Any]) -> None:
        """Take the committed ``row`` into account and go to the next round."""
        self.rows.append(row)
        self.round += 1
        self.total_steps = row["total_steps"]
        self.candidates_seen = row["candidates_seen"]
        self._tally.clear()
        target, reached = self.run.budget.target_accuracy, row["validation_accuracy"]
        is_met = target is not None and reached is not None and reached >= target
        self.finished = self.total_steps >= self.plan.total or is_met
        if self.finished:
            self._working = None  # its memory is another trial's

    def working(self) -> Working:
        """The network and what belongs to it, made when it is first asked for."""
        if self._working is None:
            self._working = self._begin()
        return self._working

    def _begin(self) -> Working:
        run, engine = self.run, self.engine
        points = self.training_set()
        with isolated(self.streams.generator("init")):
            network = run.model.build(points.inputs.input_shape, self.num_classes)
        network.to(engine.device)
        viewer = Viewer(
            network=network,
            num_samples=run.model.num_samples,
            mode=self.recipe.selection_mode,
            streams=self.streams,
            engine=engine,
            targets=self.targets,
            irreducible=self._irreducible(),
        )
        working = Working(
            network=network,
            optimizer=self.recipe.make_optimizer(network),
            read=points.on(engine.device, engine.chunk_bytes),
            seen=torch.zeros(len(self.pool), dtype=torch.bool),
            viewer=viewer,
        )
        if self._stored is not None:
            working.load(self._stored, self.recipe)
            self._stored = None
        elif isinstance(run.selection, CoreSet):
            with self._tally.timed("seconds_select"):
                working.kept = self._keep(run.selection)
        return working

    def _irreducible(self) -> Irreducible | None:
        """The irreducible losses of the training points, where the selection needs them."""
        selection = self.run.selection
        if IRREDUCIBLE not in selection.needs:
            return None
        known = Known(
            training=self.training_set(),
            holdout=self.holdout,
            copies=copy_numbers(self.pool)[self.training],
            beside=self._beside(),
            results=self._results,
            about=self.run.about,
        )
        return model_of(selection).of(known)

    def _beside(self) -> Beside:
        return Beside(self.run.model, self.num_classes, self.streams, self.engine)

    def _keep(self, selection: CoreSet) -> Tensor:
        """(M,) int64 pool indices of the core-set."""
        points = self.training_set()
        with within(_name(selection)), placed(selection):
            kept = selection.keep(
                PointsToKeep(points, self._beside(), self.streams.generator("select"))
            )
        if said := core_set_fault(kept, points.indices):
            raise AlBenchError(
                f"{_name(selection)} must keep training points: {said}.",
                "al-bench check with that selection says what else its contract asks for.",
            )
        self._require_enough(selection, len(kept))
        return kept

    def _require_enough(self, selection: CoreSet, num_kept: int) -> None:
        """Raise ConfigError unless a step has points enough."""
        if num_kept < self.plan.batch_size:
            raise ConfigError(
                f"{_name(selection)} keeps {num_kept} of {len(self.training)} points, fewer than "
                f"training.batch_size={self.plan.batch_size}.",
                f"Use training.batch_size={num_kept}, or keep more.",
            )

    def _shown(self, working: Working, step: int) -> Batch:
        """What a step shows: the next points of this pass's order, changed where they are to be."""
        points, size, recipe = self.training, self.plan.candidates, self.recipe
        if working.kept is not None:  # nothing to choose from: a step's points alone are shown
            points, size = working.kept, self.plan.batch_size
        number, place = divmod(step, len(points) // size)
        order = self._order(number, len(points))
        indices = points[order[place * size : (place + 1) * size]]
        inputs = self.pool.inputs.gather(indices, self.engine.device)
        if recipe.augment is not None:
            generator = self.streams.generator("augment", step)
            uniform = torch.rand(size, recipe.augment.num_draws, generator=generator)
            inputs = recipe.augment(inputs, uniform.to(inputs.device), working.read.zero)
        return Batch(indices, inputs, self.pool.labels[indices])

    def _order(self, number: int, count: int) -> Tensor:
        """(count,) int64, the order of a pass, counted from 0."""
        if self._last_order is None or self._last_order[0] != number:
            generator = self.streams.generator("order", number)
            self._last_order = number, torch.randperm(count, generator=generator)
        return self._last_order[1]

    def _choose(self, working: Working, batch: Batch, step: int) -> Chosen:
        selection = self.run.selection
        if isinstance(selection, CoreSet):
            return Chosen(torch.arange(len(batch.indices)))
        view = StepView(working.viewer, batch, step, selection)
        size = self.plan.batch_size
        generator = self.streams.generator("select", step)
        with within(_name(selection)), placed(selection):
            chosen = selection.choose(view, size, generator)
        if said := fault(chosen, size, len(view), with_replacement(selection)):
            raise AlBenchError(
                f"{_name(selection)} must choose {size} of {len(view)} candidates: {said}.",
                "al-bench check with that selection says what else its contract asks for.",
            )
        return chosen

    def _train(self, working: Working, batch: Batch, weights: Tensor | None, step: int) -> Step:
        recipe, plan, engine = self.recipe, self.plan, self.engine
        generator = self.streams.generator("mask", step)
        points = Points(
            batch.inputs,
            batch.labels.to(engine.device),
            draw_masks(working.network, len(batch.indices), generator, engine.device),
            None if weights is None else weights.to(engine.device, torch.float32),
        )
        rate = recipe.learning_rate_in(step, plan.steps_per_pass, plan.passes)
        working.network.train()
        taken = take_step(working.network, working.optimizer, points, recipe, rate, engine)
        if working.viewer.irreducible is not None:
            working.viewer.irreducible.learn(points, recipe, rate, step)
        if not math.isfinite(float(taken.loss)):
            raise TrainingError(
                f"The training loss became {float(taken.loss)} in step {step}.",
                f"Try one below {keyed('learning_rate', recipe)}={recipe.learning_rate}.",
            )
        return taken


def among(targets: Targets, pool: Pool, training: Tensor) -> Targets:
    """Those target inputs that are no points of the pool, or training points of it.

    Raises:
        ConfigError: None of them is left, or none of a class that is wanted.
    """
    if targets.inputs is not pool.inputs:
        return targets
    kept = torch.isin(targets.indices, training)
    indices = targets.indices[kept]
    groups = None if targets.groups is None else targets.groups[kept]
    if groups is not None and targets.shares is not None:
        there = torch.bincount(groups, minlength=len(targets.shares)) > 0
        if missing := ((targets.shares > 0) & ~there).nonzero().flatten().tolist():
            raise ConfigError(
                f"target wants class {missing[0]}, of which there is no point to train on.",
                "Use a smaller budget.holdout_size, or other targets.",
            )
    return replace(targets, indices=indices, groups=groups)


def _name(selection: Selection | CoreSet) -> str:
    kind = type(selection)
    return f"The selection {kind.__module__}.{kind.__qualname__}"
