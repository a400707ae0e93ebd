"""Irreducible losses: of points that a model has not seen, computed once and kept."""

import dataclasses
import functools
from dataclasses import dataclass, field

import pytest
import torch
import torch.nn.functional as F

from al_bench.data.base import TensorInputs
from al_bench.data.labeled import LabeledSet
from al_bench.engine import Engine
from al_bench.errors import ConfigError
from al_bench.models.deterministic import Deterministic
from al_bench.models.mc_dropout import MCDropout
from al_bench.models.networks.mlp import mlp
from al_bench.sampling import irreducible
from al_bench.sampling.beside import Beside
from al_bench.sampling.irreducible import Known, model_of
from al_bench.sampling.scored import Scored
from al_bench.sampling.scores import ReducibleLoss
from al_bench.seeding import Streams
from al_bench.strategies.rules import TopB
from al_bench.training.recipe import Recipe
from al_bench.training.step import Points

RECIPE = Recipe("adamw", 0.02, batch_size=8, epoch_size=None, max_epochs=4)
Holdout = functools.partial(irreducible.Holdout, least_steps=None)
TwoHalves = functools.partial(irreducible.TwoHalves, least_steps=None)
SHORT = dataclasses.replace(RECIPE, max_epochs=1)
NETWORK = functools.partial(mlp, hidden=[16], dropout=0.0)
N, HELD, C = 40, 30, 3
POINTS = torch.randn(N + HELD, 6, generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True)
class Recording(Beside):
    """What networks have in common, and which points each was shown."""

    seen: dict = field(default_factory=dict)

    def train(self, network, member, points, validation, recipe, after_epoch=None):
        self.seen[member] = points, validation, recipe, network
        return super().train(network, member, points, validation, recipe, after_epoch)


def known(tmp_path, seed=0, labels=None, held=HELD, model=None, copies=None):
    if labels is None:
        labels = (POINTS[:, 0] > 0).long() + (POINTS[:, 1] > 0).long()
    inputs = TensorInputs(POINTS)
    training, holdout = torch.arange(N), torch.arange(N, N + held)
    return Known(
        training=LabeledSet(inputs, training, labels[training]),
        holdout=LabeledSet(inputs, holdout, labels[holdout]),
        copies=training if copies is None else copies,
        beside=Recording(
            model or Deterministic(NETWORK), C, Streams(seed), Engine(torch.device("cpu"))
        ),
        results=tmp_path,
    )


def losses(found, given):
    points = given.training
    return found.of(points.indices, points.inputs.values[points.indices], points.labels)


def test_losses_are_those_of_a_model_of_the_holdout(tmp_path):
    given = known(tmp_path)
    found = Holdout(RECIPE).of(given)
    trained, watched, _, network = given.beside.seen[1]
    assert set(trained.indices.tolist()) | set(watched.indices.tolist()) == set(range(N, N + HELD))
    assert len(watched) == 3
    assert not set(trained.indices.tolist()) & set(watched.indices.tolist())
    logits = network(POINTS[:N]).detach().double()
    labels = given.training.labels.tolist()
    expected = [-float(F.log_softmax(logits[i], 0)[y]) for i, y in enumerate(labels)]
    assert losses(found, given).tolist() == pytest.approx(expected, abs=1e-6)
    assert found.columns["irreducible_nll"] == pytest.approx(sum(expected) / N, abs=1e-6)
    right = (logits.argmax(dim=1) == given.training.labels).double().mean()
    assert found.columns["irreducible_accuracy"] == pytest.approx(float(right))
    assert found.notes == {}


@pytest.mark.slow
def test_the_epoch_with_the_lowest_loss_on_the_watched_tenth_is_kept(tmp_path):
    given = known(tmp_path)
    steep = dataclasses.replace(RECIPE, learning_rate=0.5, max_epochs=12)
    Holdout(steep).of(given)
    trained, watched, recipe, kept = given.beside.seen[1]
    network = given.beside.network((6,), 1)
    nlls = []

    def look():
        network.eval()
        logits = network(POINTS[watched.indices]).detach()
        nlls.append(float(F.cross_entropy(logits.double(), watched.labels)))

    given.beside.train(network, 1, trained, watched, recipe, look)
    assert len(nlls) == 12
    logits = kept(POINTS[watched.indices]).detach()
    lowest = float(F.cross_entropy(logits.double(), watched.labels))
    assert lowest == pytest.approx(min(nlls), rel=1e-6)
    assert nlls.index(min(nlls)) < 11  # the last one would have been another


