"""A view shows a strategy the pool as the model sees it, and no label that is not bought."""

import dataclasses
import json

import pytest
import torch
import torch.nn.functional as F

from al_bench.errors import AlBenchError, ConfigError
from al_bench.models.base import SAMPLES
from al_bench.running import notebook
from al_bench.strategies.base import LABELS, REFUSED, Selection
from al_bench.strategies.scores import bald, entropy
from al_bench.training.trainer import fit_one


@pytest.fixture
def trial(make_trials):
    return make_trials("strategy=bald", "seeds=1")[0]


@pytest.fixture
def posterior(trial):
    return fit_one(trial).posterior


@pytest.mark.slow
def test_streamed_scores_equal_scores_of_the_whole_tensor(trial, posterior):
    streamed = trial.view(posterior, trial.run.strategy).score([bald, entropy])
    whole = trial.view(posterior, trial.run.strategy)
    whole.log_probs()
    held = whole.score([bald, entropy])
    for one, other in zip(streamed, held, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_chunks_do_not_change_what_a_view_shows(trial, posterior):
    plain = trial.view(posterior, trial.run.strategy).log_probs()
    run = trial.run
    trial.run = dataclasses.replace(run, engine=dataclasses.replace(run.engine, chunk_bytes=2**17))
    small = trial.view(posterior, trial.run.strategy).log_probs()
    torch.testing.assert_close(plain, small, rtol=0, atol=1e-5)
    assert plain.shape == (1277, 4, 10)


@pytest.mark.slow
def test_fewer_samples_are_the_first_ones(trial, posterior):
    view = trial.view(posterior, trial.run.strategy)
    few = view.log_probs(2)
    torch.testing.assert_close(
        few, trial.view(posterior, trial.run.strategy).log_probs()[:, :2], rtol=0, atol=1e-5
    )
    with pytest.raises(ConfigError, match="asks for 5 posterior samples; the model has 4"):
        view.log_probs(5)


@pytest.mark.slow
def test_positions_stand_for_available_pool_points(trial, posterior):
    view = trial.view(posterior, trial.run.strategy)
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


@pytest.mark.slow
def test_identical_samples_stop_a_strategy_that_compares_them(trial):
    with pytest.raises(AlBenchError, match="All 4 posterior samples are identical"):
        trial.view(SameSamples(), trial.run.strategy).score([bald])


@pytest.mark.slow
def test_scoring_and_selecting_leave_the_model_as_it_was(trial, posterior):
    view = trial.view(posterior, trial.run.strategy)
    before = view.log_probs().clone()
    trial.run.strategy.select(
        trial.view(posterior, trial.run.strategy), 10, torch.Generator().manual_seed(0)
    )
    assert torch.equal(trial.view(posterior, trial.run.strategy).log_probs(), before)
    assert torch.equal(view.log_probs(), before)


@pytest.mark.slow
def test_a_view_reaches_no_labels_but_those_of_the_labeled_set(trial, posterior):
    view = trial.view(posterior, trial.run.strategy)
    reachable = [
        value
        for value in vars(view).values()
        if isinstance(value, torch.Tensor) and value.dtype == torch.int64
    ]
    assert all(len(value) == len(view) for value in reachable)  # the indices only
    hidden = (trial, trial.test, trial.pool, trial.pool.labels)
    assert not any(value is secret for value in vars(view).values() for secret in hidden)
    for look in (view.pool_labels, lambda: view.look_ahead(torch.tensor([0]), torch.tensor([1]))):
        with pytest.raises(AlBenchError, match="looks at labels that it has not bought"):
            look()


@dataclasses.dataclass(frozen=True)
class Cheat:
    """A control that looks at labels."""

    needs = frozenset({LABELS})

    def select(self, view, batch_size, generator):
        positions = view.pool_labels().argsort(stable=True)[:batch_size]
        return Selection(positions, torch.zeros(batch_size, dtype=torch.float64))


@pytest.mark.slow
def test_a_control_sees_labels_and_is_marked_in_the_results(trial, posterior):
    view = trial.view(posterior, Cheat())
    assert torch.equal(view.pool_labels(), trial.pool.labels[view.indices])
    trial.run = dataclasses.replace(trial.run, strategy=Cheat())
    frame = notebook.execute([trial])
    assert frame["label_access"].tolist() == [True] * len(frame)
    assert set(trial.pool.labels[torch.tensor(trial.labeled[20:])].tolist()) == {0}


@pytest.mark.slow
def test_a_control_on_a_contaminated_pool_knows_which_answers_it_will_get(make_trials):
    """Balanced random buys answers alone, in equal numbers, of a pool that is half refused."""
    mixed = ("pool=contaminate", "pool.contaminate.source=digits", "strategy=balanced_random")
    size = ("budget.init_size=null", "budget.init_per_class=2", "budget.batch_size=20")
    (trial,) = make_trials(*mixed, *size, "seeds=1", "budget.total=40")
    view = trial.view(fit_one(trial).posterior, trial.run.strategy)
    answers = view.pool_labels()
    assert torch.equal(answers == REFUSED, trial.pool.refused[view.indices])
    assert 0 < int((answers == REFUSED).sum()) < len(view)
    frame = notebook.execute([trial])
    assert frame["num_labeled"].tolist() == frame["num_queried"].tolist() == [20, 40]
    bought = trial.pool.true_labels[torch.tensor(trial.labeled)]
    assert torch.bincount(bought).tolist() == [4] * 10


def test_an_honest_strategy_is_not_marked(make_trials):
    assert notebook.execute(make_trials("strategy=random", "seeds=1"))["label_access"].isna().all()


@pytest.mark.slow
def test_looking_ahead_is_the_next_rounds_model(trial, posterior):
    view = trial.view(posterior, Cheat())
    positions, reference = torch.tensor([3, 8, 1]), torch.arange(100, 160)
    expected = view.look_ahead(positions, reference)
    labeled = list(trial.labeled)
    assert view.look_ahead(positions, reference) == expected  # nothing has changed
    assert trial.labeled == labeled
    trial.labeled += view.indices[positions].tolist()
    trial.round = 1
    indices = view.indices[reference]
    inputs = trial.pool.inputs.gather(indices, torch.device("cpu"))
    log_probs = fit_one(trial).posterior.log_probs(inputs).double()
    answers = trial.pool.labels[indices]
    likelihood = log_probs.exp().mean(dim=1)[torch.arange(60), answers].log().mean()
    assert expected == pytest.approx(float(likelihood), abs=1e-6)


@pytest.mark.slow
def test_gradient_factors_are_those_of_autograd(trial, posterior):
    view = trial.view(posterior, trial.run.strategy)
    log_probs, features = view.gradient_factors()
    network = view.network()
    positions = torch.tensor([4, 700])
    loss = F.nll_loss(network(view.inputs(positions)).log_softmax(1), torch.tensor([2, 5]))
    (gradient,) = torch.autograd.grad(loss, network.output.weight)
    first = log_probs[positions].exp() - F.one_hot(torch.tensor([2, 5]), 10)
    torch.testing.assert_close(first.T @ features[positions] / 2, gradient, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(view.features(), features)
    labeled = view.labeled_gradient_factors()
    assert labeled.log_probs.shape == (20, 10)
    torch.testing.assert_close(labeled.features, view.labeled_features())


@pytest.mark.slow
def test_the_network_of_a_view_is_the_strategys_own(trial, posterior):
    view = trial.view(posterior, trial.run.strategy)
    before = view.gradient_factors().log_probs.clone()
    network = view.network()
    assert not network.training
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    fresh = trial.view(posterior, trial.run.strategy)
    assert torch.equal(fresh.gradient_factors().log_probs, before)


@pytest.mark.slow
def test_labeled_points_are_predicted_in_the_order_in_which_they_were_labeled(trial, posterior):
    view = trial.view(posterior, trial.run.strategy)
    inputs = trial.pool.inputs.gather(torch.tensor(trial.labeled), torch.device("cpu"))
    expected = posterior.log_probs(inputs)
    torch.testing.assert_close(view.labeled_log_probs(), expected, rtol=0, atol=1e-5)
    assert torch.equal(view.labeled_log_probs(2), view.labeled_log_probs()[:, :2])
    part = view.restricted(torch.tensor([3, 1]))
    assert torch.equal(part.labeled_log_probs(), view.labeled_log_probs())


@pytest.mark.slow
def test_target_inputs_are_drawn_once_a_round_under_the_same_samples(trial, posterior):
    view = trial.view(posterior, trial.run.strategy)
    targets = view.target_log_probs(30)
    assert targets.shape == (30, 4, 10)
    assert torch.equal(view.target_log_probs(12, 3), targets[:12, :3])
    assert torch.equal(trial.view(posterior, Cheat()).target_log_probs(30), targets)
    drawn = trial.targets.draw(30, trial.streams.generator("target", 0))
    everything = torch.arange(len(trial.pool))
    whole = torch.cat(
        [
            posterior.log_probs(trial.pool.inputs.gather(part, torch.device("cpu")))
            for part in everything.split(500)
        ]
    )
    torch.testing.assert_close(targets, whole[drawn], rtol=0, atol=1e-5)
    assert view.target_gradient_factors(12).features.shape == (12, view.features().shape[1])
    trial.round = 1
    other = trial.view(posterior, trial.run.strategy).target_log_probs(30)
    assert not torch.equal(other, targets)
    assert len(view.target_log_probs(2000, num_samples=1)) == len(trial.pool)  # all there are


@pytest.mark.slow
def test_class_targets_note_what_their_draws_are_worth(make_trials):
    share = "target.proportions=[1,1,0,0,0,0,0,0,0,0]"
    (trial,) = make_trials("seeds=1", "target=classes", share, "strategy=epig")
    posterior, row = fit_one(trial).posterior, {"num_queried": 20, "validation_accuracy": None}
    added = trial.select(posterior, row).columns
    assert json.loads(added["notes"])["effective_targets"] == 100
    (other,) = make_trials("seeds=1", "strategy=epig")
    assert "effective_targets" not in other.select(posterior, row).columns.get("notes", "")


@pytest.mark.slow
def test_source_indices_name_points_of_the_data_set(make_trials):
    (trial,) = make_trials("seeds=1", "pool=repeat", "strategy=random")
    view = trial.view(fit_one(trial).posterior, trial.run.strategy)
    assert torch.equal(view.source_indices, trial.pool.source_index[view.indices])
    assert view.labeled_source_indices.tolist() == trial.pool.source_index[trial.initial].tolist()
    assert view.labeled_indices.tolist() == trial.labeled
    assert view.seed == 0
    mixed = dataclasses.replace(
        trial.pool, origin=torch.ones(len(trial.pool), dtype=torch.int64), origins=("a", "b")
    )
    trial.pool = mixed
    view = trial.view(fit_one(trial).posterior, trial.run.strategy)
    with pytest.raises(ConfigError, match="mixes a and b"):
        _ = view.source_indices
    assert view.origins == ("a", "b")
    places = torch.tensor([3, trial.labeled[0]])
    assert view.holds(places, trial.pool.source_index[places], ["b", "b"])
    assert not view.holds(places, trial.pool.source_index[places], ["b", "a"])


@pytest.mark.slow
def test_refused_points_are_not_predicted_by_a_look_ahead(trial):
    refused = torch.zeros(len(trial.pool), dtype=torch.bool)
    refused[trial.available()[50:]] = True
    trial.pool = dataclasses.replace(trial.pool, refused=refused)
    view = trial.view(fit_one(trial).posterior, Cheat())
    positions = torch.tensor([3])
    whole = view.look_ahead(positions, torch.arange(40, 60))
    assert whole == view.look_ahead(positions, torch.arange(40, 50))
    assert view.look_ahead(positions, torch.arange(50, 60)) == 0.0


@pytest.mark.slow
def test_a_forest_without_labels_is_no_mistake():
    words = ["model=random_forest", "model.num_trees=5", "strategy=bald", "seeds=1"]
    frame = notebook.execute(
        notebook.trials(*words, "budget.init_size=0", "budget.total=20", "budget.batch_size=10")
    )
    assert frame["num_labeled"].tolist() == [0, 10, 20]
    assert "fell_back" in frame["notes"].iloc[0]
