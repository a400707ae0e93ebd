"""What every strategy must do, one function a property.

A check takes a strategy and returns when it keeps the property; its docstring says which one. B is
the batch size.
"""

import contextlib
import dataclasses
import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from al_bench.checking.laws import (
    copies_are_picked_equally_often,
    disagreement_is_wanted,
    equal_samples_give_a_random_batch,
    identical_points_are_equally_likely,
    order_of_the_pool_is_irrelevant,
)
from al_bench.checking.pools import POOLS
from al_bench.checking.probing import CheckFailure, DoesNotApply, cases, require, select
from al_bench.checking.properties import global_state, require_declaration
from al_bench.checking.views import FakeView, seeded
from al_bench.errors import ConfigError, error_line
from al_bench.models.base import DENSITY, GRADIENTS, SAMPLES
from al_bench.models.capabilities import CAPABILITIES
from al_bench.strategies.base import LABELS, PoolView, Strategy
from al_bench.strategies.contract import fault

Check = Callable[[Strategy], None]


def declares_what_it_needs(strategy: Strategy) -> None:
    """Is a frozen dataclass whose needs are known."""
    require_declaration(strategy, frozenset({*CAPABILITIES, LABELS}))


def batch_is_well_formed(strategy: Strategy) -> None:
    """B distinct positions of the pool with a score each, for B from 1 to all, on every pool.

    Scores are finite or, where there is none, NaN; notes and state are mappings that fit into JSON.
    """
    for name, batch_size, view in cases():
        where = f"{name}, B={batch_size}"
        selection = select(strategy, view, batch_size, where)
        problem = fault(selection, batch_size, len(view))
        require(problem is None, f"{where}: {problem}")


def same_generator_gives_the_same_batch(strategy: Strategy) -> None:
    """The generator alone decides: the same one, the same batch, whatever was drawn elsewhere."""
    arguments = [(view, size, f"{name}, B={size}") for name, size, view in cases()]
    once = [(each, select(strategy, *each)) for each in arguments]
    for each, first in (*reversed(once[:-1]), once[-1]):  # each after another one than before
        where = each[-1]
        torch.rand(3), np.random.rand(), random.random()  # noqa: NPY002
        again = select(strategy, *each)
        text = f"{first.positions.tolist()}, then {again.positions.tolist()}"
        require(torch.equal(first.positions, again.positions), f"{where}: {text}")
        equal = torch.equal(first.scores.nan_to_num(-1), again.scores.nan_to_num(-1))
        require(equal, f"{where}: scores differ the second time")


def leaves_everything_as_it_was(strategy: Strategy) -> None:
    """What the view gives is left unchanged, and so are the global random generators."""
    for name, batch_size, view in cases():
        before = view.given.clone(), view.embedding.clone(), view.order.clone()
        state = global_state()
        select(strategy, view, batch_size, f"{name}, B={batch_size}")
        after = view.given, view.embedding, view.order
        for what, was, now in zip(("log_probs", "features", "indices"), before, after, strict=True):
            require(torch.equal(was, now), f"{name}, B={batch_size}: changes the view's {what}")
        same = global_state() == state
        require(same, f"{name}, B={batch_size}: draws from or seeds a global generator")


def goes_on_from_its_state(strategy: Strategy) -> None:
    """State that it leaves is what it takes in the next round, after a detour through JSON."""
    view = POOLS["ordinary"]()
    selection = select(strategy, view, 3, "round 0")
    if selection.state is None:
        raise DoesNotApply("leaves no state")
    rest = torch.tensor([p for p in range(len(view)) if p not in selection.positions.tolist()])
    after = view.restricted(rest, json.loads(json.dumps(selection.state)))
    after.round = 1
    notes = json.dumps(dict(selection.notes))
    labels = dict.fromkeys(("num_labeled", "num_queried"), view.num_labeled)
    unseen = dict.fromkeys(("validation_accuracy", "validation_nll"))
    after.history = [{"round": 0, **labels, **unseen, "notes": notes}]
    chosen = select(strategy, after, 3, "round 1").positions.tolist()
    require(len(set(chosen)) == 3 and max(chosen) < len(rest), f"round 1: positions {chosen}")


