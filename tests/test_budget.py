"""Budgets say how many labels there are, and refuse what does not fit."""

import pytest

from al_bench.budget import Budget
from al_bench.errors import ConfigError


def test_validation_may_be_a_multiple_of_the_initial_labels():
    assert Budget(init_size=20, validation_size="5x").validation_labels(10) == 100
    assert Budget(init_size=None, init_per_class=2, validation_size="3x").validation_labels(4) == 24


def test_classes_may_have_numbers_of_their_own():
    budget = Budget(init_size=None, init_per_class=[1, 0, 3], validation_per_class=[2, 2, 0])
    assert (budget.initial_labels(3), budget.validation_labels(3)) == (4, 4)
    assert budget.num_rounds(3) == 13
    assert budget.validates
    assert Budget(validation_per_class=5).validation_labels(3) == 15
    assert not Budget(validation_size="0x").validates
    multiple = Budget(init_size=None, init_per_class=[1, 0, 3], validation_size="2x")
    assert multiple.validation_labels(3) == 8


@pytest.mark.parametrize(
    ("init", "batch", "total", "rounds"),
    [(20, 10, 120, 11), (20, 10, 125, 12), (0, 10, 10, 2), (20, 10, 20, 1)],
)
def test_the_last_batch_is_short_so_that_the_budget_is_met(init, batch, total, rounds):
    assert Budget(init_size=init, batch_size=batch, total=total).num_rounds(10) == rounds


def test_a_full_budget_labels_everything_in_one_round():
    budget = Budget(init_size=None, total=None, validation_size=10)
    assert budget.is_full
    assert budget.num_rounds(10) == 1
    assert budget.left(0) == 0
    budget.check(11, 10)
    with pytest.raises(ConfigError, match="leaves nothing of the pool's 10 points"):
        budget.check(10, 10)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number from 1"),
        ({"init_size": -1}, "init_size must be a whole number from 0"),
        ({"init_size": 20, "init_per_class": 2}, "Set the other to null"),
        ({"init_size": None}, "init_size and init_per_class are both null.*Write init_size=20"),
        ({"init_size": 20, "total": None}, "use budget=full and leave init_size out"),
        ({"validation_size": None}, "validation_size must be a whole number from 0, got null"),
        ({"validation_size": None, "validation_per_class": 1}, "got null and 1"),
        ({"total": None}, "without an initial set.*total=100 for example, or use budget=full"),
        ({"init_size": None, "total": None, "validation_size": "5x"}, "budget=full lacks"),
        ({"total": 0}, "total must be a whole number from 1"),
        ({"validation_size": "5"}, "neither a number nor a multiple"),
        ({"validation_size": -3}, "whole number from 0"),
        ({"init_size": None, "init_per_class": [1, -1]}, "init_per_class must be a whole number"),
        ({"init_size": None, "init_per_class": [0, 0]}, "asks for no point"),
        ({"init_size": None, "init_per_class": "2"}, "init_per_class must be a whole number"),
        ({"validation_per_class": 0}, "validation_per_class must be a whole number from 1"),
        ({"validation_size": 5, "validation_per_class": 1}, "got 5 and 1. Set validation_size=0"),
        ({"target_accuracy": 1.5}, "a number above 0 and at most 1, got 1.5"),
    ],
)
def test_a_wrong_budget_is_refused_with_a_reason(wrong, said):
    with pytest.raises(ConfigError, match=said):
        Budget(**wrong)


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        (Budget(total=101), "total=101 is more than the pool's 100 points. Use total=100"),
        (Budget(total=90, validation_size=20), "beside 20 validation points"),
        (Budget(init_size=50, total=40), "initial set has 50 labels"),
        (Budget(init_size=None, init_per_class=[1] * 9), "init_per_class has 9 numbers for 10"),
        (Budget(total=50, validation_per_class=[1] * 11), "has 11 numbers for 10 classes"),
        (Budget(total=90, validation_per_class=2), "beside 20 validation points"),
        (Budget(init_size=None, total=None, validation_per_class=10), "=10 leaves nothing of the"),
        (Budget(total=50, target_accuracy=0.9), "needs a validation set"),
        (
            Budget(total=60, validation_size=200),
            "validation_size=200 leaves too little of the pool's 100 points for total=60. "
            "Use validation_size=40 or less",
        ),
        (Budget(total=600, validation_size="10x"), "=10x leaves .* Use validation_size=80 or less"),
        (Budget(total=60, validation_per_class=20), "Use validation_per_class=4 or less"),
        (Budget(total=95, validation_per_class=20), "Leave validation_per_class out"),
        (
            Budget(init_size=None, total=None, validation_size=100),
            "leaves nothing of the pool's 100 points. Use validation_size=99 or less",
        ),
    ],
)
def test_a_budget_that_does_not_fit_the_pool_is_refused(budget, said):
    with pytest.raises(ConfigError, match=said):
        budget.check(100, 10)
