"""Every column of a curve has one owner, which fills it and no other."""

import dataclasses

import pytest
import torch

from al_bench.results.schema import CURVE, Owner, filled_by, row_in_full
from al_bench.rounds.evaluation import evaluate, validate
from al_bench.strategies.base import Selection
from al_bench.training.trainer import fit_one


class Talkative:
    """A strategy that leaves a note and a state."""

    needs = frozenset()

    def select(self, view, batch_size, generator):
        scores = torch.zeros(batch_size, dtype=torch.float64)
        return Selection(torch.arange(batch_size), scores, {"said": "so"}, {"kept": 1})


def filled_by_active_learning(trial):
    """The columns that each owner fills in a round of this trial."""
    trial.run = dataclasses.replace(trial.run, strategy=Talkative())
    fitted = fit_one(trial)
    validated = validate(fitted.posterior, trial)
    row = trial.row({**fitted.diagnostics, **validated})
    untouched = dict(row)
    picks = trial.select(fitted.posterior, row)
    assert row == untouched
    evaluated = evaluate(fitted.posterior, trial, validated, picks.acquired)
    return {
        Owner.RUN: trial.run.identity.columns,
        Owner.STORE: row_in_full({}, {}, trial.seed, {}),
        Owner.TRIAL: trial.row({}),
        Owner.TRAINING: fitted.diagnostics,
        Owner.EVALUATION: evaluated,
        Owner.SELECTION: picks.columns,
        Owner.ENGINE: trial.engine.columns(),
    }


@pytest.mark.slow
def test_each_owner_fills_its_columns_and_no_others(make_trials):
    (trial,) = make_trials("strategy=random", "seeds=1")
    found = filled_by_active_learning(trial)
    for owner, columns in found.items():
        assert set(columns) == set(filled_by(owner)), owner
    assert set(Owner) - set(found) == {Owner.SAMPLING}


def test_a_curve_has_the_columns_of_its_owners_each_once():
    columns = [name for owner in Owner for name in filled_by(owner)]
    assert sorted(columns) == sorted(CURVE.names)
