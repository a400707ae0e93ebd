"""What a selection may answer, and how anything else is told."""

import re

import numpy as np
import pytest
import torch

from al_bench.sampling.base import Chosen
from al_bench.sampling.contract import core_set_fault, fault

PLACES = torch.tensor([4, 0, 2])
WEIGHTS = torch.tensor([1.0, 0.0, 2.0])

WRONG = {
    "tuple": ((PLACES, WEIGHTS), "choose returns a tuple, no Chosen"),
    "positions": (PLACES, "choose returns a Tensor, no Chosen"),
    "list": (Chosen([4, 0, 2]), "positions are a list, no tensor"),
    "short": (Chosen(PLACES[:2]), r"positions of shape \(2,\), 3 were asked for"),
    "column": (Chosen(PLACES[:, None]), r"positions of shape \(3, 1\)"),
    "float": (Chosen(PLACES.double()), "positions are float64, not int64"),
    "mask": (Chosen(PLACES > 0), "positions are bool, not int64"),
    "twice": (Chosen(torch.tensor([4, 0, 4])), r"positions \[4, 0, 4\] repeat"),
    "beyond": (Chosen(torch.tensor([4, 0, 5])), r"positions \[4, 0, 5\] of 5"),
    "negative": (Chosen(torch.tensor([4, 0, -1])), r"positions \[4, 0, -1\] of 5"),
    "weight list": (Chosen(PLACES, [1.0, 1.0, 1.0]), "weights are a list, no tensor"),
    "few weights": (Chosen(PLACES, WEIGHTS[:2]), r"weights of shape \(2,\) for 3 points"),
    "whole weights": (Chosen(PLACES, PLACES), "weights are int64, no floating-point numbers"),
    "infinite": (Chosen(PLACES, WEIGHTS / 0), r"weights \[inf, nan, inf\] are not finite"),
    "below 0": (Chosen(PLACES, -WEIGHTS), r"weights \[-1.0, -0.0, -2.0\] are not finite from 0"),
    "notes": (Chosen(PLACES, None, ["a"]), "notes are a list, no mapping"),
    "note": (Chosen(PLACES, None, {"a": np.float32(1)}), "notes do not fit into JSON"),
}


@pytest.mark.parametrize("name", WRONG)
def test_every_other_answer_is_told_apart(name):
    answer, said = WRONG[name]
    assert re.match(said, fault(answer, 3, 5, repeats=False))


def test_weights_are_free_and_repeats_are_for_those_that_say_so():
    assert fault(Chosen(PLACES), 3, 5, repeats=False) is None
    assert fault(Chosen(PLACES, WEIGHTS, {"fell_back": "random"}), 3, 5, repeats=False) is None
    assert fault(Chosen(torch.tensor([4, 0, 4]), WEIGHTS), 3, 5, repeats=True) is None


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ([3, 5], "indices to keep are a list"),
        (torch.tensor([], dtype=torch.int64), r"indices to keep of shape \(0,\)"),
        (torch.tensor([3.0]), "indices to keep are float32"),
        (torch.tensor([3, 3]), r"indices to keep \[3, 3\] repeat"),
        (torch.tensor([3, 0]), r"indices to keep \[0\] are no training points"),
    ],
)
def test_a_core_set_is_some_of_the_training_points(kept, said):
    indices = torch.tensor([3, 5, 9])
    assert core_set_fault(torch.tensor([9, 3]), indices) is None
    assert re.match(said, core_set_fault(kept, indices))
