"""The page of strategies says what the strategies' own files say."""

import importlib.util
import inspect
from pathlib import Path

import pytest
from hydra.utils import get_object

from al_bench.strategies.pointwise import Pointwise

ROOT = Path(__file__).parents[2]


def test_the_page_names_every_strategy():
    text = (ROOT / "docs" / "strategies.md").read_text("utf-8")
    for path in (ROOT / "conf" / "strategy").glob("*.yaml"):
        assert f"### {path.stem}\n" in text or f"| `{path.stem}` |" in text


@pytest.fixture(scope="module")
def script():
    file = ROOT / "scripts" / "write_strategy_page.py"
    spec = importlib.util.spec_from_file_location("write_strategy_page", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_holds_the_docstring_of_every_class(script):
    page = script.PAGE.read_text("utf-8")
    folders = (script.CONF, script.CONF / "score", script.CONF / "rule")
    targets = {script.target(path) for folder in folders for path in folder.glob("*.yaml")}
    for item in map(get_object, targets):
        if inspect.isclass(item) and item is not Pointwise:
            assert script.text(item) in page, item


@pytest.mark.slow
def test_the_page_is_what_its_script_writes(script):
    assert script.PAGE.read_text("utf-8") == script.page()