def test_halves_never_see_the_points_that_they_are_asked_about(tmp_path):
    given = known(tmp_path, held=0)
    model = TwoHalves(RECIPE)
    found = model.of(given)
    halves = [set(half.tolist()) for half in model.halves(given)]
    assert halves[0] | halves[1] == set(range(N))
    assert len(halves[0]) == len(halves[1]) == N // 2
    by_index = losses(found, given)
    for member, own, other in ((1, 0, 1), (2, 1, 0)):
        trained, watched, _, network = given.beside.seen[member]
        shown = {*trained.indices.tolist(), *watched.indices.tolist()}
        assert shown == halves[own]
        for index in halves[other]:
            logits = network(POINTS[[index]]).detach()
            loss = F.cross_entropy(logits.double(), given.training.labels[[index]])
            assert float(by_index[index]) == pytest.approx(float(loss), abs=1e-6)


def test_copies_of_a_point_are_in_one_half(tmp_path):
    copies = torch.arange(N) % 8
    given = known(tmp_path, held=0, copies=copies)
    one, other = TwoHalves(RECIPE).halves(given)
    assert not set(copies[one].tolist()) & set(copies[other].tolist())
    assert len(one) == len(other) == N // 2
    TwoHalves(RECIPE).of(given)
    for trained, watched, _, _ in given.beside.seen.values():
        assert not set(copies[trained.indices].tolist()) & set(copies[watched.indices].tolist())


@pytest.mark.slow
def test_two_halves_of_random_labels_know_nothing(tmp_path):
    labels = torch.randint(C, (N + HELD,), generator=torch.Generator().manual_seed(5))
    longer = dataclasses.replace(RECIPE, max_epochs=30)
    found = TwoHalves(longer).of(known(tmp_path, labels=labels, held=0))
    assert found.columns["irreducible_accuracy"] < 0.7


def test_networks_beside_the_target_start_from_weights_of_their_own(tmp_path):
    given = known(tmp_path)
    beside = given.beside
    weights = [beside.network((6,), member).output.weight for member in (1, 2)]
    assert not torch.equal(*weights)
    with pytest.raises(ValueError, match="member 0"):
        beside.network((6,), 0)


def trained(tmp_path, model_of_losses, **changes):
    """Whether these losses had to be learned."""
    given = known(tmp_path, **changes)
    model_of_losses.of(given)
    return bool(given.beside.seen)


@pytest.mark.slow
def test_they_are_learned_once_for_all_that_decides_them(tmp_path):
    assert trained(tmp_path, Holdout(SHORT))
    assert not trained(tmp_path, Holdout(SHORT))
    assert trained(tmp_path, Holdout(SHORT), seed=1)
    assert trained(tmp_path, Holdout(dataclasses.replace(SHORT, weight_decay=0.5)))
    wider = functools.partial(mlp, hidden=[17], dropout=0.0)
    assert trained(tmp_path, Holdout(SHORT), model=Deterministic(wider))
    assert not trained(tmp_path, Holdout(SHORT, network=wider))
    labels = (POINTS[:, 0] > 0).long()
    assert trained(tmp_path, Holdout(SHORT), labels=labels)
    assert trained(tmp_path, Holdout(SHORT), held=HELD - 1)
    assert trained(tmp_path, TwoHalves(SHORT))
    assert trained(tmp_path, Holdout(SHORT, update=True))
    # Posterior samples of the target are no part of a model that is asked without any.
    assert not trained(tmp_path, Holdout(SHORT), model=MCDropout(NETWORK, 4))


def test_a_hit_says_what_the_first_time_said(tmp_path):
    first = Holdout(RECIPE).of(known(tmp_path))
    again = Holdout(RECIPE).of(known(tmp_path))
    assert first.columns == again.columns
    assert torch.equal(first.losses, again.losses)
    (path,) = (tmp_path / ".cache" / "irreducible").glob("*.pt")
    path.write_bytes(path.read_bytes()[:-1])
    made_again = Holdout(RECIPE).of(known(tmp_path))
    assert torch.equal(first.losses, made_again.losses)


