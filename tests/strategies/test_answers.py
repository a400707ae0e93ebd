"""What a strategy may answer, and what a trial says of anything else."""

import collections
import dataclasses
import re

import numpy as np
import pytest
import torch

from al_bench.checking.checks import batch_is_well_formed
from al_bench.checking.probing import CheckFailure
from al_bench.errors import AlBenchError, within
from al_bench.running import notebook
from al_bench.strategies.base import Selection
from al_bench.strategies.contract import fault
from al_bench.strategies.pointwise import Pointwise
from al_bench.strategies.rules import TopB

SCORES = torch.tensor([0.5, torch.nan, -1.0], dtype=torch.float64)
PLACES = torch.tensor([4, 0, 2])

WRONG = {
    "tuple": ((PLACES, SCORES), "select returns a tuple, no Selection"),
    "none": (None, "select returns a NoneType, no Selection"),
    "list": (Selection([4, 0, 2], SCORES), "positions are a list, no tensor"),
    "array": (Selection(PLACES, SCORES.numpy()), "scores are a ndarray, no tensor"),
    "short": (Selection(PLACES[:2], SCORES[:2]), r"\(2,\) positions and \(2,\) scores"),
    "column": (Selection(PLACES, SCORES[:, None]), r"\(3,\) positions and \(3, 1\) scores"),
    "float": (Selection(PLACES.double(), SCORES), "positions are float64, not int64"),
    "nan": (Selection(SCORES, SCORES), "positions are float64, not int64"),
    "mask": (Selection(PLACES > 0, SCORES), "positions are bool, not int64"),
    "narrow": (Selection(PLACES.to(torch.uint8), SCORES), "positions are uint8, not int64"),
    "twice": (Selection(torch.tensor([4, 0, 4]), SCORES), r"positions \[4, 0, 4\] repeat"),
    "beyond": (Selection(torch.tensor([4, 0, 5]), SCORES), r"positions \[4, 0, 5\] of 5"),
    "negative": (Selection(torch.tensor([4, 0, -1]), SCORES), r"positions \[4, 0, -1\] of 5"),
    "float32": (Selection(PLACES, SCORES.float()), "scores are float32, not float64"),
    "whole": (Selection(PLACES, PLACES), "scores are int64, not float64"),
    "infinite": (Selection(PLACES, SCORES / 0), r"scores at positions \[4, 2\] are infinite"),
    "notes": (Selection(PLACES, SCORES, ["a"]), "notes are a list, no mapping"),
    "no notes": (Selection(PLACES, SCORES, None), "notes are a NoneType, no mapping"),
    "note": (Selection(PLACES, SCORES, {"a": np.float32(1)}), "notes do not fit into JSON"),
    "nan note": (Selection(PLACES, SCORES, {"a": float("nan")}), "notes do not fit into JSON"),
    "key": (Selection(PLACES, SCORES, {1: "a"}), "notes have the key 1, no text"),
    "state": (Selection(PLACES, SCORES, {}, {"a": PLACES}), "state do not fit into JSON"),
    "listed": (Selection(PLACES, SCORES, {}, [1]), "state are a list, no mapping"),
}


@pytest.mark.parametrize("name", WRONG)
def test_every_other_answer_is_told_apart(name):
    answer, said = WRONG[name]
    assert re.match(said, fault(answer, 3, 5))


def test_no_score_and_mappings_of_every_kind_are_right():
    notes = collections.OrderedDict(gain=1.5, fell_back="random")
    assert fault(Selection(PLACES, SCORES, notes, {"seen": [1, None]}), 3, 5) is None


class Answers:
    """A strategy that answers what it was told to."""

    needs = frozenset()

    def __init__(self, make):
        self.make = make

    def select(self, view, batch_size, generator):
        positions = torch.arange(batch_size)
        return self.make(positions, positions.double())


def leave(*_):
    raise SystemExit(3)


class Vanish(BaseException):
    """No Exception, as those of some frameworks."""


def vanish(*_):
    raise Vanish("gone")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p, s: Selection(p.float(), s), "10 different positions of .*: positions are float"),
        (lambda p, s: Selection(p, s / 0), "positions .* are infinite"),
        (lambda p, s: Selection(p, s, "told"), "notes are a str, no mapping"),
        (lambda p, s: Selection(p, s, {}, {"p": p}), "state do not fit into JSON"),
        (leave, "must not end the process: SystemExit: 3"),
        (vanish, "must not end the process: Vanish: gone"),
    ],
)
def test_a_trial_names_the_strategy_whose_answer_is_wrong(make_trials, make, said):
    (trial,) = make_trials("seeds=1")
    trial.run = dataclasses.replace(trial.run, strategy=Answers(make))
    with pytest.raises(AlBenchError, match=rf"The strategy [\w.]*test_answers\.Answers .*{said}"):
        notebook.execute([trial])


def test_a_check_tells_what_a_trial_would(make_trials):
    @dataclasses.dataclass(frozen=True)
    class Leaves:
        needs = frozenset()

        def select(self, view, batch_size, generator):
            raise SystemExit("bye")

    with pytest.raises(CheckFailure, match="Leaves must not end the process: SystemExit: bye"):
        batch_is_well_formed(Leaves())


@pytest.mark.slow
def test_a_score_of_another_shape_is_named(make_trials):
    def lengthy(log_probs):
        return log_probs.mean()

    (trial,) = make_trials("seeds=1")
    trial.run = dataclasses.replace(trial.run, strategy=Pointwise(lengthy, TopB()))
    with pytest.raises(AlBenchError, match=r"The score .*lengthy must return .*got shape \(\)"):
        notebook.execute([trial])


@pytest.mark.slow
def test_an_infinite_score_ranks_and_is_none_to_store(make_trials):
    def surprise(log_probs):
        return torch.where(torch.arange(len(log_probs)) == 1, torch.inf, 0.0)

    (trial,) = make_trials("seeds=1")
    trial.run = dataclasses.replace(trial.run, strategy=Pointwise(surprise, TopB()))
    notebook.execute([trial])
    assert trial.finished


def test_the_process_may_be_ended_by_its_user():
    with pytest.raises(KeyboardInterrupt), within("A class"):
        raise KeyboardInterrupt
    with pytest.raises(ValueError, match="plain"), within("A class"):
        raise ValueError("plain")
