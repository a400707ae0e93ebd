import dataclasses

import pytest
import torch

from al_bench.errors import AlBenchError, ConfigError
from al_bench.models.base import SAMPLES
from al_bench.strategies.scores import bald, entropy
from al_bench.training.trainer import fit_one
from al_bench.view import View


@pytest.fixture
def trial(make_trials):
    return make_trials("strategy=bald", "seeds=1")[0]


@pytest.fixture
def posterior(trial):
    return fit_one(trial).posterior


def test_streamed_scores_equal_scores_of_the_whole_tensor(trial, posterior):
    streamed = View(trial, posterior, trial.run.strategy).score([bald, entropy])
    whole = View(trial, posterior, trial.run.strategy)
    whole.log_probs()
    held = whole.score([bald, entropy])
    for one, other in zip(streamed, held, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_chunks_do_not_change_what_a_view_shows(trial, posterior):
    plain = View(trial, posterior, trial.run.strategy).log_probs()
    run = trial.run
    trial.run = dataclasses.replace(run, engine=dataclasses.replace(run.engine, chunk_bytes=2**17))
    small = View(trial, posterior, trial.run.strategy).log_probs()
    torch.testing.assert_close(plain, small, rtol=0, atol=1e-5)
    assert plain.shape == (1277, 4, 10)


def test_fewer_samples_are_the_first_ones(trial, posterior):
    view = View(trial, posterior, trial.run.strategy)
    few = view.log_probs(2)
    torch.testing.assert_close(
        few, View(trial, posterior, trial.run.strategy).log_probs()[:, :2], rtol=0, atol=1e-5
    )
    with pytest.raises(ConfigError, match="asks for 5 posterior samples; the model has 4"):
        view.log_probs(5)


def test_positions_stand_for_available_pool_points(trial, posterior):
    view = View(trial, posterior, trial.run.strategy)
    assert len(view) == 1297 - 20
    assert not set(view.indices.tolist()) & set(trial.labeled)
    positions = torch.tensor([5, 0, 9])
    shown = trial.pool.inputs.gather(view.indices[positions], torch.device("cpu"))
    assert torch.equal(view.inputs(positions), shown)
    assert view.features().shape[0] == len(view)
    assert view.labeled_features().shape == (20, view.features().shape[1])
    assert torch.equal(view.labels(), trial.pool.labels[torch.tensor(trial.labeled)])


class SameSamples:
    """A broken posterior: its samples are one function."""

    num_samples = 4
    provides = frozenset({SAMPLES})

    def log_probs(self, inputs, num_samples=None):
        return torch.full((len(inputs), num_samples or 4, 10), 0.1).log()

    def chunk_size(self, input_shape, chunk_bytes):
        return 100


def test_identical_samples_stop_a_strategy_that_compares_them(trial):
    with pytest.raises(AlBenchError, match="All 4 posterior samples are identical"):
        View(trial, SameSamples(), trial.run.strategy).score([bald])


def test_scoring_and_selecting_leave_the_model_as_it_was(trial, posterior):
    view = View(trial, posterior, trial.run.strategy)
    before = view.log_probs().clone()
    trial.run.strategy.select(
        View(trial, posterior, trial.run.strategy), 10, torch.Generator().manual_seed(0)
    )
    assert torch.equal(View(trial, posterior, trial.run.strategy).log_probs(), before)
    assert torch.equal(view.log_probs(), before)


def test_a_view_reaches_no_labels_but_those_of_the_labeled_set(trial, posterior):
    view = View(trial, posterior, trial.run.strategy)
    reachable = [
        value
        for value in vars(view).values()
        if isinstance(value, torch.Tensor) and value.dtype == torch.int64
    ]
    assert all(len(value) == len(view) for value in reachable)  # the indices only
    assert not any(value is trial or value is trial.test for value in vars(view).values())
