"""What every selection of active sampling must do, one function a property.

A check takes a selection and returns when it keeps the property; its docstring says which one. B
points are chosen of n candidates.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from al_bench.checking import laws
from al_bench.checking.candidates import (
    FakeCandidates,
    FakeTraining,
    candidates,
    nan_candidates,
    training_sets,
)
from al_bench.checking.probing import CheckFailure, DoesNotApply, require
from al_bench.checking.properties import global_state, require_declaration
from al_bench.checking.views import FakeView, seeded
from al_bench.errors import ConfigError, error_line, within
from al_bench.models.base import GRADIENTS, SAMPLES
from al_bench.sampling.base import IRREDUCIBLE, TARGETS, Chosen, CoreSet
from al_bench.sampling.base import Selection as OneSelection
from al_bench.sampling.contract import core_set_fault, fault, with_replacement
from al_bench.strategies.base import PoolView, Selection

NEEDS = frozenset({SAMPLES, GRADIENTS, IRREDUCIBLE, TARGETS})

Subject = OneSelection | CoreSet


def declares_what_it_needs(selection: Subject) -> None:
    """Is a frozen dataclass whose needs are known."""
    require_declaration(selection, NEEDS)


def choice_is_well_formed(selection: Subject) -> None:
    """B positions, distinct unless it says otherwise, with finite weights, for B from 1 to all."""
    for where, batch_size, view in _cases(selection):
        chosen = _choose(selection, view, batch_size, where)
        problem = fault(chosen, batch_size, len(view), with_replacement(selection))
        require(problem is None, f"{where}: {problem}")


def generator_alone_decides(selection: Subject) -> None:
    """The generator alone decides: the same one, the same choice, whatever was drawn elsewhere."""
    for where, batch_size, view in _cases(selection):
        first = _choose(selection, view, batch_size, where)
        torch.rand(3)
        again = _choose(selection, view, batch_size, where)
        text = f"{first.positions.tolist()}, then {again.positions.tolist()}"
        require(torch.equal(first.positions, again.positions), f"{where}: {text}")
        weights = [torch.ones(0) if one.weights is None else one.weights for one in (first, again)]
        require(torch.equal(*weights), f"{where}: weights differ the second time")


def leaves_everything_as_it_was(selection: Subject) -> None:
    """What the view gives is left unchanged, and so are the global random generators."""
    for where, batch_size, view in _cases(selection):
        held = view.pool.given, view.pool.embedding, view.labels, view.indices
        before, state = [each.clone() for each in held], global_state()
        _choose(selection, view, batch_size, where)
        for was, now in zip(before, held, strict=True):
            require(bool((was == now).all()), f"{where}: changes what the view holds")
        require(global_state() == state, f"{where}: draws from or seeds a global generator")


def impossible_batch_sizes_are_refused(selection: Subject) -> None:
    """A number of points that the candidates cannot give is a ValueError that names it."""
    chooser = _chooser(selection)
    for batch_size in (0, -1, 13):
        view = candidates()["ordinary"]()
        try:
            chooser.choose(view, batch_size, seeded(0))
        except ValueError as error:
            message = f"B={batch_size}: the message {str(error)!r} does not say it"
            require(str(batch_size) in str(error), message)
        except Exception as error:
            raise CheckFailure(f"B={batch_size} of 12 candidates: {error_line(error)}") from error
        else:
            raise CheckFailure(f"B={batch_size} of 12 candidates is accepted")


def nan_never_passes_for_a_score(selection: Subject) -> None:
    """Predictions that are NaN are a ValueError that says so, or are not looked at."""
    choosing = _chooser(selection)
    sound = _choose(selection, candidates()["ordinary"](), 3, "ordinary, B=3")
    try:
        chosen = choosing.choose(nan_candidates(), 3, seeded(7))
    except ValueError as error:
        require("NaN" in str(error), f"the message {str(error)!r} does not say that they are NaN")
    except Exception as error:
        raise CheckFailure(f"predictions are NaN: {error_line(error)}") from error
    else:
        unseen = torch.equal(sound.positions, chosen.positions)
        require(unseen, f"predictions are NaN: chooses {chosen.positions.tolist()}, no ValueError")


def order_of_the_candidates_is_irrelevant(selection: Subject) -> None:
    """Permuting the candidates permutes the choice, in law where the selection draws."""
    laws.order_of_the_pool_is_irrelevant(_AsStrategy.of(selection))


def identical_candidates_are_equally_likely(selection: Subject) -> None:
    """Among candidates that nothing tells apart every choice is equally likely."""
    laws.identical_points_are_equally_likely(_AsStrategy.of(selection))


def copies_are_chosen_equally_often(selection: Subject) -> None:
    """Of two copies of a candidate, each is chosen first equally often."""
    if with_replacement(selection):
        raise DoesNotApply("draws with replacement")
    laws.copies_are_picked_equally_often(_AsStrategy.of(selection))


def fewer_samples_are_the_first_ones(selection: Subject) -> None:
    """Its num_samples takes the first posterior samples."""
    mine: Any = selection
    if "num_samples" not in {field.name for field in dataclasses.fields(mine)}:
        raise DoesNotApply("has no parameter num_samples")
    if SAMPLES not in selection.needs:
        raise DoesNotApply("needs no posterior samples")
    view = candidates()["ordinary"]()
    pool = FakeView(view.pool.given[:, :3], view.pool.embedding)
    truncated = dataclasses.replace(view, pool=pool)
    expected = _chooser(selection).choose(truncated, 4, seeded(1)).positions.tolist()
    fewer = dataclasses.replace(mine, num_samples=3)
    picks = fewer.choose(view, 4, seeded(1)).positions.tolist()
    require(picks == expected, f"num_samples=3 chooses {picks}, a model of the first 3 {expected}")
    try:
        dataclasses.replace(mine, num_samples=7).choose(view, 4, seeded(1))
    except ConfigError:
        return
    raise CheckFailure("num_samples=7 of 6 is accepted")


def keeps_some_of_the_training_points(selection: Subject) -> None:
    """Keeps distinct points of the training set, one at least, whatever the proxies predict."""
    for where, training in _training_sets(selection):
        problem = core_set_fault(_keep(selection, training, where), training.indices)
        require(problem is None, f"{where}: {problem}")


def generator_alone_decides_what_is_kept(selection: Subject) -> None:
    """The generator alone decides what is kept, and global ones are left as they were."""
    for where, training in _training_sets(selection):
        first = _keep(selection, training, where)
        training.generator = seeded(7)
        torch.rand(3)
        state = global_state()
        again = _keep(selection, training, where)
        require(torch.equal(first, again), f"{where}: {first.tolist()}, then {again.tolist()}")
        require(global_state() == state, f"{where}: draws from or seeds a global generator")


def order_of_the_training_points_is_irrelevant(selection: Subject) -> None:
    """Permuting the training points changes nothing of what is kept, but for ties."""
    training = training_sets()["ordinary"](seeded(7))
    order = torch.randperm(len(training.labels), generator=seeded(1))
    one = _keep(selection, training, "ordinary")
    other = _keep(selection, training.permuted(order, seeded(7)), "ordinary")
    if torch.equal(one.sort().values, other.sort().values):
        return
    tied = _keep(selection, training_sets()["ordinary"](seeded(8)), "ordinary")
    if not torch.equal(tied.sort().values, one.sort().values):
        raise DoesNotApply("equal scores decide")
    raise CheckFailure(f"keeps {one.tolist()}, and {other.tolist()} when they are reordered")


CHECKS: tuple[Callable[[Subject], None], ...] = (
    declares_what_it_needs,
    choice_is_well_formed,
    generator_alone_decides,
    leaves_everything_as_it_was,
    impossible_batch_sizes_are_refused,
    nan_never_passes_for_a_score,
    order_of_the_candidates_is_irrelevant,
    identical_candidates_are_equally_likely,
    copies_are_chosen_equally_often,
    fewer_samples_are_the_first_ones,
)
CORE_SET_CHECKS: tuple[Callable[[Subject], None], ...] = (
    declares_what_it_needs,
    keeps_some_of_the_training_points,
    generator_alone_decides_what_is_kept,
    order_of_the_training_points_is_irrelevant,
)


def checks_of(selection: Subject) -> tuple[Callable[[Subject], None], ...]:
    """The properties of a core-set, or those of a selection that is asked at every step."""
    return CORE_SET_CHECKS if isinstance(selection, CoreSet) else CHECKS


@dataclass(frozen=True)
class _AsStrategy:
    """A selection seen as a strategy of a pool of labeled points, for laws that both keep."""

    selection: OneSelection

    @classmethod
    def of(cls, selection: Subject) -> "_AsStrategy":
        return cls(_chooser(selection))

    @property
    def needs(self) -> frozenset[str]:
        return self.selection.needs

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """What the selection chooses; it has no scores to tell."""
        assert isinstance(view, FakeView)
        chosen = self.selection.choose(FakeCandidates.of(view), batch_size, generator)
        scores = torch.full((batch_size,), torch.nan, dtype=torch.float64)
        return Selection(chosen.positions, scores, chosen.notes)


def _cases(selection: Subject) -> list[tuple[str, int, FakeCandidates]]:
    """All candidates with B = 1, some and all of them; they provide what the selection needs."""
    cases = []
    for name, make in candidates().items():
        for batch_size in sorted({1, min(3, len(make())), len(make())}):
            view = make()
            view.provides = selection.needs
            cases.append((f"{name}, B={batch_size}", batch_size, view))
    return cases


def _choose(selection: Subject, view: FakeCandidates, batch_size: int, where: str) -> Chosen:
    """What it chooses with one and the same generator; CheckFailure when it cannot."""
    chooser = _chooser(selection)
    try:
        with within(type(selection).__name__):
            chosen = chooser.choose(view, batch_size, seeded(7))
    except Exception as error:
        raise CheckFailure(f"{where}: {error_line(error)}") from error
    if not isinstance(chosen, Chosen):
        raise CheckFailure(f"{where}: {fault(chosen, batch_size, len(view), False)}")
    return chosen


def _training_sets(selection: Subject) -> list[tuple[str, FakeTraining]]:
    return [(name, make(seeded(7))) for name, make in training_sets().items()]


def _keep(selection: Subject, training: FakeTraining, where: str) -> torch.Tensor:
    keeper = _keeper(selection)
    try:
        with within(type(selection).__name__):
            return keeper.keep(training)
    except Exception as error:
        raise CheckFailure(f"{where}: {error_line(error)}") from error


def _chooser(selection: Subject) -> OneSelection:
    """The same, which can choose; CheckFailure where it cannot."""
    if isinstance(selection, OneSelection):
        return selection
    name = type(selection).__name__
    raise CheckFailure(f"{name} has no method choose(view, batch_size, generator)")


def _keeper(selection: Subject) -> CoreSet:
    """The same, which can keep points; CheckFailure where it cannot."""
    if isinstance(selection, CoreSet):
        return selection
    raise CheckFailure(f"{type(selection).__name__} has no method keep(training)")
