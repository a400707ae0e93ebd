"""A command reads each configuration file once, and composes what Hydra composes."""

import pytest
from composed_once import uninstalled
from hydra._internal.config_repository import ConfigRepository
from omegaconf import OmegaConf

from al_bench.configuration import own_hydra
from al_bench.configuration.schema import RunConfig

WORDS = (["strategy=own", "seeds=2"], ["strategy=own", "++strategy.power=2"], ["strategy=bald"])


@pytest.fixture
def own(tmp_path):
    """A user's folder, and the file of a strategy there."""
    (tmp_path / "strategy").mkdir()
    file = tmp_path / "strategy" / "own.yaml"
    file.write_text("_target_: own.Own\n")
    return file


@pytest.fixture
def read(monkeypatch):
    """The files that were read."""
    found = []
    load = ConfigRepository.load_config

    def loaded(repository, config_path):
        result = load(repository, config_path)
        found.extend([config_path] if result is not None else [])
        return result

    monkeypatch.setattr(ConfigRepository, "load_config", loaded)
    return found


def composed(folder, words=WORDS):
    with own_hydra.started(RunConfig, folder) as hydra:
        return [OmegaConf.to_yaml(own_hydra.compose(hydra, one)) for one in words]


def test_jobs_of_a_command_share_what_is_read(own, read, tmp_path):
    with uninstalled():
        composed(tmp_path)
    assert {"config", "strategy/own", "strategy/bald"} <= set(read)
    assert len(read) == len(set(read))


@pytest.mark.slow
def test_jobs_are_what_hydra_composes(own, tmp_path, monkeypatch):
    with uninstalled():
        once = composed(tmp_path)
        monkeypatch.setattr(own_hydra, "ReadOnce", lambda repository: repository)
        assert composed(tmp_path) == once


@pytest.mark.slow
def test_the_next_command_reads_what_was_written_meanwhile(own, tmp_path):
    with uninstalled():
        composed(tmp_path)
        own.write_text("_target_: own.Own\npower: 3\n")
        assert "power: 3" in composed(tmp_path)[0]


def test_a_folder_that_one_job_names_is_no_other_jobs(own, tmp_path):
    (elsewhere := tmp_path / "elsewhere" / "strategy").mkdir(parents=True)
    (elsewhere / "own.yaml").write_text("_target_: own.Other\n")
    named = ["strategy=own", f"hydra.searchpath=[file://{elsewhere.parent}]"]
    with uninstalled():
        first, other, again = composed(tmp_path, [["strategy=own"], named, ["strategy=own"]])
    assert "own.Own" in first
    assert "own.Own" in again
    assert str(elsewhere.parent) in other