def test_equal_losses_are_noted(tmp_path):
    labels = torch.zeros(N + HELD, dtype=torch.int64)
    constant = functools.partial(mlp, hidden=[1], dropout=0.0)

    class Zero(Recording):
        def log_probs(self, network, points):
            return torch.zeros(len(points), C).log_softmax(dim=1)

    given = known(tmp_path, labels=labels, model=Deterministic(constant))
    given = dataclasses.replace(
        given, beside=Zero(given.beside.model, C, Streams(0), given.beside.engine)
    )
    assert Holdout(RECIPE).of(given).notes == {"equal_irreducible_losses": True}


@pytest.mark.slow
def test_a_model_that_goes_on_learning_takes_the_steps_of_the_chosen_points(tmp_path):
    given = known(tmp_path)
    stored = Holdout(RECIPE).of(given)
    learning = Holdout(RECIPE, update=True).of(known(tmp_path))
    assert losses(learning, given).tolist() == pytest.approx(
        losses(stored, given).tolist(), abs=1e-6
    )
    places = torch.arange(8)
    points = Points(POINTS[places], given.training.labels[places], ())
    before = losses(learning, given)
    for step in range(30):
        learning.learn(points, RECIPE, 0.02, step)
    after = losses(learning, given)
    assert float(after[:8].mean()) < float(before[:8].mean())
    state = learning.state()
    other = Holdout(RECIPE, update=True).of(known(tmp_path))
    other.restore(state, RECIPE)
    for one in (learning, other):
        one.learn(points, RECIPE, 0.02, 30)
    assert torch.equal(losses(learning, given), losses(other, given))
    assert stored.state() == {}


@pytest.mark.parametrize(
    ("model", "held", "said"),
    [
        (Holdout(RECIPE), 0, "learns from held-out points; there are none"),
        (Holdout(RECIPE), 1, "there is one"),
    ],
)
def test_too_few_points_are_refused(tmp_path, model, held, said):
    with pytest.raises(ConfigError, match=said):
        model.of(known(tmp_path, held=held))


def test_halves_need_points(tmp_path):
    with pytest.raises(ConfigError, match="needs 4 training points, there are 3"):
        TwoHalves(RECIPE).of(known(tmp_path, copies=torch.arange(N) % 3))


def test_parameters_that_make_no_sense_are_refused():
    with pytest.raises(ConfigError, match="must build a network when called, got 'mlp'"):
        Holdout(RECIPE, network="mlp")
    with pytest.raises(ConfigError, match="network, which is null"):
        Holdout(RECIPE, parameters={"dropout": 0.2})
    with pytest.raises(ConfigError, match="start is warm"):
        Holdout(dataclasses.replace(RECIPE, start="warm"))
    with pytest.raises(ConfigError, match="update must be true or false"):
        Holdout(RECIPE, update="yes")


def test_a_small_set_gets_more_epochs_until_there_are_enough_steps():
    recipe = irreducible.Holdout(RECIPE, least_steps=300).recipe(24)
    assert (recipe.max_epochs, recipe.patience, recipe.monitor) == (100, 100, "nll")
    assert irreducible.Holdout(RECIPE, least_steps=300).recipe(10_000).max_epochs == 4
    patient = dataclasses.replace(RECIPE, monitor="accuracy", patience=2)
    recipe = Holdout(patient).recipe(24)
    assert (recipe.max_epochs, recipe.patience, recipe.monitor) == (4, 2, "nll")


def test_a_selection_says_what_gives_them():
    with pytest.raises(ConfigError, match="nothing gives them"):
        model_of(Scored(ReducibleLoss(), TopB()))
    with pytest.raises(ConfigError, match="Recipe has no method num_passes"):
        model_of(Scored(ReducibleLoss(), TopB(), irreducible=RECIPE))
    assert model_of(Scored(ReducibleLoss(), TopB(), irreducible=Holdout(RECIPE))) == Holdout(RECIPE)


def test_points_that_models_are_shown_are_counted():
    assert Holdout(RECIPE).num_passes(100, 50) == 4 * 50 + 100
    assert TwoHalves(RECIPE).num_passes(100, 0) == 4 * 100 + 100
    fixed = dataclasses.replace(RECIPE, epoch_size=1000)
    assert Holdout(fixed).num_passes(100, 50) == 4 * (1000 + 5) + 100
    assert (
        irreducible.Holdout(RECIPE).num_passes(100, 50) == 50 * (45 + 5) + 100
    )  # 6 steps an epoch
