"""The page on studies: every study and column is on it, and its example runs."""

import dataclasses
import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from al_bench.configuration.choices import choices
from al_bench.configuration.config_dir import config_dir
from al_bench.configuration.targets import locate
from al_bench.results.studies import COMMON

PAGE = (Path(__file__).parents[2] / "docs" / "studies.md").read_text()
STUDIES = [name for name, _ in choices("study", [config_dir()])]
CODE = re.search(r"`my_study\.py`:\n\n```python\n(.*?)```\n\n```sh\n(.*?)```", PAGE, re.DOTALL)


def columns(text):
    return re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_a_part_with_its_columns(name):
    (part,) = re.findall(rf"^## `{name}`\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    study = locate(OmegaConf.load(config_dir() / "study" / f"{name}.yaml").study._target_)
    assert columns(part) == [field.name for field in study.columns]
    for field in dataclasses.fields(study):
        assert f"`study.{field.name}`" in part


def test_the_columns_of_all_studies_are_on_it():
    assert columns(PAGE)[: len(COMMON)] == COMMON.names


@pytest.mark.slow
def test_the_example_is_a_study(tmp_path, monkeypatch, capsys):
    from al_bench import cli

    code, command = CODE.groups()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_study.py").write_text(code)
    words = command.split()[1:]
    quick = ["model/network=mlp", "training.epoch_size=64", "seeds=2"]
    assert cli.main([*(word for word in words if not word.startswith("seeds")), *quick]) == 0
    assert "Norm of the weights" in capsys.readouterr().out
