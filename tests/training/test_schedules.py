"""Schedules against torch's own schedulers, step by step in float64."""

import pytest
import torch
from torch.optim import lr_scheduler

from al_bench.errors import ConfigError
from al_bench.training.recipe import Recipe
from al_bench.training.schedules import Constant, Cosine, Milestones, OneCycle

PER_EPOCH, EPOCHS = 7, 12
STEPS = PER_EPOCH * EPOCHS
RATE = 0.3


def of_torch(make, steps=STEPS):
    """The learning rates of one of torch's schedulers."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RATE)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def of(schedule, per_epoch=PER_EPOCH, epochs=EPOCHS):
    recipe = Recipe(learning_rate=RATE, schedule=schedule, max_epochs=epochs)
    return [recipe.learning_rate_in(step, per_epoch, epochs) for step in range(per_epoch * epochs)]


def warmed_up(warmup, after):
    def make(optimizer):
        up = lr_scheduler.LinearLR(optimizer, 1 / warmup, total_iters=warmup - 1)
        return lr_scheduler.SequentialLR(optimizer, [up, after(optimizer)], milestones=[warmup])

    return make


def cosine(steps, least=0.0):
    return lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=least)


CASES = {
    "constant": (Constant(), lambda optimizer: lr_scheduler.ConstantLR(optimizer, 1.0)),
    "warm-up": (
        Constant(warmup_epochs=2),
        warmed_up(14, lambda optimizer: lr_scheduler.ConstantLR(optimizer, 1.0)),
    ),
    "cosine": (Cosine(), cosine(STEPS)),
    "cosine to a tenth": (Cosine(final=0.1), cosine(STEPS, 0.1 * RATE)),
    "cosine after a warm-up": (Cosine(warmup_epochs=3), warmed_up(21, cosine(STEPS - 21))),
    "milestones": (
        Milestones(epochs=[4, 9], gamma=0.2),
        lambda optimizer: lr_scheduler.MultiStepLR(optimizer, [28, 63], gamma=0.2),
    ),
    "milestones after a warm-up": (
        Milestones(epochs=[4, 9.5], warmup_epochs=1),
        warmed_up(7, lambda optimizer: lr_scheduler.MultiStepLR(optimizer, [21, 59])),
    ),
}


@pytest.mark.filterwarnings("ignore:The epoch parameter")  # of torch's SequentialLR
@pytest.mark.parametrize("name", CASES)
def test_the_rate_of_every_step_is_that_of_torchs_scheduler(name):
    schedule, make = CASES[name]
    assert of(schedule) == pytest.approx(of_torch(make), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(("rise", "steps"), [(0.3, 10), (0.3, 37), (0.5, 100), (0.4, 4)])
def test_one_cycle_is_torchs_without_its_momentum(rise, steps):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RATE)
    scheduler = lr_scheduler.OneCycleLR(
        optimizer, max_lr=RATE, total_steps=steps, pct_start=rise, cycle_momentum=False
    )
    rates = [optimizer.param_groups[0]["lr"]]
    for _ in range(steps - 1):
        optimizer.step()
        scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
    assert of(OneCycle(rise=rise), 1, steps) == pytest.approx(rates, rel=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_one_cycle_of_few_steps_has_its_rate_in_the_first(steps):
    assert of(OneCycle(), 1, steps)[0] == RATE


def test_a_schedule_follows_the_number_and_the_length_of_the_epochs():
    assert of(Cosine(), per_epoch=3, epochs=8) == of(Cosine(), per_epoch=8, epochs=3)
    short, long = of(Milestones(epochs=[1]), 2, 2), of(Milestones(epochs=[1]), 5, 2)
    assert short == pytest.approx([RATE] * 2 + [RATE / 10] * 2)
    assert long == pytest.approx([RATE] * 5 + [RATE / 10] * 5)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Constant(warmup_epochs=-1), "warmup_epochs must be a number from 0"),
        (lambda: Cosine(final=2), "final must be a number from 0 and at most 1"),
        (lambda: Milestones(), r"epochs must be ascending numbers of epochs, got \[\]"),
        (lambda: Milestones(epochs=[5, 3]), "ascending"),
        (lambda: Milestones(epochs=[3, 3]), "ascending"),
        (lambda: Milestones(epochs=3), "must be a list such as"),
        (lambda: Milestones(epochs=["3"]), "A number in epochs must be"),
        (lambda: Milestones(epochs=[3], gamma=1), "gamma must be a number above 0 and below 1"),
        (lambda: OneCycle(rise=1), "rise must be"),
        (lambda: OneCycle(initial=0), "initial must be"),
        (lambda: Cosine(warmup_epochs=4).factor(0, 9, 4), "must be below the number of epochs"),
        (lambda: Milestones(epochs=[4]).factor(0, 9, 4), "which is 4. Give smaller ones"),
    ],
)
def test_a_wrong_schedule_is_refused_with_a_reason(make, said):
    with pytest.raises(ConfigError, match=said):
        make()
