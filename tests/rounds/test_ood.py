"""Out-of-distribution evaluation: which scores there are, what they are worth, what they touch."""

import json
import math

import numpy as np
import pytest
import torch

from al_bench.data.beside import beside
from al_bench.data.digits import Digits
from al_bench.rounds.detection import detection
from al_bench.rounds.evaluation import evaluate, validate
from al_bench.rounds.histograms import BINS, histogram
from al_bench.rounds.ood import SCORES
from al_bench.running import notebook
from al_bench.tracking.base import metrics
from al_bench.training.trainer import SequentialTrainer

COLUMNS = ("ood", "ood_histograms")
TIMES = ("seconds_evaluate", "peak_memory_bytes")


@pytest.fixture
def noise(tmp_path):
    """Arrays of digits' shape that hold noise, as a word of ``evaluation.ood``."""
    generator = np.random.default_rng(0)
    halves = {
        "train": generator.random((12, 1, 8, 8), dtype=np.float32),
        "test": generator.normal(size=(60, 1, 8, 8)).astype(np.float32),
    }
    arrays = {f"x_{half}": x for half, x in halves.items()}
    arrays |= {f"y_{half}": np.arange(len(x)) % 3 for half, x in halves.items()}
    np.savez(tmp_path / "noise.npz", **arrays)
    return f"{{arrays: {{path: {tmp_path / 'noise.npz'}, standardize: false}}}}"


def fitted(trial):
    trial = next(iter(SequentialTrainer(lambda _: None).fit([trial])))
    return trial[1].posterior


def evaluated(posterior, trial):
    return evaluate(posterior, trial, validate(posterior, trial))


def log_probs_of(posterior, inputs):
    shown = inputs.gather(torch.arange(len(inputs)), torch.device("cpu"))
    return posterior.log_probs(shown).double()


def brute_force(posterior, inputs):
    """Scores of the test inputs by their definitions."""
    shown = inputs.gather(torch.arange(len(inputs)), torch.device("cpu"))
    p = log_probs_of(posterior, inputs).exp()
    mean = p.mean(dim=1)
    entropy = -(mean * mean.log()).sum(dim=1)
    return {
        "entropy": entropy,
        "max_probability": 1 - mean.amax(dim=1),
        "mutual_information": entropy + (p * p.log()).sum(dim=2).mean(dim=1),
        "energy": -posterior.logits(shown).double().exp().sum(dim=1).log(),  # of the mean network
    }


@pytest.mark.slow
def test_scores_are_those_of_the_definitions(make_trials, noise):
    (trial,) = make_trials(f"evaluation.ood=[{noise}]", "seeds=1")
    posterior = fitted(trial)
    row = evaluated(posterior, trial)
    (other,) = trial.run.ood
    own = brute_force(posterior, trial.test.inputs)
    others = brute_force(posterior, other.inputs)
    assert [entry["score"] for entry in row["ood"]] == list(own)
    for entry in row["ood"]:
        assert entry["dataset"] == "noise"
        wanted = detection(own[entry["score"]], others[entry["score"]])
        found = {name: entry[name] for name in wanted}
        assert found == pytest.approx(wanted, abs=2e-4)


@pytest.mark.parametrize("gaps", [(18.0, 14.0), (22.0, 16.0), (26.0, 20.0)])
def test_confident_networks_are_told_apart_by_their_largest_probability(gaps):
    generator = torch.Generator().manual_seed(0)
    own, others = (torch.randn(500, 10, generator=generator) for _ in gaps)
    wanted, found = [], []
    for logits, gap in zip((own, others), gaps, strict=True):
        logits[:, 0] += gap
        exact = logits.double().softmax(dim=1)
        wanted.append(exact[:, 1:].sum(dim=1))
        log_probs = logits.log_softmax(dim=1)[:, None]
        found.append(SCORES["max_probability"].of(None, logits, log_probs))
    assert detection(*found) == pytest.approx(detection(*wanted), abs=1e-6)


@pytest.mark.slow
def test_test_halves_are_compared_in_the_runs_own_normalization(make_trials, noise):
    (trial,) = make_trials(f"evaluation.ood=[{noise}]", "seeds=1")
    (other,) = trial.run.ood
    assert len(other.inputs) == 60  # of 12 for training
    own = Digits().load()
    assert beside(own, own, "digits").test.inputs.values is own.test.inputs.values


@pytest.mark.slow
def test_nothing_else_of_a_round_depends_on_it(make_trials, noise):
    rows = []
    for words in ([], [f"evaluation.ood=[{noise}]"]):
        (trial,) = make_trials(*words, "seeds=1", "strategy=bald")
        posterior = fitted(trial)
        row = evaluated(posterior, trial)
        row |= {"num_queried": len(trial.labeled), "acquired": trial.select(posterior, row | {
            "num_queried": len(trial.labeled)}).acquired}  # fmt: skip
        rows.append({name: value for name, value in row.items() if name not in TIMES})
    without, with_other = rows
    assert [without[name] for name in COLUMNS] == [None, None]
    assert {**with_other, **dict.fromkeys(COLUMNS)} == without


@pytest.mark.slow
def test_one_sample_has_no_mutual_information(make_trials, noise):
    (trial,) = make_trials("evaluation.num_samples=1", f"evaluation.ood=[{noise}]", "seeds=1")
    row = evaluated(fitted(trial), trial)
    assert "mutual_information" not in [entry["score"] for entry in row["ood"]]


