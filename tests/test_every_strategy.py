"""Every file under conf/strategy on real data, through the public door."""

import functools

import pytest
import torch
from strategy_files import NAMES, assert_chosen_or_refused, built

from al_bench.models.base import DENSITY, SAMPLES
from al_bench.running import notebook
from al_bench.strategies.base import LABELS
from al_bench.training.trainer import fit_one

# Sizes at which a strategy that costs much on a pool is over in a second.
CHEAPER = {"oracle": ["strategy.candidates=2", "strategy.reference=20"]}
DIGITS = (
    "dataset=digits",
    "pool=[subset]",
    "pool.subset.size=300",
    "training.max_epochs=1",
    "training.epoch_size=64",
    "budget.batch_size=5",
    "budget.total=30",
    "seeds=1",
)


def words(name):
    """What a strategy is run with: a model that provides what it needs, on few digits."""
    needs = built(name).needs
    if DENSITY in needs:
        return ("model=ddu", *DIGITS)
    if SAMPLES in needs:
        return ("model=mc_dropout", "model.num_samples=4", *DIGITS)
    return ("model=deterministic", *DIGITS)


@functools.cache
def fitted(words):
    """A trial at its beginning, and its posterior."""
    trial = notebook.trials("strategy=random", *words)[0]
    return trial, fit_one(trial).posterior


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_chooses_on_digits_and_leaves_the_model_as_it_was(name):
    trial, posterior = fitted(words(name))
    strategy = built(name, *CHEAPER.get(name, []))
    assert strategy.needs <= posterior.provides | {LABELS}
    inputs = trial.pool.inputs.gather(torch.arange(20), torch.device("cpu"))
    before = posterior.log_probs(inputs)
    weights = {key: value.clone() for key, value in posterior.network().state_dict().items()}
    random_state = torch.random.get_rng_state()
    labeled = list(trial.labeled)

    view = trial.view(posterior, strategy)
    selection = strategy.select(view, 5, torch.Generator().manual_seed(0))

    assert len(set(selection.positions.tolist())) == 5
    assert 0 <= selection.positions.min() <= selection.positions.max() < len(view)
    assert torch.equal(before, posterior.log_probs(inputs))
    after = posterior.network().state_dict()
    assert all(torch.equal(value, after[key]) for key, value in weights.items())
    assert torch.equal(random_state, torch.random.get_rng_state())
    assert labeled == trial.labeled


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_runs_end_to_end(tmp_path, name):
    needs = built(name).needs
    curves = notebook.run(
        f"strategy={name}", f"results={tmp_path}", *words(name), *CHEAPER.get(name, [])
    )
    assert curves["num_labeled"].tolist() == [20, 25, 30]
    assert set(curves["strategy_label"].str.partition("(")[0]) == {name}
    assert bool(curves["label_access"].fillna(False).all()) == (LABELS in needs)


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [0, 50, 500])
@pytest.mark.parametrize("name", NAMES)
def test_it_chooses_within_the_memory_that_there_is_or_says_its_bytes(name, kilobytes, available):
    trial, posterior = fitted(words(name))
    strategy = built(name, *CHEAPER.get(name, []))
    available(kilobytes)
    view = trial.view(posterior, strategy)
    generator = torch.Generator().manual_seed(0)
    assert_chosen_or_refused(lambda: strategy.select(view, 5, generator), kilobytes)
