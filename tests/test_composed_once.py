"""What tests compose quickly is what Hydra composes."""

import composed_once
from omegaconf import OmegaConf

from al_bench.configuration.composing import compose_whole


def test_copies_are_what_hydra_composes(tmp_path):
    (tmp_path / "strategy").mkdir()
    own = tmp_path / "strategy" / "own.yaml"
    own.write_text("_target_: own.Own\n")
    words = ["strategy=own", "budget.total=50", "+streams.init=1", "~seeds"]
    for _ in range(2):
        composed = compose_whole(words, tmp_path)
        said = OmegaConf.to_yaml(composed)
        composed.strategy = None  # of a copy
    assert "total: 50" in said
    with composed_once.uninstalled():
        assert OmegaConf.to_yaml(compose_whole(words, tmp_path)) == said
    own.write_text("_target_: own.Own\npower: 2\n")
    assert compose_whole(words, tmp_path).strategy.power == 2
