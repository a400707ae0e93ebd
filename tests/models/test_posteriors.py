"""Posterior samples are functions, the same in any chunks and for any K."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from labeled_points import NOTHING

from al_bench.errors import ConfigError
from al_bench.models.base import DENSITY, FEATURES, GRADIENTS, LOGITS, NETWORK, SAMPLES
from al_bench.models.ddu import DDU
from al_bench.models.deterministic import Deterministic
from al_bench.models.ensemble import DeepEnsemble
from al_bench.models.laplace import LastLayerLaplace
from al_bench.models.masks import draw_masks
from al_bench.models.mc_dropout import MCDropout
from al_bench.models.networks.cnn import digits_cnn
from al_bench.models.networks.mlp import mlp
from al_bench.models.networks.resnet import resnet18
from al_bench.models.sngp import SNGP

FLOAT32, BFLOAT16 = torch.float32, torch.bfloat16
MODELS = {
    "ddu": DDU,
    "deterministic": Deterministic,
    "mc_dropout": partial(MCDropout, num_samples=6),
    "deep_ensemble": partial(DeepEnsemble, num_members=3),
    "last_layer_laplace": partial(LastLayerLaplace, num_samples=6, prior_precision=1000.0),
    "sngp": partial(SNGP, num_samples=6, num_features=64),
}


def fitted(model, input_shape, precision=FLOAT32, num_classes=5, seed=0):
    torch.manual_seed(seed)
    networks = [model.build(input_shape, num_classes) for _ in range(model.num_networks)]
    return networks, model.posterior(
        networks, NOTHING, torch.Generator().manual_seed(seed), precision
    )


@pytest.fixture(params=MODELS)
def make_model(request):
    return MODELS[request.param]


def test_log_probs_are_normalised_float32_of_every_sample(make_model, factory_and_shape):
    factory, shape = factory_and_shape
    model = make_model(factory)
    _, posterior = fitted(model, shape)
    log_probs = posterior.log_probs(torch.randn(7, *shape))
    assert log_probs.shape == (7, model.num_samples, 5)
    assert log_probs.dtype == FLOAT32
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(7, model.num_samples))
    assert posterior.num_samples == model.num_samples
    assert posterior.log_probs(torch.randn(0, *shape)).shape == (0, model.num_samples, 5)


@pytest.mark.parametrize("precision", [FLOAT32, BFLOAT16])
def test_no_call_changes_the_networks(make_model, precision):
    model = make_model(partial(resnet18, width=2, dropout=0.5))
    torch.manual_seed(0)
    networks = [model.build((1, 8, 8), 3).train() for _ in range(model.num_networks)]
    before = [{k: v.clone() for k, v in network.state_dict().items()} for network in networks]
    posterior = model.posterior(networks, NOTHING, torch.Generator().manual_seed(0), precision)
    inputs = torch.randn(9, 1, 8, 8)
    first = posterior.log_probs(inputs)
    posterior.features(inputs)
    posterior.chunk_size((1, 8, 8), 2**20)
    assert torch.equal(posterior.log_probs(inputs), first)
    for network, state in zip(networks, before, strict=True):
        assert network.training
        assert all(module.training for module in network.modules())
        assert all(parameter.requires_grad for parameter in network.parameters())
        for name, value in network.state_dict().items():
            assert torch.equal(value, state[name]), name


def test_a_posterior_stays_what_it_was_when_its_networks_train_on(make_model):
    networks, posterior = fitted(make_model(digits_cnn), (1, 8, 8))
    inputs = torch.randn(4, 1, 8, 8)
    before = posterior.log_probs(inputs)
    with torch.no_grad():
        for network in networks:
            network.output.weight.zero_()
    assert torch.equal(posterior.log_probs(inputs), before)


def test_scoring_draws_nothing_from_the_global_generator(make_model):
    _, posterior = fitted(make_model(digits_cnn), (1, 8, 8))
    state = torch.get_rng_state()
    posterior.log_probs(torch.zeros(3, 1, 8, 8))
    posterior.features(torch.zeros(3, 1, 8, 8))
    assert torch.equal(torch.get_rng_state(), state)


def test_results_are_ordinary_tensors_that_a_caller_may_train_on(make_model):
    _, posterior = fitted(make_model(digits_cnn), (1, 8, 8))
    inputs = torch.randn(4, 1, 8, 8)
    for result in (posterior.log_probs(inputs), posterior.features(inputs)):
        assert not result.is_inference()
        assert not result.requires_grad


@pytest.mark.slow
def test_bfloat16_stays_close_and_still_answers_in_float32(make_model, factory_and_shape):
    factory, shape = factory_and_shape
    inputs = torch.randn(20, *shape)
    _, exact = fitted(make_model(factory), shape)
    _, rounded = fitted(make_model(factory), shape, BFLOAT16)
    log_probs = rounded.log_probs(inputs)
    assert log_probs.dtype == rounded.features(inputs).dtype == FLOAT32
    torch.testing.assert_close(log_probs, exact.log_probs(inputs), rtol=0, atol=0.1)
    torch.testing.assert_close(
        log_probs.exp().sum(-1), torch.ones(log_probs.shape[:2]), rtol=1e-5, atol=0
    )


def test_fewer_samples_are_the_first_ones(make_model, factory_and_shape):
    factory, shape = factory_and_shape
    _, posterior = fitted(make_model(factory), shape)
    inputs = torch.randn(5, *shape)
    count = (posterior.num_samples + 1) // 2
    torch.testing.assert_close(
        posterior.log_probs(inputs, count), posterior.log_probs(inputs)[:, :count]
    )


@pytest.mark.parametrize("count", [0, -1, 7])
def test_more_samples_than_there_are_and_fewer_than_one_are_refused(count):
    _, posterior = fitted(MCDropout(digits_cnn, 6), (1, 8, 8))
    with pytest.raises(ValueError, match="between 1 and 6"):
        posterior.log_probs(torch.zeros(1, 1, 8, 8), count)


def test_chunk_sizes_grow_with_the_budget_and_are_never_zero(make_model):
    _, posterior = fitted(make_model(digits_cnn), (1, 8, 8))
    sizes = [posterior.chunk_size((1, 8, 8), budget) for budget in (1, 2**20, 2**22, 2**24)]
    assert sizes[0] == 1
    assert sizes == sorted(sizes)
    assert 2 < sizes[3] / sizes[2] < 6


def test_features_are_the_inputs_of_the_last_layer_with_nothing_dropped(factory_and_shape):
    factory, shape = factory_and_shape
    inputs = torch.randn(6, *shape)
    for model in (Deterministic(factory), MCDropout(factory, 4)):
        (network,), posterior = fitted(model, shape)
        network.eval()
        expected = network.body(network.prefix(inputs))
        torch.testing.assert_close(posterior.features(inputs), expected)
        torch.testing.assert_close(network.output(expected), network(inputs))


def test_logits_are_those_of_the_network_with_nothing_dropped():
    inputs = torch.randn(6, 1, 8, 8)
    laplace = partial(LastLayerLaplace, num_samples=2, prior_precision=1.0)
    for make in (DDU, Deterministic, partial(MCDropout, num_samples=4), laplace):
        (network,), posterior = fitted(make(digits_cnn), (1, 8, 8))
        logits = posterior.logits(inputs)
        torch.testing.assert_close(logits, network.eval()(inputs))
        assert logits.dtype == FLOAT32
        factors = posterior.gradient_factors(inputs)
        torch.testing.assert_close(logits.log_softmax(dim=1), factors.log_probs)
        assert logits.requires_grad is False
        rounded = fitted(make(digits_cnn), (1, 8, 8), BFLOAT16)[1].logits(inputs)
        assert rounded.dtype == FLOAT32


def test_a_deterministic_model_predicts_with_its_network_alone():
    (network,), posterior = fitted(Deterministic(digits_cnn), (1, 8, 8))
    inputs = torch.randn(6, 1, 8, 8)
    expected = F.log_softmax(network.eval()(inputs), dim=-1)
    torch.testing.assert_close(posterior.log_probs(inputs)[:, 0], expected)


def test_member_k_of_an_ensemble_is_sample_k():
    networks, posterior = fitted(DeepEnsemble(digits_cnn, 4), (1, 8, 8))
    inputs = torch.randn(6, 1, 8, 8)
    log_probs, features = posterior.log_probs(inputs), posterior.features(inputs)
    assert features.shape == (6, 4 * 64)
    for k, network in enumerate(networks):
        expected = F.log_softmax(network.eval()(inputs), dim=-1)
        torch.testing.assert_close(log_probs[:, k], expected)
        hidden = network.body(network.prefix(inputs))
        torch.testing.assert_close(features[:, 64 * k : 64 * (k + 1)], hidden)


def test_samples_of_mc_dropout_differ_and_follow_the_generator():
    torch.manual_seed(0)
    model = MCDropout(digits_cnn, 10)
    network = model.build((1, 8, 8), 5)
    inputs = torch.randn(6, 1, 8, 8)

    def log_probs(seed):
        generator = torch.Generator().manual_seed(seed)
        return model.posterior([network], NOTHING, generator, FLOAT32).log_probs(inputs)

    assert torch.equal(log_probs(1), log_probs(1))
    assert not torch.equal(log_probs(1), log_probs(2))
    assert len({tuple(row.tolist()) for row in log_probs(1)[0]}) == 10


def test_sample_k_does_not_depend_on_how_many_samples_there_are():
    inputs = torch.randn(6, 1, 8, 8)
    _, few = fitted(MCDropout(digits_cnn, 20), (1, 8, 8))
    _, many = fitted(MCDropout(digits_cnn, 100), (1, 8, 8))
    torch.testing.assert_close(few.log_probs(inputs), many.log_probs(inputs)[:, :20])


def test_what_a_model_provides_depends_on_samples_that_can_differ():
    dropping = mlp(input_shape=(3,), num_classes=2)
    keeping = mlp(input_shape=(3,), num_classes=2, dropout=0.0)
    always = {FEATURES, GRADIENTS, LOGITS, NETWORK}
    assert Deterministic(mlp).provides(dropping) == always
    assert DDU(mlp).provides(dropping) == always | {DENSITY}
    assert MCDropout(mlp, 2).provides(dropping) == always | {SAMPLES}
    assert MCDropout(mlp, 1).provides(dropping) == always
    assert MCDropout(mlp, 20).provides(keeping) == always
    assert DeepEnsemble(mlp, 2).provides(keeping) == {FEATURES, SAMPLES}
    assert DeepEnsemble(mlp, 1).provides(dropping) == always
    assert LastLayerLaplace(mlp, 2).provides(keeping) == always | {SAMPLES}
    assert LastLayerLaplace(mlp, 1).provides(keeping) == always
    assert SNGP(mlp, 2).provides(keeping) == (always | {SAMPLES}) - {GRADIENTS}
    assert SNGP(mlp, 1).provides(dropping) == always - {GRADIENTS}


def test_mc_dropout_without_dropout_repeats_one_prediction():
    _, posterior = fitted(MCDropout(partial(digits_cnn, dropout=0.0), 3), (1, 8, 8))
    log_probs = posterior.log_probs(torch.randn(4, 1, 8, 8))
    assert torch.equal(log_probs, log_probs[:, :1].expand_as(log_probs))
    assert SAMPLES not in posterior.provides


def test_impossible_models_are_refused():
    with pytest.raises(ConfigError, match="num_samples"):
        MCDropout(mlp, 0)
    with pytest.raises(ConfigError, match="num_members"):
        DeepEnsemble(mlp, 0)
    with pytest.raises(ConfigError, match=r"^network must"):
        Deterministic({"_target_": "somewhere"})
    with pytest.raises(ConfigError, match=r"^covariance=full is unknown\. Valid: class, shared\."):
        DDU(mlp, "full")
    with pytest.raises(ValueError, match="expected 3 networks"):
        DeepEnsemble(mlp, 3).posterior([], NOTHING, torch.Generator(), FLOAT32)


@pytest.mark.slow
def test_three_hundred_steps_teach_mc_dropout_the_digits():
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = torch.randperm(1797, generator=torch.Generator().manual_seed(0))
    inputs = torch.tensor(digits.images, dtype=FLOAT32).unsqueeze(1)[order] / 8 - 1
    labels = torch.tensor(digits.target)[order]
    model = MCDropout(digits_cnn, 20)
    torch.manual_seed(0)
    network = model.build((1, 8, 8), 10)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001)
    generator = torch.Generator().manual_seed(0)
    for _ in range(300):
        batch = torch.randint(400, (32,), generator=generator)
        masks = draw_masks(network, 32, generator, torch.device("cpu"))
        optimizer.zero_grad()
        F.cross_entropy(network(inputs[batch], masks), labels[batch]).backward()
        optimizer.step()
    log_probs = model.posterior([network], NOTHING, generator, FLOAT32).log_probs(inputs[400:])
    predicted = (log_probs.logsumexp(1)).argmax(-1)
    assert (predicted == labels[400:]).double().mean() > 0.93
