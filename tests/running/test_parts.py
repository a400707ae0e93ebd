"""The parts of a built object are found wherever they lie in it."""

from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace

import pytest
from strategy_files import built

from al_bench.running.parts import num_targets, parts
from al_bench.strategies.class_balance import ClassBalance
from al_bench.strategies.epig import EPIG
from al_bench.strategies.pointwise import Pointwise
from al_bench.strategies.rules import TopB
from al_bench.strategies.scores import bald
from al_bench.strategies.subsample import Subsample
from al_bench.strategies.weighted import Weighted


def test_scores_rules_and_wrapped_strategies_are_parts():
    score, rule = EPIG(num_targets=7), TopB()
    weighted = Weighted({"first": score, "second": partial(bald)})
    strategy = ClassBalance(Subsample(Pointwise(weighted, rule), size=50))
    found = list(parts(strategy))
    assert [type(part).__name__ for part in found[:3]] == ["ClassBalance", "Subsample", "Pointwise"]
    assert score in found
    assert rule in found
    assert bald in found
    assert num_targets(strategy) == 7


def test_an_objects_plain_attributes_and_methods_are_looked_into_and_circles_end():
    inner = SimpleNamespace(num_targets=3)
    outer = SimpleNamespace(scores=[{"one": partial(max, inner)}], name="outer")
    inner.owner = outer
    assert list(parts(outer)) == [outer, max, inner]
    assert num_targets(SimpleNamespace(call=Asker(5).ask)) == 5


@dataclass(frozen=True, slots=True)
class Asker:
    num_targets: int

    def ask(self):
        return self.num_targets


@pytest.mark.parametrize(
    ("name", "expected"),
    [("epig", 100), ("jepig", 10), ("fisher_epig", 100), ("logdet", None), ("bald", None)],
)
def test_the_choices_that_draw_targets_say_how_many(name, expected):
    assert num_targets(built(name)) == expected