@pytest.mark.slow
def test_energy_and_density_are_scores_of_models_that_have_them(noise):
    words = ["training.max_epochs=1", "training.epoch_size=128", "seeds=1", "strategy=entropy"]
    words += ["model/network=mlp", "model.network.hidden=[16]", f"evaluation.ood=[{noise}]"]
    (trial,) = notebook.trials("model=ddu", *words)
    posterior = fitted(trial)
    row = evaluated(posterior, trial)
    entries = {entry["score"]: entry for entry in row["ood"]}
    assert list(entries) == ["entropy", "max_probability", "energy", "density"]
    sets = [trial.test.inputs, trial.run.ood[0].inputs]
    shown = [inputs.gather(torch.arange(len(inputs)), torch.device("cpu")) for inputs in sets]
    energies = [-posterior.logits(inputs).double().exp().sum(dim=1).log() for inputs in shown]
    logs = [posterior.log_density(inputs) for inputs in shown]
    for score, (inliers, outliers) in (("energy", energies), ("density", [-log for log in logs])):
        assert entries[score]["auroc"] == pytest.approx(detection(inliers, outliers)["auroc"])
    counts = json.loads(row["ood_histograms"])["log_density"]["counts"]
    assert [sum(each) for each in counts.values()] == [len(log) for log in logs]


@pytest.mark.slow
def test_the_energy_of_gaussian_logits_is_that_of_their_mean_field(noise):
    words = ["training.max_epochs=1", "training.epoch_size=128", "seeds=1", "strategy=entropy"]
    words += ["model.num_features=64", "model/network=mlp", "model.network.hidden=[16]"]
    (trial,) = notebook.trials("model=sngp", *words, f"evaluation.ood=[{noise}]")
    posterior = fitted(trial)
    row = evaluated(posterior, trial)
    own, others = (brute_force(posterior, data.inputs) for data in (trial.test, trial.run.ood[0]))
    assert [entry["score"] for entry in row["ood"]] == list(own)
    for entry in row["ood"]:
        wanted = detection(own[entry["score"]], others[entry["score"]])
        assert {name: entry[name] for name in wanted} == pytest.approx(wanted, abs=2e-3)


@pytest.mark.slow
def test_histograms_count_every_point_once(make_trials, noise):
    (trial,) = make_trials(f"evaluation.ood=[{noise}]", "seeds=1")
    posterior = fitted(trial)
    row = evaluated(posterior, trial)
    found = json.loads(row["ood_histograms"])["entropy"]
    assert (found["low"], found["high"]) == (0.0, pytest.approx(math.log(10)))
    assert {name: sum(counts) for name, counts in found["counts"].items()} == {
        "digits": len(trial.test),
        "noise": 60,
    }
    values = brute_force(posterior, trial.test.inputs)["entropy"].numpy()
    wanted, _ = np.histogram(values, BINS, (0, math.log(10)))
    assert np.abs(wanted - found["counts"]["digits"]).sum() <= 2  # rounding at an edge


@pytest.mark.slow
def test_log_densities_of_few_labels_are_spread_over_the_bins(noise):
    words = ["training.max_epochs=1", "training.epoch_size=128", "seeds=1", "strategy=ddu"]
    words += ["model/network=mlp", "model.network.hidden=[64]", "budget.init_size=40"]
    (trial,) = notebook.trials("model=ddu", *words, f"evaluation.ood=[{noise}]")
    posterior = fitted(trial)
    found = json.loads(evaluated(posterior, trial)["ood_histograms"])["log_density"]
    values = posterior.log_density(trial.test.inputs.gather(
        torch.arange(len(trial.test)), torch.device("cpu"))).numpy()  # fmt: skip
    assert np.median(values) < -1e10  # there are more features than labels
    inside = values.clip(found["low"], found["high"])
    wanted, _ = np.histogram(inside, BINS, (found["low"], found["high"]))
    assert np.abs(wanted - found["counts"]["digits"]).sum() <= 2
    assert max(wanted) < len(values) / 2


@pytest.mark.parametrize("scale", [1e15, 1e17, 1e30])
def test_bins_are_as_fine_wherever_the_values_are(scale):
    values = torch.linspace(-3, -1, 400, dtype=torch.float64)
    small, large = histogram({"own": values}), histogram({"own": scale * values})
    assert large["low"] == pytest.approx(scale * small["low"])
    off = np.subtract(large["counts"]["own"], small["counts"]["own"])
    assert np.abs(off).sum() <= 2  # rounding at an edge
    same = histogram({"own": torch.full((5,), -scale, dtype=torch.float64)})
    assert same["low"] < -scale < same["high"]
    assert sum(same["counts"]["own"]) == 5


def test_bins_follow_the_runs_own_values_and_are_open_at_their_ends():
    own = torch.linspace(-1, 1, 101)
    far = torch.full((50,), -1e17)
    found = histogram({"own": own, "far": far, "near": own + 1})
    assert found["high"] == pytest.approx(1.98)
    assert found["low"] == pytest.approx(-0.98 - 4 * 1.96)
    assert found["counts"]["far"] == [50] + [0] * (BINS - 1)
    assert sum(found["counts"]["near"]) == 101
    same = histogram({"own": torch.zeros(5), "other": torch.full((3,), -torch.inf)})
    assert same["low"] < 0 < same["high"]
    assert sum(same["counts"]["other"]) == 3


@pytest.mark.slow
def test_trackers_are_told_of_each_metric(make_trials, noise):
    (trial,) = make_trials(f"evaluation.ood=[{noise}]", "seeds=1")
    row = evaluated(fitted(trial), trial)
    shown = metrics(row)
    assert shown["ood_auroc_entropy_noise"] == row["ood"][0]["auroc"]
    assert sum(name.startswith("ood_") for name in shown) == 12
