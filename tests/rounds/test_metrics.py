"""Metrics are those of scikit-learn and of their definitions."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import al_bench
from al_bench.commands.rerun import different
from al_bench.errors import TrainingError
from al_bench.information.entropies import predictive_log_probs
from al_bench.results import schema
from al_bench.rounds import metrics
from al_bench.rounds.joint import JOINT
from al_bench.stats import summary


def random_predictions(seed, n=200, num_classes=5):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, num_classes, generator=generator, dtype=torch.float64)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator).squeeze(1)
    return logits.log_softmax(dim=1), labels


def test_every_stored_test_metric_is_there():
    log_probs, labels = random_predictions(0)
    stored = {name for name in schema.CURVE.names if name.startswith("test_")}
    found = {f"test_{name}" for name in metrics.evaluate(log_probs, labels)}
    assert found | {*JOINT} == stored


def test_metrics_agree_with_scikit_learn():
    from sklearn import metrics as oracle

    log_probs, labels = random_predictions(1)
    labels[labels == 3] = 2  # class 3 is predicted, but never right
    result = metrics.evaluate(log_probs, labels)
    probs, predicted = log_probs.exp().numpy(), log_probs.argmax(dim=1).numpy()
    one_hot = torch.nn.functional.one_hot(labels, 5).numpy()

    assert result["accuracy"] == pytest.approx(oracle.accuracy_score(labels, predicted))
    with pytest.warns(UserWarning, match="not in y_true"):
        balanced = oracle.balanced_accuracy_score(labels, predicted)
    assert result["balanced_accuracy"] == pytest.approx(balanced)
    assert result["macro_f1"] == pytest.approx(
        oracle.f1_score(labels, predicted, average="macro", zero_division=0)
    )
    assert result["nll"] == pytest.approx(oracle.log_loss(labels, probs, labels=range(5)))
    assert result["brier"] == pytest.approx(
        sum(oracle.brier_score_loss(one_hot[:, c], probs[:, c]) for c in range(5))
    )


def test_nll_of_an_impossible_class_is_clipped_as_scikit_learn_clips_it():
    from sklearn.metrics import log_loss

    probs = torch.tensor([[1.0, 0.0, 0.0], [0.25, 0.5, 0.25]], dtype=torch.float64)
    result = metrics.evaluate(probs.log(), torch.tensor([1, 1]))
    assert result["nll"] == pytest.approx((-math.log(metrics.EPSILON) + math.log(2)) / 2)
    assert result["nll"] == pytest.approx(log_loss([1, 1], probs.numpy(), labels=range(3)))
    assert result["entropy"] == pytest.approx(1.5 * math.log(2) / 2)
    assert result["brier"] == pytest.approx((2.0 + 0.375) / 2)


def test_calibration_matches_numbers_worked_out_by_hand():
    # Four intervals of width 0.25; 0.5 belongs to the second, (0.25, 0.5].
    top = torch.tensor([0.5, 0.5, 0.6, 0.7, 0.9], dtype=torch.float64)
    log_probs = torch.stack([top, 1 - top], dim=1).log()
    labels = torch.tensor([0, 1, 0, 0, 1])
    result = metrics.evaluate(log_probs, labels, bins=4)
    assert result["calibration_count"] == [0, 2, 2, 1]
    assert result["calibration_confidence"] == [None, *map(pytest.approx, (0.5, 0.65, 0.9))]
    assert result["calibration_accuracy"] == [None, 0.5, 1.0, 0.0]
    assert result["ece"] == pytest.approx((2 * 0.0 + 2 * 0.35 + 1 * 0.9) / 5)


@pytest.mark.parametrize("bins", [1, 3, 10, 15])
def test_a_confidence_on_an_edge_belongs_to_the_interval_it_closes(bins):
    for edge in range(1, bins + 1):
        top = edge / bins
        rest = (1 - top) / 20
        probs = torch.tensor([[top] + [rest] * 20], dtype=torch.float64)
        counts = metrics.evaluate(probs.log(), torch.tensor([0]), bins=bins)["calibration_count"]
        assert counts.index(1) == edge - 1
        above = torch.tensor([[top + 1e-5] + [rest] * 20], dtype=torch.float64)
        counts = metrics.evaluate(above.log(), torch.tensor([0]), bins=bins)["calibration_count"]
        assert counts.index(1) == min(edge, bins - 1)


@pytest.mark.slow
@settings(max_examples=40)
@given(
    votes=st.integers(1, 30),
    more=st.integers(0, 30),
    bins=st.integers(1, 30),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_shares_of_votes_are_in_the_interval_of_the_exact_fraction(votes, more, bins, dtype):
    num_samples = votes + more
    chosen = torch.zeros(num_samples, 31, dtype=dtype)
    chosen[:votes, 0] = 1.0
    chosen[torch.arange(votes, num_samples), torch.arange(1, more + 1)] = 1.0  # one vote each
    exact = -(-votes * bins // num_samples) - 1  # intervals are open below and closed above
    result = metrics.evaluate(chosen.log()[None], torch.tensor([0]), bins=bins)
    assert result["calibration_count"].index(1) == exact
    halves = torch.tensor([0.7, 0.5], dtype=dtype)  # their mean is on an edge of 5, 10, 15
    samples = torch.stack([halves, 1 - halves], dim=1).log()[None]
    assert metrics.evaluate(samples, torch.tensor([0]), bins=5)["calibration_count"][2] == 1


def test_equal_probabilities_predict_the_first_class():
    log_probs = torch.full((3, 4), 0.25).log()
    log_probs[2] = torch.tensor([0.1, 0.1, 0.4, 0.4]).log()
    result = metrics.evaluate(log_probs, torch.tensor([0, 1, 2]))
    assert result["accuracy"] == pytest.approx(2 / 3)
    assert result["class_accuracy"] == [1.0, 0.0, 1.0, None]


def test_balanced_accuracy_weighs_classes_not_points():
    log_probs = torch.tensor([[0.9, 0.1]]).log().expand(10, 2)
    labels = torch.tensor([0] * 9 + [1])
    result = metrics.evaluate(log_probs, labels)
    assert result["accuracy"] == pytest.approx(0.9)
    assert result["balanced_accuracy"] == pytest.approx(0.5)
    assert result["class_accuracy"] == [1.0, 0.0]


def test_predictive_averages_probabilities_not_log_probabilities():
    log_probs = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]]).log()
    assert predictive_log_probs(log_probs).exp() == pytest.approx(torch.tensor([[0.75, 0.25]]))


def test_predictive_keeps_a_class_that_every_sample_excludes_impossible():
    log_probs = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]).log()
    assert predictive_log_probs(log_probs)[0, 1] == -math.inf


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31), chunk=st.integers(1, 40))
def test_chunks_give_the_metrics_of_the_whole(seed, chunk):
    generator = torch.Generator().manual_seed(seed)
    log_probs = torch.randn(40, 3, 4, generator=generator).log_softmax(dim=-1)
    labels = torch.randint(4, (40,), generator=generator)
    joined = torch.cat([predictive_log_probs(part) for part in log_probs.split(chunk)])
    whole, parts = metrics.evaluate(log_probs, labels), metrics.evaluate(joined, labels)
    assert {k: v for k, v in parts.items() if isinstance(v, float)} == pytest.approx(
        {k: v for k, v in whole.items() if isinstance(v, float)}
    )
    assert parts["calibration_count"] == whole["calibration_count"]


def test_a_nan_prediction_fails_the_trial():
    log_probs, labels = random_predictions(2, n=4)
    log_probs[1] = math.nan
    with pytest.raises(TrainingError, match="NaN for 1 of 4"):
        metrics.evaluate(log_probs, labels)


@pytest.mark.parametrize(("shape", "num_labels"), [((4,), 4), ((4, 2), 3), ((0, 2), 0)])
def test_shapes_that_do_not_fit_are_refused(shape, num_labels):
    with pytest.raises(ValueError, match="must have shape"):
        metrics.evaluate(torch.zeros(shape), torch.zeros(num_labels, dtype=torch.int64))


@pytest.mark.slow
def test_rows_say_by_which_definitions_they_were_measured(quick):
    curves = al_bench.run(*quick, "seeds=1")
    assert curves["metrics_version"].tolist() == [metrics.VERSION] * len(curves)
    reference = Path(__file__).parents[2] / "results" / "reference"
    one = next(reference.rglob("curves/seed=0.parquet"))
    before = al_bench.read_curves(one)
    assert before["metrics_version"].isna().all()
    assert "metrics_version" not in summary.metrics(curves)
    unversioned = curves.assign(metrics_version=before["metrics_version"].iloc[:1])
    assert different(unversioned, curves) == []
    changed = unversioned.assign(test_ece=2.0)
    assert [line.split(":")[0] for line in different(changed, curves)] == [
        "test_ece",
        "metrics_version",
    ]