def impossible_batch_sizes_are_refused(strategy: Strategy) -> None:
    """A batch size that the pool cannot give is a ValueError that names it."""
    for batch_size in (0, -1, 13):
        try:
            strategy.select(POOLS["ordinary"](), batch_size, seeded(0))
        except ValueError as error:
            message = f"B={batch_size}: the message {str(error)!r} does not say it"
            require(str(batch_size) in str(error), message)
        except Exception as error:
            raise CheckFailure(f"B={batch_size} of 12 points: {error_line(error)}") from error
        else:
            raise CheckFailure(f"B={batch_size} of 12 points is accepted")


def nan_never_passes_for_a_score(strategy: Strategy) -> None:
    """Predictions or features that are NaN are a ValueError, or are not looked at."""
    view = POOLS["ordinary"]()
    sound = select(strategy, view, 3, "ordinary, B=3")
    if sound.scores.isnan().all():
        raise DoesNotApply("has no scores")
    spoiled = {
        "predictions": FakeView(torch.full_like(view.given, torch.nan)),
        "features": FakeView(view.given, torch.full_like(view.embedding, torch.nan)),
    }
    for what, pool in spoiled.items():
        try:
            selection = strategy.select(pool, 3, seeded(7))
        except ValueError as error:
            message = f"{what} are NaN: the message {str(error)!r} does not say so"
            require("NaN" in str(error), message)
        except Exception as error:
            raise CheckFailure(f"{what} are NaN: {error_line(error)}") from error
        else:
            unseen = torch.equal(sound.positions, selection.positions) and torch.equal(
                sound.scores.nan_to_num(-1), selection.scores.nan_to_num(-1)
            )
            require(unseen, f"{what} are NaN: scores {selection.scores.tolist()}, no ValueError")


def fewer_samples_are_the_first_ones(strategy: Strategy) -> None:
    """Its num_samples takes the first posterior samples; a wrong number is refused."""
    mine: Any = strategy
    if "num_samples" not in {field.name for field in dataclasses.fields(mine)}:
        raise DoesNotApply("has no parameter num_samples")
    for wrong in (0, -1, 2.5, True):
        try:
            dataclasses.replace(mine, num_samples=wrong)
        except ConfigError as error:
            says = "num_samples" in str(error)
            require(says, f"num_samples={wrong}: the message does not name strategy.num_samples")
        else:
            raise CheckFailure(f"num_samples={wrong} is accepted")
    if strategy.needs & {GRADIENTS, DENSITY} and SAMPLES not in strategy.needs:  # of one network
        with contextlib.suppress(ConfigError):
            dataclasses.replace(mine, num_samples=3)
            raise CheckFailure("num_samples=3 of a score of one network is accepted")
        return
    view = POOLS["ordinary"]()
    fewer, more = (dataclasses.replace(mine, num_samples=count) for count in (3, 7))
    truncated = FakeView(view.given[:, :3], view.embedding)
    expected = strategy.select(truncated, 4, seeded(1)).positions.tolist()
    picks = fewer.select(view, 4, seeded(1)).positions.tolist()
    require(picks == expected, f"num_samples=3 picks {picks}, a model of the first 3 {expected}")
    _require_refused(more, view, "num_samples=7 of 6")


CHECKS: tuple[Check, ...] = (
    declares_what_it_needs,
    batch_is_well_formed,
    same_generator_gives_the_same_batch,
    leaves_everything_as_it_was,
    goes_on_from_its_state,
    impossible_batch_sizes_are_refused,
    nan_never_passes_for_a_score,
    order_of_the_pool_is_irrelevant,
    identical_points_are_equally_likely,
    copies_are_picked_equally_often,
    equal_samples_give_a_random_batch,
    disagreement_is_wanted,
    fewer_samples_are_the_first_ones,
)


def _require_refused(strategy: Strategy, view: PoolView, what: str) -> None:
    try:
        strategy.select(view, 4, seeded(1))
    except ConfigError:
        return
    except Exception as error:
        raise CheckFailure(f"{what}: {error_line(error)}, not a ConfigError") from error
    raise CheckFailure(f"{what} is accepted")
