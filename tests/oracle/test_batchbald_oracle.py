"""BatchBALD against enumeration of every joint labeling, and against published numbers.

Kirsch et al. (2019), arXiv:1906.08158: greedy maximisation of
I[Y_1, …, Y_B; Ω] = H[Y_1, …, Y_B] - Σ_b mean_k H[Y_b | ω_k].
"""

import itertools
import math

import pytest
import torch
from pool_views import FakeView, log_probs, seeded

from al_bench.errors import ConfigError
from al_bench.information.entropies import entropy, mutual_information
from al_bench.information.joint import JointOutcomes, joint_entropy
from al_bench.strategies.batchbald import BatchBALD
from al_bench.strategies.pointwise import Pointwise
from al_bench.strategies.rules import TopB
from al_bench.strategies.scores import bald


def enumerated_entropy(predicted, batch):
    """H of the joint labels of ``batch``, over every labeling, in float64."""
    probs = predicted.double().exp()  # (N, K, C)
    num_samples, num_classes = probs.shape[1:]
    total = 0.0
    for labels in itertools.product(range(num_classes), repeat=len(batch)):
        joint = torch.ones(num_samples, dtype=torch.float64)
        for point, label in zip(batch, labels, strict=True):
            joint *= probs[point, :, label]
        p = float(joint.mean())
        total -= p * math.log(p) if p > 0 else 0.0
    return total


def enumerated_information(predicted, batch):
    conditional = entropy(predicted).mean(dim=1)
    return enumerated_entropy(predicted, batch) - float(conditional[list(batch)].sum())


def enumerated_greedy(predicted, batch_size):
    """The greedy batch with the joint information after each pick."""
    batch, information = [], []
    for _ in range(batch_size):
        left = [point for point in range(len(predicted)) if point not in batch]
        scores = [enumerated_information(predicted, [*batch, point]) for point in left]
        best = max(range(len(left)), key=scores.__getitem__)
        batch.append(left[best])
        information.append(scores[best])
    return batch, information


def select(predicted, batch_size, seed=0, **parameters):
    return BatchBALD(**parameters).select(FakeView(predicted), batch_size, seeded(seed))


