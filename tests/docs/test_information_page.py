"""The page on information quantities names what is there, and its code runs."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "information.md").read_text()
NAMED = sorted(set(re.findall(r"`(\w+\.\w+)`", PAGE)) - {"al_bench.information"})


def test_the_pages_code_runs():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "information.md", "exec"), {})


@pytest.mark.parametrize("name", NAMED)
def test_every_function_named_is_documented_and_public(name):
    module, function = name.split(".")
    found = getattr(importlib.import_module(f"al_bench.information.{module}"), function)
    assert found.__doc__


def test_every_module_of_quantities_is_on_the_page():
    modules = {name.split(".")[0] for name in NAMED}
    assert modules == {
        "average",
        "entropies",
        "joint",
        "predictive",
        "changes",
        "observed",
        "crossentropy",
        "fisher",
    }


def test_every_strategy_named_exists():
    table = PAGE.split("## Strategies made of them")[1]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    names = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    known = {path.stem for path in (ROOT / "conf" / "strategy").glob("*.yaml")}
    assert len(rows) == 10
    assert names <= known
