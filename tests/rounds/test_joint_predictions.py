"""Joint losses and reweighted samples, against plain loops and Bayes by enumeration in float64."""

import dataclasses
import itertools
import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pool_views import log_probs, seeded

from al_bench.information.crossentropy import joint_cross_entropy
from al_bench.results.schema import CURVE
from al_bench.rounds import metrics
from al_bench.rounds.active_learning import ActiveLearningTrial
from al_bench.rounds.evaluation import evaluate, validate
from al_bench.rounds.joint import JOINT, LEFT_OUT, ONLINE, JointLosses, online_weights, partition
from al_bench.running import notebook
from al_bench.training.trainer import fit_one

TOGETHER = ("evaluation.joint_size=7", "evaluation.online=true")
CPU = torch.device("cpu")


@settings(max_examples=40)
@given(num_points=st.integers(1, 300), data=st.data())
def test_a_partition_has_whole_batches_and_is_always_the_same(num_points, data):
    size = data.draw(st.integers(1, num_points))
    found = partition(num_points, size)
    counts = torch.bincount(found[found != LEFT_OUT], minlength=num_points // size)
    assert counts.tolist() == [size] * (num_points // size)
    assert int((found == LEFT_OUT).sum()) == num_points % size
    assert torch.equal(partition(num_points, size), found)


def test_batches_are_drawn_from_all_of_the_test_set():
    """Sorted test sets have all of a class in a row: neighbours must not share a batch."""
    batches = partition(1000, 10)
    assert torch.equal(batches.sort().values, torch.arange(1000) // 10)
    spread = torch.stack([(batches == b).nonzero().double().std() for b in range(100)])
    assert spread.min() > 100


def by_loops(predicted, labels, size):
    """Joint and single losses of the partition's batches by their definitions, per label."""
    batches = partition(len(labels), size).tolist()
    joint, single = [], []
    for batch in range(len(labels) // size):
        points = [i for i in range(len(labels)) if batches[i] == batch]
        probs = [
            [math.exp(predicted[i, k, labels[i]]) for i in points]
            for k in range(predicted.shape[1])
        ]
        joint.append(-math.log(sum(map(math.prod, probs)) / len(probs)) / size)
        single += [-sum(math.log(p[j]) for p in probs) / len(probs) for j in range(size)]
    return sum(joint) / len(joint), sum(single) / len(single)


@pytest.mark.slow
@settings(max_examples=30)
@given(
    n=st.integers(1, 30),
    k=st.integers(1, 6),
    seed=st.integers(0, 10_000),
    scale=st.sampled_from([0.1, 1.5, 4.0]),
    data=st.data(),
)
def test_losses_are_those_of_the_definitions_in_whatever_chunks(n, k, seed, scale, data):
    size, chunk = data.draw(st.integers(1, n)), data.draw(st.integers(1, n))
    predicted = log_probs(n, k, 3, seed, scale).double().log_softmax(dim=-1)
    labels = torch.randint(3, (n,), generator=seeded(seed))
    losses = JointLosses(labels, size)
    for part in torch.split(predicted, chunk):
        losses.add(part)
    found = losses.columns()
    assert tuple(found) == JOINT
    joint, single = found.values()
    assert (joint, single) == pytest.approx(by_loops(predicted, labels, size), rel=1e-9)
    assert joint <= single + 1e-12
    if size == 1:
        assert joint == pytest.approx(metrics.evaluate(predicted, labels)["nll"], rel=1e-9)
    if size == n:
        assert joint == pytest.approx(joint_cross_entropy(predicted, labels), rel=1e-9)


def test_a_label_that_is_impossible_costs_what_it_costs_the_test_loss():
    certain = torch.full((4, 2, 3), -torch.inf)
    certain[..., 0] = 0.0
    losses = JointLosses(torch.tensor([0, 1, 0, 0]), 4)
    losses.add(certain)
    assert list(losses.columns().values()) == pytest.approx([36.0437 / 4] * 2, abs=1e-4)


def shown(inputs, indices=None):
    return inputs.gather(torch.arange(len(inputs)) if indices is None else indices, CPU)


def bayes(of_points, labels):
    """p(ω_k | y): the table p(y, ω_k) of every labeling, and of it the row that was observed."""
    _, num_samples, num_classes = of_points.shape
    table = torch.full((1, num_samples), 1 / num_samples, dtype=torch.float64)
    for point in of_points.double().exp():
        table = (table[:, None] * point.T).flatten(end_dim=1)  # (labelings, K)
    assert float(table.sum()) == pytest.approx(1)
    labelings = itertools.product(range(num_classes), repeat=len(of_points))
    row = table[list(labelings).index(tuple(labels.tolist()))]
    return row / row.sum()


@pytest.fixture
def begun(make_trials):
    """A trial that buys three points a round, its posterior, and what it buys in round 0."""
    (trial,) = make_trials(*TOGETHER, "seeds=1", "strategy=bald", "budget.batch_size=3")
    posterior = fit_one(trial).posterior
    picks = trial.select(posterior, trial.row(validate(posterior, trial)))
    return trial, posterior, picks.acquired


def evaluated(posterior, trial, acquired=()):
    return evaluate(posterior, trial, validate(posterior, trial), acquired)


@pytest.mark.slow
def test_a_round_has_the_losses_of_its_posterior(begun):
    trial, posterior, acquired = begun
    row = evaluated(posterior, trial, acquired)
    predicted = posterior.log_probs(shown(trial.test.inputs))
    expected = by_loops(predicted.double(), trial.test.labels, 7)
    assert [row[name] for name in JOINT] == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
def test_labels_reweight_the_samples_as_bayes_says(begun):
    trial, posterior, acquired = begun
    row = evaluated(posterior, trial, acquired)
    bought = [entry for entry in acquired if entry["round"] == 0]
    assert len(bought) == 3
    indices = torch.tensor([entry["index"] for entry in bought])
    of_points = posterior.log_probs(shown(trial.pool.inputs, indices))
    weights = bayes(of_points, trial.pool.labels[indices])
    torch.testing.assert_close(
        online_weights(posterior, trial, acquired), weights, rtol=1e-5, atol=1e-9
    )
    probs = posterior.log_probs(shown(trial.test.inputs)).double().exp()
    after = sum(weight * probs[:, k] for k, weight in enumerate(weights))
    labels = trial.test.labels
    of_label = after[torch.arange(len(labels)), labels]
    expected = {
        "online_accuracy": float((after.argmax(dim=1) == labels).double().mean()),
        "online_nll": float(-of_label.log().mean()),
        "online_effective_samples": float(1 / weights.square().sum()),
        "online_top_weight": float(weights.max()),
    }
    assert {name: row[name] for name in ONLINE} == pytest.approx(expected, rel=1e-5)
    assert row["online_nll"] != pytest.approx(row["test_nll"], rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("refused", ["one", "all"])
def test_labels_that_are_refused_say_nothing(begun, refused):
    trial, posterior, acquired = begun
    bought = [entry for entry in acquired if entry["round"] == 0]
    gone = bought[:1] if refused == "one" else bought
    without = [entry for entry in bought if entry not in gone]
    rows = [{**entry, "label": None} if entry in gone else entry for entry in acquired]
    weights = online_weights(posterior, trial, rows)
    if without:
        assert torch.equal(weights, online_weights(posterior, trial, without))
        assert not torch.equal(weights, online_weights(posterior, trial, acquired))
        return
    assert torch.equal(weights, torch.full((4,), 0.25, dtype=torch.float64))
    row = evaluated(posterior, trial, rows)
    assert row["online_nll"] == pytest.approx(row["test_nll"], rel=1e-9)
    assert row["online_effective_samples"] == pytest.approx(4)


@pytest.mark.slow
def test_points_that_the_annotator_refuses_are_left_out_of_a_run(make_trials):
    (trial,) = make_trials(*TOGETHER, "seeds=1", "strategy=random", "budget.total=30")
    refused = torch.ones(len(trial.pool), dtype=torch.bool)
    refused[trial.initial] = False
    pool = dataclasses.replace(trial.pool, refused=refused)
    trial = ActiveLearningTrial(trial.run, trial.streams, pool, trial.targets, trial.test)
    frame = notebook.execute([trial])
    assert frame["online_effective_samples"].iloc[0] == pytest.approx(4)
    assert frame["online_top_weight"].isna().tolist() == [False, True]


class Trees:
    """Samples that are certain of what they predict, as trees are."""

    num_samples = 3

    def log_probs(self, inputs, num_samples=None):
        label = inputs.long()  # (n, K): what each tree says
        return torch.nn.functional.one_hot(label, 3).double().log().float()

    def chunk_size(self, input_shape, chunk_bytes):
        return 2


def weights_of(said, labels):
    """Of trees that say this of points (n, K) whose labels are bought."""
    inputs = SimpleNamespace(gather=lambda chosen, device: said[chosen], input_shape=(3,))
    run = SimpleNamespace(num_evaluated=lambda count: count)
    engine = SimpleNamespace(device=CPU, chunk_bytes=1)
    trial = SimpleNamespace(run=run, engine=engine, pool=SimpleNamespace(inputs=inputs))
    rows = [{"round": 0, "index": i, "label": y} for i, y in enumerate(labels)]
    return online_weights(Trees(), trial, rows).tolist()


def test_labels_that_no_sample_thinks_possible_favor_those_that_miss_fewest():
    said = torch.tensor([[0, 0, 1], [1, 2, 1], [2, 2, 2]])
    assert weights_of(said, [0, 1, 2]) == pytest.approx([1, 0, 0])
    assert weights_of(said, [0, 2, 1]) == pytest.approx([0, 1, 0])
    assert weights_of(said, [1, 1, 0]) == pytest.approx([0, 0, 1])
    assert weights_of(said, [2, 0, 0]) == pytest.approx([1 / 3] * 3)


@pytest.mark.slow
def test_nothing_else_of_a_run_depends_on_it_and_the_last_round_buys_nothing(make_trials):
    frames, labeled = [], []
    for words in ((), TOGETHER):
        (trial,) = make_trials(*words, "seeds=1", "strategy=bald", "budget.validation_size=30")
        frames.append(notebook.execute([trial]))
        labeled.append(trial.labeled)
    names = [
        name
        for name in CURVE.names
        if not name.startswith(("seconds", "peak"))
        and name not in (*JOINT, *ONLINE, "run_id", "protocol_id")
        and name in frames[0]
    ]
    assert frames[0][names].equals(frames[1][names])
    assert labeled[0] == labeled[1]
    assert frames[0][[*JOINT, *ONLINE]].isna().all().all()
    assert frames[1][list(JOINT)].notna().all().all()
    for name in ONLINE:
        assert frames[1][name].isna().tolist() == [False, False, False, True]


@pytest.mark.slow
def test_fewer_samples_are_the_first_of_more(make_trials):
    rows = []
    for words in (("model.num_samples=3",), ("model.num_samples=6", "evaluation.num_samples=3")):
        (trial,) = make_trials(*TOGETHER, "seeds=1", "strategy=random", *words)
        posterior = fit_one(trial).posterior
        picks = trial.select(posterior, trial.row(validate(posterior, trial)))
        rows.append(evaluated(posterior, trial, picks.acquired))
    for name in (*JOINT, *ONLINE):
        assert rows[0][name] == pytest.approx(rows[1][name], rel=1e-5)


@pytest.mark.slow
def test_steps_that_are_chosen_have_joint_losses_and_nothing_online():
    words = ("selection=uniform", "budget.steps=4", "budget.evaluate_every=4", "seeds=1")
    small = ("model=deterministic", "model/network=mlp", "model.network.hidden=[16]")
    frame = notebook.execute(notebook.trials(*words, *small, "evaluation.joint_size=5"))
    assert frame["test_nll_joint"].tolist() == pytest.approx(frame["test_nll_conditional"].tolist())
    assert frame[list(ONLINE)].isna().all().all()