@pytest.mark.parametrize(
    ("num_points", "num_samples", "num_classes", "batch_size", "scale"),
    [(8, 5, 2, 4, 1.5), (7, 12, 3, 4, 1.0), (6, 4, 4, 3, 1.5), (6, 9, 3, 3, 40.0)],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_picks_and_gains_are_those_of_enumeration(
    num_points, num_samples, num_classes, batch_size, scale, seed
):
    """Pitfall 1: the first pick is the highest BALD, and the order is the greedy order."""
    predicted = log_probs(num_points, num_samples, num_classes, seed, scale)
    batch, information = enumerated_greedy(predicted, batch_size)
    selection = select(predicted, batch_size, tolerance=0)
    assert selection.positions.tolist() == batch
    assert batch[0] == int(bald(predicted).argmax())
    assert selection.scores.cumsum(0).tolist() == pytest.approx(information, abs=2e-6)
    assert selection.notes["num_exact"] == batch_size
    assert selection.notes["monte_carlo_error"] == 0
    assert selection.notes["information"] == pytest.approx(information[-1], abs=2e-6)


def test_joint_entropy_is_that_of_enumeration():
    for seed, num_classes in itertools.product(range(3), (2, 3, 4)):
        predicted = log_probs(4, 6, num_classes, seed).double().log_softmax(-1)
        expected = enumerated_entropy(predicted, range(4))
        assert joint_entropy(predicted) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_batch_of_one_is_balds_pick_ties_included(seed):
    predicted = log_probs(6, 5, 3).repeat(3, 1, 1)  # every point three times
    one = select(predicted, 1, seed)
    top = Pointwise(bald, TopB()).select(FakeView(predicted), 1, seeded(seed))
    assert torch.equal(one.positions, top.positions)
    assert torch.equal(one.scores, top.scores)


def mixtures(start, end):
    """K = 20 posterior samples on the line between two distributions."""
    share = torch.linspace(0, 1, 20, dtype=torch.float64)[:, None]
    start, end = (torch.tensor(p, dtype=torch.float64) for p in (start, end))
    return (1 - share) * start + share * end


FAMILY_A = torch.stack(
    [
        mixtures((0.7, 0.1, 0.1, 0.1), (0.3, 0.3, 0.2, 0.2)),
        mixtures((0.1, 0.7, 0.1, 0.1), (0.2, 0.3, 0.3, 0.2)),
        mixtures((0.1, 0.1, 0.7, 0.1), (0.2, 0.2, 0.3, 0.3)),
        mixtures((0.1, 0.1, 0.1, 0.7), (0.3, 0.2, 0.2, 0.3)),
    ]
).log()
Y1 = mixtures((0.1, 0.2, 0.2, 0.5), (0.5, 0.2, 0.1, 0.2)).log()
Y2 = mixtures((0.1, 0.6, 0.2, 0.1), (0.0, 0.5, 0.5, 0.0)).log()


def test_family_a_of_the_reference_notebooks():
    conditional = entropy(FAMILY_A).mean(dim=1)
    information = mutual_information(FAMILY_A)
    assert conditional.tolist() == pytest.approx([1.206882] * 4, abs=1e-6)
    assert (information + conditional).tolist() == pytest.approx([1.237597] * 4, abs=1e-6)
    assert information.tolist() == pytest.approx([0.030716] * 4, abs=1e-6)
    assert joint_entropy(FAMILY_A) == pytest.approx(4.940279, abs=1e-6)
    for seed in range(4):  # which of the four comes first is a tie
        gains = select(FAMILY_A.float(), 4, seed).scores
        assert gains.cumsum(0).tolist() == pytest.approx(
            [0.030716, 0.059620, 0.086911, 0.112753], abs=1e-6
        )


def test_family_b_of_the_reference_notebooks():
    four = [Y1, Y2, Y1, Y2]
    assert joint_entropy(torch.stack(four)) == pytest.approx(4.647885, abs=1e-6)
    assert joint_entropy(torch.stack([*four, Y1])) == pytest.approx(5.973515, abs=1e-6)
    assert joint_entropy(torch.stack([*four, Y2])) == pytest.approx(5.636187, abs=1e-6)
    for seed in range(3):  # a tenth of the labelings
        sampled = joint_entropy(torch.stack([*four, Y1]), 100, seeded(seed))
        assert sampled == pytest.approx(5.973515, abs=0.01)


def test_uniform_predictions_of_the_reference_notebooks():
    uniform = torch.full((4, 20, 4), 0.25).log()
    assert joint_entropy(uniform) == pytest.approx(4 * math.log(4))


def test_two_equal_points_can_be_the_best_batch():
    """batchbald_redux issue 16: identical points, yet each tells more than the third would."""
    changing = [[0.1, 0.2, 0.3, 0.4], [0.15, 0.15, 0.3, 0.4]]
    steady = [[0.4, 0.3, 0.2, 0.1], [0.4, 0.3, 0.16, 0.14]]
    predicted = torch.tensor([changing, changing, steady]).log()
    for max_configurations, error in ((10_000, 1e-6), (3, 2e-5)):
        selection = select(predicted, 2, max_configurations=max_configurations)
        assert set(selection.positions.tolist()) == {0, 1}
        assert selection.scores.cumsum(0).tolist() == pytest.approx([0.004309, 0.008581], abs=error)


def full_greedy(predicted, batch_size, max_outcomes, seed):
    """Greedy with every candidate evaluated at every pick, drawing what BatchBALD draws."""
    generator = seeded(seed)
    torch.randperm(len(predicted), generator=generator)
    outcomes = JointOutcomes.none(predicted.shape[1])
    batch, left = [], torch.zeros(len(predicted), dtype=torch.float64)
    for _ in range(batch_size):
        batch.append(int((outcomes.gains(predicted) + left).argmax()))
        left[batch[-1]] = -math.inf
        outcomes = outcomes.extended(predicted[batch[-1]], max_outcomes, generator)
    return batch


@pytest.mark.parametrize("max_configurations", [10_000, 400])
@pytest.mark.parametrize("seed", range(3))
def test_lazy_greedy_picks_what_full_greedy_picks(max_configurations, seed):
    predicted = log_probs(300, 30, 5, seed, scale=0.7)
    selection = select(predicted, 7, seed, max_configurations=max_configurations)
    expected = full_greedy(predicted, 7, max_configurations, seed)
    assert selection.positions.tolist() == expected
    assert selection.notes["share_evaluated"] < 0.9


@pytest.mark.parametrize("max_configurations", [1_000, 3_000])
@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_bounds_of_merged_samples_pick_what_full_greedy_picks(max_configurations, scale):
    predicted = log_probs(250, 40, 8, seed=4, scale=scale)
    selection = select(predicted, 8, 4, max_configurations=max_configurations)
    scored = 8 - selection.notes.get("num_drawn", 0)
    assert selection.notes["num_exact"] < scored
    expected = full_greedy(predicted, scored, max_configurations, 4)
    assert selection.positions[:scored].tolist() == expected


@pytest.mark.parametrize("num_points", [9, 20])
def test_pools_of_a_few_points_are_bought_whole(num_points):
    predicted = log_probs(num_points, 40, 6, seed=2, scale=0.3)
    selection = select(predicted, 9, max_configurations=2_000)
    assert selection.positions.tolist() == full_greedy(predicted, 9, 2_000, 0)


def test_single_precision_products_pick_what_double_precision_picks():
    predicted = log_probs(120, 25, 6, seed=9, scale=1.0)
    columns = predicted.double().exp()
    posterior = torch.full((1, 25), 1 / 25, dtype=torch.float64)
    batch, chosen = [], torch.zeros(120, dtype=torch.float64)
    for _ in range(5):  # the table of joint probabilities, row by row, in float64
        joint = torch.einsum("mk,nkc->nmc", posterior, columns)
        gains = torch.special.entr(joint).sum(dim=(1, 2)) - entropy(predicted).mean(dim=1)
        batch.append(int((gains + chosen).argmax()))
        chosen[batch[-1]] = -math.inf
        posterior = (posterior[:, None] * columns[batch[-1]].T).reshape(-1, 25)
    assert select(predicted, 5).positions.tolist() == batch


@pytest.mark.slow
def test_defaults_overlap_with_exact_greedy():
    """Pitfall 2: a batch of 6 from K = 20, C = 10; too few joint samples lose half of it."""
    overlap = 0
    for seed in range(5):
        predicted = log_probs(40, 20, 10, seed, scale=1.0)
        selection = select(predicted, 6, seed)
        exact = select(predicted, 6, seed, max_configurations=10**5)
        assert selection.notes["num_exact"] == 5
        assert 0 < selection.notes["monte_carlo_error"] < 0.01
        assert exact.notes["num_exact"] == 6
        overlap += len(set(selection.positions.tolist()) & set(exact.positions.tolist()))
    assert overlap / 5 >= 5.9


def test_certain_members_are_picked_until_nothing_is_left_to_learn():
    """Pitfall 3: one-hot members give scores, not NaN, and the disagreeing points come first."""
    classes = torch.zeros(20, 4, dtype=torch.int64)
    classes[10], classes[12] = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    predicted = torch.eye(3)[classes].log()
    for seed in range(5):
        selection = select(predicted, 5, seed)
        assert set(selection.positions[:2].tolist()) == {10, 12}
        assert selection.scores[:2].tolist() == pytest.approx([math.log(2)] * 2, abs=1e-6)
        assert selection.scores[2:].isnan().all()
        assert selection.notes["information"] == pytest.approx(math.log(4))
        assert selection.notes["saturated_at"] == 2
        assert selection.notes["num_drawn"] == 3


def test_saturation_is_noted_and_information_never_exceeds_log_k():
    predicted = log_probs(200, 8, 5, scale=2.0)
    selection = select(predicted, 20)
    scored = 20 - selection.notes["num_drawn"]
    assert 0 < selection.notes["saturated_at"] <= scored
    assert selection.scores[:scored].isfinite().all()
    assert selection.scores[scored:].isnan().all()
    assert math.log(8) - 1e-4 < selection.notes["information"] <= math.log(8)
    assert len(selection.positions.unique()) == 20


def test_members_that_come_twice_do_not_prolong_the_batch():
    """Twins can never be told apart, so log K is out of reach and gains end before it."""
    predicted = log_probs(50, 4, 3, scale=6.0).repeat(1, 2, 1)
    selection = select(predicted, 50)
    assert selection.notes["information"] == pytest.approx(math.log(4), abs=1e-3)
    assert selection.notes["num_drawn"] > 0
    assert sorted(selection.positions.tolist()) == list(range(50))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_configurations": 0}, "max_configurations must be a whole number from 1, got 0"),
        ({"max_configurations": 1e4}, r"max_configurations .* got 10000\.0"),
        ({"tolerance": -0.1}, "tolerance must be a number from 0, got -0.1"),
        ({"tolerance": math.nan}, "tolerance must be"),
        ({"num_samples": 0}, "num_samples must be"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(parameters, message):
    with pytest.raises(ConfigError, match=message):
        BatchBALD(**parameters)
