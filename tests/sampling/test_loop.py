"""The loop of active sampling: what it trains on, what it leaves alone, and how it goes on."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F
from sampling.in_memory import NETWORK, Kept, make_pool, make_trial, without_seconds

from al_bench.data.pool import apply_transforms
from al_bench.data.repeat import Repeat
from al_bench.errors import AlBenchError, ConfigError, TrainingError
from al_bench.models.mc_dropout import MCDropout
from al_bench.sampling.base import Chosen
from al_bench.sampling.budget import StepBudget
from al_bench.sampling.draws import GradientNormIS, Uniform
from al_bench.sampling.loop import execute
from al_bench.sampling.recipe import StepRecipe
from al_bench.sampling.scored import Scored
from al_bench.sampling.scores import GradientNorm, InformationGain, Loss
from al_bench.seeding import Streams
from al_bench.strategies.rules import TopB
from al_bench.training.augment import CropFlip
from al_bench.training.schedules import Cosine

SAMPLES = MCDropout(NETWORK, num_samples=4)


@dataclass(frozen=True)
class First:
    """The first candidates; remembers what it was shown."""

    seen: list
    needs: ClassVar[frozenset[str]] = frozenset()

    def choose(self, view, batch_size, generator):
        self.seen.append((view.step, view.indices, view.labels))
        return Chosen(torch.arange(batch_size), notes={"last": True})


def run(trial):
    store = Kept()
    execute([trial], store)
    assert not store.failures, store.failures
    return store


def plain_sgd(trial, steps):
    """The weights after ``steps`` on every batch of each pass, written out."""
    streams, plan = trial.streams, trial.plan
    network = trial.working().network
    network.train()
    optimizer = trial.recipe.make_optimizer(network)
    per_pass = len(trial.training) // plan.candidates
    for step in range(steps):
        number, place = divmod(step, per_pass)
        order = torch.randperm(len(trial.training), generator=streams.generator("order", number))
        batch = trial.training[order][place * plan.candidates : (place + 1) * plan.candidates]
        kept = torch.rand(len(batch), 8, generator=streams.generator("mask", step)) >= 0.5
        inputs = trial.pool.inputs.gather(batch, torch.device("cpu"))
        loss = F.cross_entropy(network(inputs, [kept.float() * 2]), trial.pool.labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.state_dict()


@pytest.mark.parametrize(
    "selection",
    [Uniform(), Scored(Loss(), TopB()), Scored(GradientNorm(), TopB())],
    ids=["uniform", "loss", "gradient_norm"],
)
def test_with_as_many_candidates_as_points_a_step_it_is_plain_sgd_to_the_bit(selection):
    recipe = StepRecipe(optimizer="adamw", learning_rate=0.01, batch_size=8)
    budget = StepBudget(passes=2, candidates=8, evaluate_every=5)
    expected = plain_sgd(make_trial(selection, recipe=recipe, budget=budget), 5)
    store = run(make_trial(selection, recipe=recipe, budget=budget))
    assert store.rows[1]["total_steps"] == 5
    found = store.checkpoint(1)["weights"][0]
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    untrained = store.checkpoint(0)["weights"][0]
    assert not torch.equal(found["output.weight"], untrained["output.weight"])


@pytest.mark.slow
def test_every_arm_sees_the_same_candidates_at_the_same_step():
    shown = []
    for model in (None, SAMPLES):
        first = First([])
        run(make_trial(first, model=model))
        shown.append(first.seen)
    assert [step for step, _, _ in shown[0]] == list(range(9))
    for (_, one, _), (_, other, _) in zip(*shown, strict=True):
        assert torch.equal(one, other)


def test_a_pass_shows_every_training_point_once_and_drops_what_is_left_over():
    first = First([])
    trial = make_trial(first)
    store = run(trial)
    assert (len(trial.training), trial.plan.steps_per_pass) == (60, 3)
    for number in range(3):
        indices = torch.cat([indices for _, indices, _ in first.seen[3 * number : 3 * number + 3]])
        assert len(indices.unique()) == 48
        assert torch.isin(indices, trial.training).all()
    for _, indices, labels in first.seen:
        assert torch.equal(labels, trial.pool.labels[indices])
    assert [row["total_steps"] for row in store.rows] == [0, 3, 6, 9]
    assert [row["steps"] for row in store.rows] == [0, 3, 3, 3]
    assert [row["candidates_seen"] for row in store.rows] == [0, 48, 96, 144]
    assert store.reasons == ["budget"]


def test_shares_of_the_chosen_are_those_of_a_plain_count():
    first = First([])
    trial = make_trial(first)
    rows = run(trial).rows
    pool, before = trial.pool, set()
    for number in range(3):
        wrong = seen = 0
        classes = [0, 0, 0]
        for _, indices, _ in first.seen[3 * number : 3 * number + 3]:
            chosen = indices[:4].tolist()
            wrong += sum(int(pool.labels[i]) != int(pool.true_labels[i]) for i in chosen)
            seen += sum(i in before for i in chosen)
            for i in chosen:
                classes[int(pool.labels[i])] += 1
            before |= set(chosen)
        row = rows[number + 1]
        assert row["selected_wrong"] == wrong / 12
        assert row["selected_seen"] == seen / 12
        assert row["selected_class_counts"] == classes
        assert 0 <= row["selected_known"] <= 1
        assert row["notes"] == '{"last": true}'
    assert rows[0]["selected_wrong"] is None
    assert rows[0]["selected_class_counts"] is None


def test_points_of_classes_that_the_test_set_lacks_and_of_other_origins_are_outside():
    pool = make_pool()
    foreign = torch.arange(len(pool)) % 4 == 0
    pool = dataclasses.replace(pool, origin=foreign.long(), origins=("made_up", "other"))
    trial = make_trial(first := First([]), pool=pool)
    trial = make_trial(
        first,
        pool=pool,
        test=dataclasses.replace(trial.test, labels=torch.zeros(120, dtype=torch.int64)),
    )
    rows = run(trial).rows
    chosen = torch.cat([indices[:4] for _, indices, _ in first.seen[:3]])
    outside = foreign[chosen] | (pool.true_labels[chosen] != 0)
    assert rows[1]["selected_outside"] == pytest.approx(float(outside.double().mean()))


@pytest.mark.parametrize(
    ("selection", "model"),
    [
        (Scored(Loss(), TopB()), None),
        (GradientNormIS(), None),
        (Scored(InformationGain(), TopB()), SAMPLES),
    ],
    ids=["loss", "gradient_norm_is", "information_gain"],
)
def test_from_every_checkpoint_it_goes_on_to_the_bit(selection, model):
    recipe = StepRecipe(batch_size=4, optimizer="sgd", momentum=0.9, schedule=Cosine())
    make = lambda: make_trial(selection, model=model, recipe=recipe)  # noqa: E731
    whole = run(make())
    for round in range(len(whole.rows)):
        trial = make()
        trial.restore(whole.rows[: round + 1], [], whole.checkpoint(round))
        assert trial.finished == (round == 3)
        rest = Kept()
        execute([trial], rest)
        assert without_seconds(rest.rows) == without_seconds(whole.rows[round + 1 :])
    with pytest.raises(AlBenchError, match="has left no weights to go on from"):
        make().restore(whole.rows[:2], [])
    again = run(make())
    assert again.checkpoints == whole.checkpoints


@pytest.mark.parametrize(
    ("selection", "said"),
    [(Uniform(), "The training loss became"), (Scored(Loss(), TopB()), "The network predicts NaN")],
    ids=["seen by the step", "seen by the selection"],
)
def test_a_loss_that_is_not_finite_ends_the_trial_and_keeps_the_rounds_before(selection, said):
    recipe = StepRecipe(batch_size=4, optimizer="sgd", learning_rate=1e30)
    store = Kept()
    trial, other = make_trial(selection, recipe=recipe), make_trial(Uniform(), seed=1)
    execute([trial, other], store)
    assert [row["round"] for row in store.rows] == [0, 0, 1, 2, 3]  # its first, then the other's
    (error,) = store.failures
    assert isinstance(error, TrainingError)
    assert said in str(error)
    assert "learning_rate" in str(error)


@dataclass(frozen=True)
class Broken:
    """Answers what it is told to."""

    answer: Chosen
    needs: ClassVar[frozenset[str]] = frozenset()

    def choose(self, view, batch_size, generator):
        return self.answer


def test_what_is_no_choice_is_told_with_what_was_asked_for():
    store = Kept()
    execute([make_trial(Broken(Chosen(torch.tensor([0, 0, 1, 2]))))], store)
    (error,) = store.failures
    assert "must choose 4 of 16 candidates" in str(error)
    assert len(store.rows) == 1


def test_weights_of_points_multiply_their_losses():
    halves = Broken(Chosen(torch.arange(4), torch.full((4,), 0.5)))
    recipe = StepRecipe(batch_size=4, optimizer="sgd", learning_rate=0.1)
    budget = StepBudget(steps=1, candidates=16)
    half = run(make_trial(halves, recipe=recipe, budget=budget)).checkpoint(1)
    slower = dataclasses.replace(recipe, learning_rate=0.05)
    plain = run(make_trial(Broken(Chosen(torch.arange(4))), recipe=slower, budget=budget))
    for name, value in half["weights"][0].items():
        torch.testing.assert_close(value, plain.checkpoint(1)["weights"][0][name])


def test_a_step_shows_and_trains_on_the_same_changed_inputs():
    pool = make_pool()
    images = dataclasses.replace(pool.inputs, values=pool.inputs.values.reshape(-1, 1, 2, 2))
    pool = dataclasses.replace(pool, inputs=images)
    recipe = StepRecipe(batch_size=4, augment=CropFlip(padding=1))
    one = run(make_trial(Uniform(), pool=pool, recipe=recipe))
    other = run(make_trial(Uniform(), pool=pool, recipe=dataclasses.replace(recipe, augment=None)))
    assert one.rows[0]["test_nll"] == other.rows[0]["test_nll"]
    assert one.rows[-1]["test_nll"] != other.rows[-1]["test_nll"]


def test_a_target_on_validation_ends_it_early():
    budget = StepBudget(passes=3, candidates=16, validation_size=20, target_accuracy=0.01)
    store = run(make_trial(Uniform(), budget=budget))
    assert [row["round"] for row in store.rows] == [0]
    assert store.reasons == ["target accuracy"]


# What is set apart.


def test_training_holdout_and_validation_share_no_point_and_no_copy():
    pool = apply_transforms(make_pool(), [Repeat(copies=3)], Streams(0))
    budget = StepBudget(candidates=16, validation_size=10)
    trial = make_trial(Uniform(), pool=pool, budget=budget)
    sources = [
        set(pool.source_index[indices].tolist())
        for indices in (trial.training, trial.holdout.indices, trial.validation)
    ]
    assert [len(found) for found in sources] == [55, 55, 10]
    assert len(set.union(*sources)) == 120
    assert len(trial.training) == 3 * 55


def test_the_holdout_has_clean_labels_unless_told_otherwise():
    for labels in ("clean", "pool"):
        budget = StepBudget(candidates=16, holdout_labels=labels)
        trial = make_trial(Uniform(), budget=budget)
        there = {"clean": trial.pool.true_labels, "pool": trial.pool.labels}[labels]
        assert torch.equal(trial.holdout.labels, there[trial.holdout.indices])


def test_points_of_another_data_set_are_put_aside_when_drawn_for_a_clean_holdout():
    pool = make_pool()
    half = torch.arange(120) >= 60
    pool = dataclasses.replace(pool, origin=half.long(), origins=("made_up", "other"))
    clean, other = (
        make_trial(
            Uniform(), pool=pool, budget=StepBudget(candidates=16, holdout_labels=labels)
        )
        for labels in ("clean", "pool")
    )  # fmt: skip
    assert torch.equal(clean.training, other.training)
    assert 0 < pool.origin[clean.training].sum() < 60
    assert bool((pool.origin[clean.holdout.indices] == 0).all())
    assert len(clean.holdout) + clean.num_put_aside == len(other.holdout) == 60
    assert (len(clean.holdout), other.num_put_aside) == (
        int((~half[other.holdout.indices]).sum()),
        0,
    )


def test_classes_leave_the_holdout_but_not_the_training_set():
    few = make_trial(Uniform(), budget=StepBudget(candidates=16, holdout_classes=[1]))
    full = make_trial(Uniform(), budget=StepBudget(candidates=16))
    assert torch.equal(few.training, full.training)
    assert set(few.holdout.labels.tolist()) == {1}
    assert 0 < len(few.holdout) < len(full.holdout) == 60


def test_no_holdout_leaves_the_whole_pool():
    trial = make_trial(Uniform(), budget=StepBudget(candidates=16, holdout_size=0))
    assert (len(trial.training), len(trial.holdout)) == (120, 0)


@pytest.mark.parametrize(
    ("budget", "batch_size", "said"),
    [
        ({"holdout_size": 121}, 4, "holdout_size=121 is more than the 120"),
        ({"holdout_size": 120}, 4, "holdout_size=120 leaves no point to train on"),
        ({"validation_size": 121}, 4, "validation_size=121 is more than the 120"),
        ({"candidates": 61}, 4, "candidates=61 is more than the 60 training points"),
        ({"candidates": 8}, 9, "batch_size=9 is more than the 8 candidates"),
        ({"steps": 5, "evaluate_every": 6}, 4, "evaluate_every=6 is more than all 5 steps"),
        ({"holdout_classes": [3]}, 4, "holdout_classes has 3"),
    ],
)
def test_what_does_not_fit_the_pool_is_refused(budget, batch_size, said):
    with pytest.raises(ConfigError, match=said):
        make_trial(Uniform(), budget=StepBudget(**budget), recipe=StepRecipe(batch_size=batch_size))


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"passes": 3, "steps": 9}, "Give one of passes and steps"),
        ({"holdout_size": 1.0}, "holdout_size must be a number"),
        ({"holdout_size": -1}, "holdout_size must be a whole number"),
        ({"holdout_labels": "dirty"}, "holdout_labels=dirty is unknown"),
        ({"holdout_classes": []}, "keeps none"),
        ({"target_accuracy": 0.9}, "needs a validation set"),
        ({"passes": 0}, "passes must be a whole number"),
        ({"evaluate_every": 0}, "evaluate_every must be a whole number"),
    ],
)
def test_what_is_no_budget_is_refused(budget, said):
    with pytest.raises(ConfigError, match=said):
        StepBudget(**budget)


@pytest.mark.parametrize(
    ("size", "candidates", "steps_per_pass", "total"),
    [(30_000, 320, 93, 930), (648, 162, 4, 300), (100, 32, 3, 300), (20, 20, 1, 300)],
)
def test_defaults_follow_the_size_of_the_training_set(size, candidates, steps_per_pass, total):
    plan = StepBudget().plan(size, min(32, size))
    found = (plan.candidates, plan.steps_per_pass, plan.total, plan.stretch)
    assert found == (candidates, steps_per_pass, total, steps_per_pass)
