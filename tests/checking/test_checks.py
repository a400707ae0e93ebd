"""Each property catches strategies that break it, and says how."""

import dataclasses
import random
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from al_bench.checking import checks
from al_bench.checking.checks import CHECKS
from al_bench.checking.pools import POOLS
from al_bench.checking.probing import CheckFailure, DoesNotApply
from al_bench.models.base import FEATURES, SAMPLES
from al_bench.strategies.base import Selection
from al_bench.strategies.pointwise import Pointwise
from al_bench.strategies.rules import TopB, top
from al_bench.strategies.scores import bald


@dataclass(frozen=True)
class Sound:
    """Largest first feature, as the contract wants it; subclasses break one thing each."""

    needs = frozenset({FEATURES})

    def select(self, view, batch_size, generator):
        scores = self.scores(view)
        return self.selection(view, scores, top(scores, batch_size, generator))

    def scores(self, view):
        return view.features()[:, 0].double()

    def selection(self, view, scores, positions):
        return Selection(positions, scores[positions])


@dataclass
class Thawed:
    needs = frozenset()


class Telepath(Sound):
    needs = frozenset({"telepathy"})


class NoDataclass:
    needs = frozenset()


class Repeats(Sound):
    def selection(self, view, scores, positions):
        return Selection(positions[:1].expand(len(positions)), scores[positions])


class Float32Scores(Sound):
    def selection(self, view, scores, positions):
        return Selection(positions, scores[positions].float())


class OutOfRange(Sound):
    def selection(self, view, scores, positions):
        return Selection(positions + 1, scores[positions])


class Tuple(Sound):
    def selection(self, view, scores, positions):
        return positions, scores[positions]


class NanNote(Sound):
    def selection(self, view, scores, positions):
        return Selection(positions, scores[positions], {"gain": float("nan")})


class TensorState(Sound):
    def selection(self, view, scores, positions):
        return Selection(positions, scores[positions], state={"seen": positions})


class NeedsLabeledPoints(Sound):
    def scores(self, view):
        assert len(view.labels()), "nothing is labeled"
        return super().scores(view)


class GlobalDraws(Sound):
    def scores(self, view):
        return torch.rand(len(view), dtype=torch.float64)


class NumpySeed(Sound):
    def scores(self, view):
        np.random.seed(0)  # noqa: NPY002
        return super().scores(view)


class PythonDraws(Sound):
    def scores(self, view):
        random.random()
        return super().scores(view)


SEEN = []


class Remembers(Sound):
    def scores(self, view):
        SEEN.append(view)
        return super().scores(view).roll(len(SEEN))


class WritesFeatures(Sound):
    def scores(self, view):
        view.features().clamp_(max=0.5)
        return super().scores(view)


class ForgetsState(Sound):
    def selection(self, view, scores, positions):
        if view.state is not None:
            positions = torch.tensor(view.state["last"])
        return Selection(positions, scores[positions], state={"last": [0, 0, 0]})


class TakesAnySize(Sound):
    def select(self, view, batch_size, generator):
        return super().select(view, min(max(batch_size, 1), len(view)), generator)


class SilentNan(Sound):
    def select(self, view, batch_size, generator):
        scores = self.scores(view)
        positions = top(scores.nan_to_num(0), batch_size, generator)
        return Selection(positions, scores[positions].nan_to_num(0))


class FirstPlaces(Sound):
    def scores(self, view):
        return -torch.arange(len(view)).double() + 0 * super().scores(view)


class TiesByPlace(Sound):
    def select(self, view, batch_size, generator):
        top(self.scores(view), batch_size, generator)
        order = self.scores(view).argsort(descending=True, stable=True)[:batch_size]
        return self.selection(view, self.scores(view), order)


class NoDisagreement(Sound):
    needs = frozenset({SAMPLES})


@dataclass(frozen=True)
class LastSamples(Sound):
    needs = frozenset({SAMPLES})
    num_samples: int | None = None

    def scores(self, view):
        return bald(view.log_probs()[:, -(self.num_samples or 0) :])


@pytest.mark.parametrize(
    ("strategy", "check", "said"),
    [
        (Thawed, checks.declares_what_it_needs, "not frozen"),
        (Telepath, checks.declares_what_it_needs, "needs telepathy, known are"),
        (NoDataclass, checks.declares_what_it_needs, "no dataclass"),
        (Repeats, checks.batch_is_well_formed, "repeat"),
        (Float32Scores, checks.batch_is_well_formed, "float32"),
        (OutOfRange, checks.batch_is_well_formed, "of 12"),
        (Tuple, checks.batch_is_well_formed, "returns a tuple"),
        (NanNote, checks.batch_is_well_formed, "notes do not fit into JSON"),
        (TensorState, checks.batch_is_well_formed, "state do not fit into JSON"),
        (NeedsLabeledPoints, checks.batch_is_well_formed, "no labeled point, B=1"),
        (GlobalDraws, checks.same_generator_gives_the_same_batch, "then"),
        (Remembers, checks.same_generator_gives_the_same_batch, "then"),
        (GlobalDraws, checks.leaves_everything_as_it_was, "global generator"),
        (NumpySeed, checks.leaves_everything_as_it_was, "global generator"),
        (PythonDraws, checks.leaves_everything_as_it_was, "global generator"),
        (WritesFeatures, checks.leaves_everything_as_it_was, "changes the view's features"),
        (ForgetsState, checks.goes_on_from_its_state, "round 1"),
        (TakesAnySize, checks.impossible_batch_sizes_are_refused, "B=0"),
        (SilentNan, checks.nan_never_passes_for_a_score, "features are NaN"),
        (FirstPlaces, checks.order_of_the_pool_is_irrelevant, "reordered"),
        (FirstPlaces, checks.identical_points_are_equally_likely, "not fair"),
        (TiesByPlace, checks.identical_points_are_equally_likely, "not fair"),
        (TiesByPlace, checks.copies_are_picked_equally_often, "120 and 0"),
        (NoDisagreement, checks.equal_samples_give_a_random_batch, "fell_back"),
        (NoDisagreement, checks.disagreement_is_wanted, "would be chance"),
        (LastSamples, checks.fewer_samples_are_the_first_ones, "num_samples=0 is accepted"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_strategy_that_breaks_a_property_is_told_how(strategy, check, said):
    with pytest.raises(CheckFailure, match=said):
        check(strategy())


@pytest.mark.slow
@pytest.mark.parametrize(
    "strategy", [Sound(), Pointwise(bald, TopB())], ids=lambda strategy: type(strategy).__name__
)
def test_a_sound_strategy_passes_every_check_that_applies(strategy):
    applied = []
    for check in CHECKS:
        try:
            check(strategy)
        except DoesNotApply:
            continue
        applied.append(check)
    assert len(applied) >= 9


def test_the_last_samples_are_not_the_first_ones():
    @dataclass(frozen=True)
    class Checked(LastSamples):
        def __post_init__(self):
            Pointwise(bald, TopB(), self.num_samples)

    with pytest.raises(CheckFailure, match="num_samples=3 picks"):
        checks.fewer_samples_are_the_first_ones(Checked())


def test_every_check_says_in_a_line_what_it_checks():
    lines = [check.__doc__.splitlines()[0] for check in CHECKS]
    assert all(line.endswith(".") and len(line) < 100 for line in lines)
    assert len(set(lines)) == len(lines)


def test_pools_are_fresh_each_time():
    for make in POOLS.values():
        one, two = make(), make()
        one.given.zero_()
        one.embedding.zero_()
        assert not torch.equal(one.given, two.given)
        assert dataclasses.asdict(make()).keys() == dataclasses.asdict(two).keys()
