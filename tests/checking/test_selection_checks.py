"""Checks of selections find what is broken: each of these keeps all properties but some."""

from dataclasses import dataclass

import pytest
import torch

from al_bench.checking.probing import CheckFailure, DoesNotApply
from al_bench.checking.selections import checks_of
from al_bench.sampling.base import Chosen
from al_bench.strategies.rules import top


@dataclass(frozen=True)
class Sound:
    needs = frozenset()

    def choose(self, view, batch_size, generator):
        return self.answer(view, top(self.scores(view), batch_size, generator))

    def scores(self, view):
        return view.losses()

    def answer(self, view, positions):
        return Chosen(positions)


class Blind(Sound):
    def scores(self, view):
        return view.losses().nan_to_num(0.0)


class Global(Sound):
    def scores(self, view):
        return torch.rand(len(view))


class Heavy(Sound):
    def answer(self, view, positions):
        return Chosen(positions, torch.full((len(positions),), torch.inf))


class Repeating(Sound):
    def answer(self, view, positions):
        return Chosen(positions[:1].expand(len(positions)))


class Changing(Sound):
    def scores(self, view):
        return view.log_probs().mul_(2.0)[:, 0, 0]


class Placed(Sound):
    def scores(self, view):
        return torch.arange(len(view), dtype=torch.float64)


class Greedy(Sound):
    def choose(self, view, batch_size, generator):
        return super().choose(view, max(1, min(batch_size, len(view))), generator)


class Ignorant(Sound):
    needs = frozenset({"irreducible", "luck"})


@dataclass(frozen=True)
class KeepsAll:
    needs = frozenset()

    def keep(self, training):
        return training.indices


@dataclass(frozen=True)
class KeepsFirst(KeepsAll):
    def keep(self, training):
        return training.indices[:1]


@dataclass(frozen=True)
class KeepsTwice(KeepsAll):
    def keep(self, training):
        return torch.cat([training.indices, training.indices])


@dataclass(frozen=True)
class KeepsByChance(KeepsAll):
    def keep(self, training):
        return training.indices[torch.randperm(len(training.indices))[:2]]


ORDER = "order_of_the_candidates_is_irrelevant"
FAIR = {"identical_candidates_are_equally_likely", "copies_are_chosen_equally_often"}
BROKEN = {
    Sound: set(),
    Blind: {"nan_never_passes_for_a_score"},
    Global: {"generator_alone_decides", "leaves_everything_as_it_was"},
    Heavy: {"choice_is_well_formed"},
    Repeating: {"choice_is_well_formed"},
    Changing: {"leaves_everything_as_it_was"},
    Placed: {ORDER, *FAIR},
    Greedy: {"impossible_batch_sizes_are_refused"},
    Ignorant: {"declares_what_it_needs"},
    KeepsAll: set(),
    KeepsFirst: {"order_of_the_training_points_is_irrelevant"},
    KeepsTwice: {"keeps_some_of_the_training_points"},
    KeepsByChance: {"generator_alone_decides_what_is_kept"},
}
LAWS = {ORDER, *FAIR}  # take hundreds of draws


def failures(selection, wanted):
    found = set()
    for check in checks_of(selection):
        if check.__name__ in LAWS - wanted:
            continue
        try:
            check(selection)
        except DoesNotApply:
            pass
        except CheckFailure:
            found.add(check.__name__)
    return found


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: kind.__name__)
def test_a_broken_property_is_found(kind):
    assert failures(kind(), BROKEN[kind]) >= BROKEN[kind]
    if not BROKEN[kind]:
        assert failures(kind(), LAWS) == set()
