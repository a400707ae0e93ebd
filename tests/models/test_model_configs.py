"""Every model and network of the configuration builds and predicts."""

import functools
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from labeled_points import NOTHING

from al_bench.configuration.building import build
from al_bench.configuration.own_hydra import BASE
from al_bench.models.base import NetworkModel

CONF = Path(__file__).parents[2] / "conf" / "model"
MODELS = sorted(path.stem for path in CONF.glob("*.yaml"))
NETWORKS = sorted(path.stem for path in (CONF / "network").glob("*.yaml"))
LARGE = ("ddu_resnet18", "vgg16", "wide_resnet28_10")


@functools.cache
def all_configured():
    """Every model, with its own network and with every one: a composition each takes seconds."""
    pairs = [(model, network) for model in MODELS for network in NETWORKS]
    models = [f"+model@{model}.{network}={model}" for model, network in pairs]
    networks = [f"model/network@{model}.{network}.network={network}" for model, network in pairs]
    alone = [f"+model@{model}.own={model}" for model in MODELS]
    with initialize_config_dir(str(CONF.parent), **BASE):
        return compose(overrides=[*alone, *models, *networks])


def configured(model, network="own"):
    return all_configured()[model][network]


def cost(network):
    """Networks of ten million weights take seconds with each model."""
    return pytest.param(network, marks=[pytest.mark.slow] if network in LARGE else [])


@pytest.mark.slow
@pytest.mark.parametrize("network", [cost(network) for network in NETWORKS])
@pytest.mark.parametrize("name", MODELS)
def test_every_model_builds_every_network(name, network):
    model = build(configured(name, network), "model")
    if not isinstance(model, NetworkModel):
        assert model.network is None
        return
    built = model.build((1, 28, 28), 4)
    assert built.output.out_features == 4
    posterior = model.posterior(
        [built] * model.num_networks, NOTHING, torch.Generator().manual_seed(0), torch.float32
    )
    assert posterior.log_probs(torch.zeros(1, 1, 28, 28)).shape == (1, model.num_samples, 4)
    assert posterior.provides == model.provides(built)


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_begins_with_one_line_that_says_what_it_is(path):
    first, second = path.read_text(encoding="utf-8").splitlines()[:2]
    assert first.startswith("# ")
    assert 20 < len(first) <= 100
    assert not second.startswith("#")


@pytest.mark.parametrize("name", MODELS)
def test_defaults_in_the_file_are_those_of_the_class(name):
    config = configured(name)
    model = build(config, "model")
    plain = type(model)(network=model.network)
    for parameter in config:
        if parameter not in ("_target_", "network"):
            assert getattr(model, parameter) == getattr(plain, parameter)


@pytest.mark.parametrize("network", NETWORKS)
def test_defaults_in_a_network_file_are_those_of_its_function(network):
    from inspect import signature

    factory = build(configured("deterministic", network), "model").network
    defaults = signature(factory.func).parameters
    for name, value in factory.keywords.items():
        default = defaults[name].default
        assert (tuple(value) if isinstance(default, tuple) else value) == default
