"""What tests compose quickly is what Hydra composes."""

import composed_once
from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import OmegaConf

from al_bench.configuration.composing import compose_whole


def test_copies_are_what_hydra_composes(tmp_path, monkeypatch):
    (tmp_path / "strategy").mkdir()
    own = tmp_path / "strategy" / "own.yaml"
    own.write_text("_target_: own.Own\n")
    words = ["strategy=own", "budget.total=50", "+streams.init=1", "~seeds"]
    for _ in range(2):
        composed = compose_whole(words, tmp_path)
        said = OmegaConf.to_yaml(composed)
        composed.strategy = None  # of a copy
    assert "total: 50" in said
    with monkeypatch.context() as patch:
        patch.setattr(config_loader_impl, "create_defaults_list", composed_once._create)
        name = "_compose_config_from_defaults_list"
        patch.setattr(ConfigLoaderImpl, name, composed_once._compose)
        assert OmegaConf.to_yaml(compose_whole(words, tmp_path)) == said
    own.write_text("_target_: own.Own\npower: 2\n")
    assert compose_whole(words, tmp_path).strategy.power == 2
