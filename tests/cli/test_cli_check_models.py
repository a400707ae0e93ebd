"""``al-bench check model=…``, as a user types it."""

import re

import pytest

OWN = """
from dataclasses import dataclass
import torch
from al_bench.models.mc_dropout import MCDropout

class Wild:
    def __init__(self, inner, fault):
        self.inner, self.fault = inner, fault
        self.provides, self.num_samples = inner.provides, inner.num_samples
        self.network, self.chunk_size = inner.network, inner.chunk_size

    def log_probs(self, inputs, num_samples=None):
        found = self.inner.log_probs(inputs, num_samples)
        if self.fault == "wide":
            noise = torch.randn(found.shape[1:], generator=torch.Generator().manual_seed(0))
            return (found + 8 * noise).log_softmax(-1)
        if self.fault == "fresh":
            return (found + torch.randn(found.shape)).log_softmax(-1)
        if self.fault == "same":
            return found[:, :1].expand_as(found)
        return found + 1

@dataclass(frozen=True)
class Own(MCDropout):
    fault: str = "wide"

    def posterior(self, networks, labeled, generator, precision):
        return Wild(super().posterior(networks, labeled, generator, precision), self.fault)
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "my_model_for_check.py").write_text(OWN)
    folder = tmp_path / "mine" / "model"
    folder.mkdir(parents=True)
    head = "defaults:\n  - network: mlp\n  - _self_\n"
    (folder / "own.yaml").write_text(f"{head}_target_: my_model_for_check.Own\nfault: wide\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("wide", r"average .*: the network by itself has accuracy .*, the average "),
        ("fresh", "one function.*: the same points are predicted otherwise beside others"),
        ("same", "differ where .*: all 20 samples are the same"),
        ("sum", "sum to 1: the logarithms of their sums are up to 1, not 0"),
    ],
)
def test_what_a_model_of_ones_own_breaks_is_told(al_bench, own, fault, said):
    words = ["--config-dir=mine", "model=own", f"model.fault={fault}", "training.max_epochs=3"]
    code, out, _ = al_bench("check", *words)
    assert code == 1
    assert re.search(f"FAIL  .*{said}", out), out


@pytest.mark.slow
def test_the_prior_that_the_evidence_chooses_is_noticed_and_the_default_passes(al_bench, tmp_path):
    words = ["model=last_layer_laplace", "budget.init_size=60"]
    code, out, _ = al_bench("check", *words)
    assert code == 0, out
    assert "60 labels of digits" in out
    code, out, _ = al_bench("check", *words, "model.prior=evidence")
    assert code == 1
    assert re.search("FAIL  The average over samples predicts about as well as the network", out)
    assert list(tmp_path.iterdir()) == []  # nothing is stored


@pytest.mark.slow
def test_a_model_with_nothing_to_drop_is_refused_before_it_is_trained(al_bench):
    code, _, err = al_bench("check", "model=mc_dropout", "model.network.dropout=0")
    assert code == 2
    assert "Use model.num_samples=1" in err
