"""The picture of imports in CONTRIBUTING.md is that of the package as it is."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def drawing(monkeypatch):
    """The script's module, importable as when it is run."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "scripts"), *sys.path])
    import draw_imports

    return draw_imports


def test_the_picture_is_that_of_the_package(drawing):
    drawn = drawing.draw(ROOT / "al_bench")
    hint = "Rooms import each other otherwise: run python scripts/draw_imports.py and look at it."
    assert drawing.OUT.read_text(encoding="utf-8") == drawn, hint


def test_arrows_that_follow_from_others_and_those_to_the_ground_are_left_out(drawing, tmp_path):
    package = tmp_path / "house"
    (package / "attic").mkdir(parents=True)
    (package / "cellar").mkdir()
    (package / "earth.py").write_text("import os")
    (package / "hall.py").write_text("from house.cellar import wine")
    (package / "cellar" / "wine.py").write_text("def pour():\n    from house import earth")
    (package / "attic" / "roof.py").write_text("import house.hall\nfrom house import cellar, earth")
    graph = drawing.imports(package)
    assert graph["attic"] == {"hall", "cellar", "earth"}
    assert drawing.ground(graph, package) == {"earth"}
    del graph["earth"]
    graph = {room: reached - {"earth"} for room, reached in graph.items()}
    assert drawing.arrows(graph) == [("attic", "hall"), ("hall", "cellar")]
    assert drawing.lines(graph) == [["attic"], ["hall"], ["cellar"]]
    with pytest.raises(SystemExit, match="import each other in a circle"):
        drawing.lines(graph | {"cellar": {"attic"}})
