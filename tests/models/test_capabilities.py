"""What posteriors offer is one table: a line more is a message, a method and a check more."""

import dataclasses

import pytest
import torch
from labeled_points import NOTHING
from pool_views import FakeView, log_probs

from al_bench.checking.checks import declares_what_it_needs
from al_bench.checking.models import Case, checks
from al_bench.checking.probing import CheckFailure, DoesNotApply
from al_bench.errors import AlBenchError
from al_bench.models.base import DENSITY, FEATURES, GRADIENTS, LOGITS, NETWORK, SAMPLES
from al_bench.models.capabilities import CAPABILITIES, Capability, of_each_point
from al_bench.models.deterministic import Deterministic
from al_bench.models.ensemble import DeepEnsemble
from al_bench.models.forest import ForestPosterior
from al_bench.models.mc_dropout import MCDropout
from al_bench.models.networks.mlp import mlp
from al_bench.strategies.base import Selection
from al_bench.strategies.rules import top

HEIGHT = "height"
LINE = Capability(
    "a height a point",
    "height",
    "Heights are a row a point",
    of_each_point(HEIGHT),
    example=lambda log_probs, features: features.sum(dim=1),
)


@pytest.fixture
def line(monkeypatch):
    monkeypatch.setitem(CAPABILITIES, HEIGHT, LINE)


@dataclasses.dataclass(frozen=True)
class Highest:
    needs = frozenset({HEIGHT})

    def select(self, view, batch_size, generator):
        scores = view.height().double()
        best = top(scores, batch_size, generator)
        return Selection(best, scores[best])


class High:
    """A posterior with a height, by another one."""

    def __init__(self, inner, fault=None):
        self.inner, self.fault, self.shown = inner, fault, 0
        self.provides = inner.provides | {HEIGHT}
        self.num_samples = inner.num_samples

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def height(self, inputs):
        self.shown += len(inputs)
        found = inputs.flatten(1).sum(dim=1)
        return self.fault(found) if self.fault else found


@pytest.fixture
def posterior():
    torch.manual_seed(0)
    model = MCDropout(mlp, 3)
    networks = [model.build((1, 8, 8), 4)]
    return model.posterior(networks, NOTHING, torch.Generator().manual_seed(0), torch.float32)


def case(posterior):
    inputs = torch.randn(30, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    return Case(posterior, inputs, torch.zeros(30, dtype=torch.int64), 4)


def verdicts(posterior):
    """Of each check, by the first line of its docstring."""
    found = {}
    for check in checks():
        try:
            check(case(posterior))
        except (CheckFailure, DoesNotApply, AlBenchError) as reason:
            found[check.__doc__.splitlines()[0]] = str(reason)
        else:
            found[check.__doc__.splitlines()[0]] = None
    return found


@pytest.mark.slow
def test_a_view_gives_what_a_line_adds_once(line, make_trials, posterior):
    (trial,) = make_trials("strategy=random", "seeds=1")
    posterior = High(posterior)
    view = trial.view(posterior, trial.run.strategy)
    heights = view.height()
    assert torch.equal(heights, view.inputs(torch.arange(len(view))).flatten(1).sum(dim=1))
    assert torch.equal(view.labeled_height(), view.labeled_inputs().flatten(1).sum(dim=1))
    assert view.target_height(7).shape == (7,)
    assert torch.equal(view.restricted(torch.tensor([4, 2])).height(), heights[[4, 2]])
    shown = posterior.shown
    assert view.height() is heights
    assert posterior.shown == shown == len(view) + len(view.labeled_indices) + 7
    with pytest.raises(AttributeError, match="no attribute 'depth'"):
        view.depth()


@pytest.mark.slow
def test_a_view_refuses_what_the_model_does_not_provide(line, make_trials):
    (trial,) = make_trials("strategy=random", "seeds=1")
    forest = ForestPosterior([], torch.empty(0, dtype=torch.int64), 2, 10, frozenset({SAMPLES}))
    view = trial.view(forest, trial.run.strategy)
    for ask in (view.height, view.features, view.gradient_factors, view.network):
        with pytest.raises(AlBenchError, match=r"Random looks at .*, which the model does not"):
            ask()
    forest.provides |= {HEIGHT}
    with pytest.raises(AlBenchError, match="ForestPosterior provides height, but has no method"):
        view.height()


def test_a_strategy_is_checked_on_the_example_of_a_line(line):
    declares_what_it_needs(Highest())
    embedding = torch.randn(8, 5, generator=torch.Generator().manual_seed(2))
    view = FakeView(log_probs(8, 4, 3), embedding)
    assert torch.equal(view.height(), embedding.sum(dim=1))
    assert torch.equal(view.permuted(torch.arange(7, -1, -1)).height(), view.height().flip(0))
    assert view.labeled_height().shape == (4,)
    assert view.target_height(6).shape == (6,)


def test_without_a_line_it_is_unknown(posterior):
    with pytest.raises(
        CheckFailure, match="needs height, known are density, features, gradients, labels"
    ):
        declares_what_it_needs(Highest())
    said = verdicts(High(posterior))
    assert "provides height, known are" in said["What it says that it provides is known."]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (None, None),
        (lambda found: found[:3], "no row a point"),
        (lambda found: found * torch.nan, "NaN"),
        (lambda found: found.to(torch.int64), "it is torch.int64, not float32"),
        (lambda found: found - found.mean(), "something else beside others"),
        (lambda found: found.clone().requires_grad_(), "with gradients"),
    ],
)
def test_a_model_is_held_to_what_a_line_promises(line, posterior, fault, said):
    found = verdicts(High(posterior, fault))[f"{LINE.promise}."]
    assert found is None if said is None else said in found


def test_every_line_names_a_promise_words_and_a_method_of_its_own():
    assert {SAMPLES, FEATURES, GRADIENTS, NETWORK, LOGITS, DENSITY} == set(CAPABILITIES)
    for of_lines in ("words", "method", "promise"):
        assert len({getattr(line, of_lines) for line in CAPABILITIES.values()}) == 6
    for line in CAPABILITIES.values():
        assert not line.promise.endswith(".")
        assert line.hint.endswith(".")


@pytest.mark.parametrize("kind", [Deterministic, lambda network: DeepEnsemble(network, 2)])
def test_our_models_keep_every_promise_that_they_make(kind):
    torch.manual_seed(0)
    model = kind(mlp)
    networks = [model.build((1, 8, 8), 4) for _ in range(model.num_networks)]
    posterior = model.posterior(networks, NOTHING, torch.Generator(), torch.float32)
    said = verdicts(posterior)
    for name, line in CAPABILITIES.items():
        reason = said[f"{line.promise}."]
        assert reason is None if name in posterior.provides else reason == f"has no {line.words}"
