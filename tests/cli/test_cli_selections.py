"""Selections as a user types them: what is refused, checked, shared and stored."""

import re

import pandas as pd
import pytest

from al_bench.results.frame import read_curves

OWN = """
from dataclasses import dataclass
import torch
from al_bench.sampling.base import Chosen
from al_bench.strategies.rules import top

@dataclass(frozen=True)
class Own:
    shift: int = 0
    needs = frozenset()

    def choose(self, view, batch_size, generator):
        return Chosen(top(view.losses(), batch_size, generator) + self.shift)

@dataclass(frozen=True)
class First:
    needs = frozenset()

    def choose(self, view, batch_size, generator):
        return Chosen(torch.arange(batch_size))

@dataclass(frozen=True)
class Curious:
    needs = frozenset()

    def choose(self, view, batch_size, generator):
        return Chosen(top(view.irreducible_losses(), batch_size, generator))
"""
QUICK = (
    "model=deterministic",
    "model/network=mlp",
    "model.network.hidden=[8]",
    "budget.passes=2",
    "seeds=1",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["selection=rho_loss", "budget.holdout_size=0"], "there are none. Use budget.holdout_size"
         "=0.5, or selection/irreducible=two_halves."),
        (["selection=bald", "model=deterministic"], "Use model=mc_dropout with a network that"),
        (["selection=svp", "selection.share=0"], "selection.share must be"),
        (["selection=svp", "selection.share=1.5"], "selection.share must be"),
        (["selection=grand", "selection.training.max_epochs=3"], "Set selection.epochs=3 alone."),
        (["selection=rho_loss", "selection.irreducible.network=rho_mpl"], "rho_mlp"),
        (["selection=rho_loss", "selection.irreducible.network=mlp",
          "selection.irreducible.parameters={dropuot: 0.1}"],
         "selection.irreducible.parameters has no parameter 'dropuot'. Did you mean"),
        (["selection=rho_loss", "selection.irreducible.training.learning_rate=-1"],
         "selection.irreducible.training.learning_rate must be"),
        (["selection=rho_loss", "selection.rule=softmax"], "Choose one with selection/rule=…"),
        (["selection=rho_loss", "selection.irreducible=two_halves"],
         "Choose one with selection/irreducible=…"),
        (["selection=loss", "selection.num_samples=3"], "num_samples"),
        (["selection=svp", "selection.share=0.01"],
         "fewer than training.batch_size=32. Use training.batch_size="),
        (["selection=loss", "+selection/irreducible=holdout"], "does not look at. Leave it"),
        (["selection=loss", "+selection.irreducible.update=true"], "this score does not look at"),
        (["selection=uniform", "+selection.irreducible.update=true"], "no parameter 'irreducible'"),
        (["selection=rho_loss", "selection.irreducible.network=emnist_cnn"],
         "selection.irreducible.network: The network emnist_cnn needs images of at least 14x14"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_one_line(al_bench, words, said):
    code, out, err = al_bench("run", *words, "dry_run=true", "seeds=1")
    assert (code, out) == (2, ""), err
    assert said in err
    assert len(err.splitlines()) == 1


@pytest.fixture
def own(tmp_path):
    (tmp_path / "my_selections_for_check.py").write_text(OWN)


@pytest.mark.slow
def test_a_selection_of_ones_own_is_held_to_the_contract(al_bench, own):
    for name, words, said in (
        (
            "Own",
            ["+selection.shift=1"],
            r"FAIL  B positions.*: ordinary, B=3: positions \[.*of 12",
        ),
        ("First", [], r"FAIL  Permuting the candidates permutes the choice"),
        ("Curious", [], r"FAIL  B positions.*needs do not contain, 'irreducible'"),
    ):
        code, out, err = al_bench("check", f"selection=my_selections_for_check.{name}", *words)
        assert code == 1, out + err
        assert re.search(said, out)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pig", "rho_loss", "forgetting"])
def test_a_line_a_property_and_code_0_for_those_of_al_bench(al_bench, name):
    code, out, _ = al_bench("check", f"selection={name}")
    assert code == 0
    head, *lines, tally = out.splitlines()
    assert head.startswith(f"{name}: al_bench.sampling.")
    assert all(re.match("(pass|skip)  [A-Z]", line) for line in lines)
    assert " 0 not kept" in tally


@pytest.mark.slow
def test_selections_that_need_the_same_irreducible_losses_share_one_training(al_bench, tmp_path):
    for name in ("rho_loss", "irreducible_loss", "rho_loss_two_halves"):
        code, _, err = al_bench("run", f"selection={name}", *QUICK, "results=r")
        assert code == 0, err
    assert len(list((tmp_path / "r/.cache/irreducible").glob("*.pt"))) == 2
    first = read_curves([tmp_path / "r"]).query("round == 0").set_index("strategy")
    columns = ["irreducible_accuracy", "irreducible_nll", "seconds_irreducible"]
    shared, other = first.loc[["rho_loss", "irreducible_loss"], columns].to_numpy()
    assert (shared == other).all()
    assert (first.loc["rho_loss_two_halves", columns].to_numpy() != shared).any()
    assert shared[0] > 0.3


@pytest.mark.slow
def test_another_network_for_irreducible_losses_is_told_stored_and_repeated(al_bench, tmp_path):
    words = ("selection.irreducible.network=mlp", "selection.irreducible.parameters={hidden: [5]}")
    code, _, err = al_bench("run", "selection=rho_loss", *words, *QUICK, "results=r")
    assert code == 0, err
    (config,) = (tmp_path / "r").rglob("config.yaml")
    assert "al_bench.models.networks.mlp.mlp" in config.read_text()
    curves = read_curves([tmp_path / "r"])
    assert set(curves["strategy_label"]) == {"rho_loss(network=mlp, hidden=[5])"}
    (manifest,) = (tmp_path / "r").rglob("manifests/*.json")
    code, _, err = al_bench("rerun", str(manifest), "out=again")
    assert code == 0, err
    again = read_curves([tmp_path / "again"])
    columns = ["run_id", "round", "test_accuracy", "irreducible_nll"]
    pd.testing.assert_frame_equal(again[columns], curves[columns])


@pytest.mark.slow
def test_a_model_that_goes_on_learning_is_another_run(al_bench, tmp_path):
    for value in ("true", "false"):
        words = (f"selection.irreducible.update={value}", *QUICK, "results=r")
        code, _, err = al_bench("run", "selection=rho_loss", *words)
        assert code == 0, err
    curves = read_curves([tmp_path / "r"])
    assert set(curves["strategy_label"]) == {"rho_loss", "rho_loss(update=true)"}
    last = curves[curves["round"] == curves["round"].max()]
    assert last["test_nll"].nunique() == 2
