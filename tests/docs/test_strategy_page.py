"""The page of strategies says what the strategies' own files say."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_page_names_every_strategy():
    text = (ROOT / "docs" / "strategies.md").read_text("utf-8")
    for path in (ROOT / "conf" / "strategy").glob("*.yaml"):
        assert f"### {path.stem}\n" in text or f"| `{path.stem}` |" in text


@pytest.mark.slow
def test_the_page_is_what_its_script_writes():
    file = ROOT / "scripts" / "write_strategy_page.py"
    spec = importlib.util.spec_from_file_location("write_strategy_page", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "strategies.md").read_text("utf-8") == module.page()
