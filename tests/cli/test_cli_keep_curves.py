"""Curves that are kept in one file compare as the folder does that they are from."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "keep_curves.py"


@pytest.mark.slow
def test_kept_curves_compare_as_their_folder(al_bench, tmp_path):
    words = ("model=deterministic", "model/network=mlp", "model.network.dropout=0", "seeds=2")
    words += ("budget.passes=4", "budget.candidates=80")
    code, _, err = al_bench("run", "-m", "selection=uniform,loss", *words)
    assert (code, err) == (0, "")
    command = [sys.executable, SCRIPT, "results", "--out", "kept/digits"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    by_folder = al_bench("compare", "results")
    assert by_folder[0] == 0
    assert al_bench("compare", "kept/digits.parquet") == by_folder
    provenance = json.loads((tmp_path / "kept" / "digits.json").read_text())
    assert [sorted(run["trials"]) for run in provenance["runs"].values()] == [["0", "1"]] * 2
    assert "Loss" in "".join(run["configuration"] for run in provenance["runs"].values())
    assert all("al-bench run" in origin["command"] for origin in provenance["made_with"])
