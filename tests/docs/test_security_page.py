"""Every promise of SECURITY.md has tests, and every test of one names it as the page does."""

import ast

import pytest


def promises_of(source):
    """Titles with which the tests of a file are marked."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.promise":
            yield ast.literal_eval(node.args[0])


@pytest.mark.slow
def test_every_promise_has_tests(pytestconfig):
    page = (pytestconfig.rootpath / "SECURITY.md").read_text(encoding="utf-8")
    promised = page.partition("## What is promised")[2].partition("\n## ")[0]
    titles = {line[4:] for line in promised.splitlines() if line.startswith("### ")}
    marked = {
        title
        for file in (pytestconfig.rootpath / "tests").rglob("test_*.py")
        for title in promises_of(file.read_text(encoding="utf-8"))
    }
    assert len(titles) > 1
    assert marked == titles
