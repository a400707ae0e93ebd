"""Every data set and pool of the configuration builds what its file says."""

import dataclasses
from pathlib import Path

import pytest
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from al_bench.configuration.building import build
from al_bench.configuration.composing import compose

CONF = Path(__file__).parents[2] / "conf"
WITHOUT_DEFAULT = {
    "arrays": {"path": "mine.npz"},
    "contaminate": {"source": "usps"},
    "remap": {"classes": [0, 1]},
}
CHOICES = [*sorted(CONF.glob("dataset/*.yaml")), *sorted(CONF.glob("pool/*.yaml"))]


def objects(path: Path) -> list[DictConfig]:
    """What the file builds: a data set, or the transforms of a pool by their keys."""
    config = OmegaConf.load(path)
    assert isinstance(config, DictConfig)
    config.pop("defaults", None)
    if path.parent.name == "dataset":
        return [config]
    return [config[key] for key in config]


@pytest.mark.parametrize("path", CHOICES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_choice_says_what_it_is_and_repeats_the_defaults_of_its_class(path: Path) -> None:
    assert path.read_text().startswith("# ")
    for config in objects(path):
        cls = get_class(config.pop("_target_"))
        fields = [field for field in dataclasses.fields(cls) if field.init]
        assert list(config) == [field.name for field in fields]
        for field in fields:
            if field.default is dataclasses.MISSING:
                assert OmegaConf.is_missing(config, field.name)
            else:
                assert config[field.name] == field.default


@pytest.mark.parametrize("path", CHOICES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_choice_builds_its_object_without_loading_anything(path: Path) -> None:
    for config in objects(path):
        for name, value in WITHOUT_DEFAULT.get(path.stem, {}).items():
            config[name] = value
        built = build(config, path.stem)
        assert hasattr(built, "load") or hasattr(built, "stage")


COLOR = dict.fromkeys(("cifar10", "cifar100", "cinic10", "svhn", "caltech101"), (3, 32, 32))
SHAPES = {"arrays": (4,), "digits": (1, 8, 8), "usps": (1, 16, 16), **COLOR}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.stem for path in CONF.glob("dataset/*.yaml")))
def test_a_data_set_brings_a_network_that_the_default_strategy_can_use(name: str) -> None:
    config = compose([f"dataset={name}"]).config
    provided = build(config.model, "model").check(SHAPES.get(name, (1, 28, 28)), 10)
    assert build(config.strategy, "strategy").needs <= provided


@pytest.mark.parametrize("path", sorted(CONF.glob("pool/*.yaml")), ids=lambda path: path.stem)
def test_a_pool_choice_is_named_by_its_key(path: Path) -> None:
    config = OmegaConf.load(path)
    assert list(config) == ([] if path.stem == "full" else [path.stem])
