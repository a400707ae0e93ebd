"""With as many candidates as points a step, selections without replacement are plain training."""

import pytest

import al_bench
from al_bench.configuration.choices import choices
from al_bench.configuration.config_dir import config_dir
from al_bench.results.schema import MEASURED
from al_bench.sampling.base import CoreSet

QUICK = (
    "model=mc_dropout",
    "model.num_samples=2",
    "model/network=mlp",
    "model.network.hidden=[8]",
    "budget.steps=4",
    "budget.evaluate_every=2",
    "budget.candidates=16",
    "training.batch_size=16",
    "seeds=1",
)
WHO = ("run_id", "strategy", "strategy_label", "notes", *MEASURED)
OF_LOSSES = ("irreducible_accuracy", "irreducible_nll")  # of another network, in round 0


def curve(tmp_path, name):
    trials = al_bench.trials(*QUICK, f"selection={name}", f"results={tmp_path}")
    selection = trials[0].run.selection
    if isinstance(selection, CoreSet):
        pytest.skip("trains on a part of the points")
    if getattr(selection, "with_replacement", False):
        pytest.skip("draws with replacement")
    return al_bench.execute(trials).drop(columns=[*WHO, *OF_LOSSES], errors="ignore")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, _ in choices("selection", [config_dir()])])
def test_every_selection_of_all_candidates_gives_the_bits_of_uniform(tmp_path, name):
    rows = curve(tmp_path, name)
    assert rows["total_steps"].tolist() == [0, 2, 4]
    expected = curve(tmp_path, "uniform")[rows.columns]
    assert rows.to_json() == expected.to_json()
    assert rows["train_loss"].iloc[-1] == expected["train_loss"].iloc[-1]
    assert rows["test_nll"].tolist() == expected["test_nll"].tolist()
