"""A chapter's script runs its presets, each preset is in one, a missing folder is told."""

import re
import subprocess
from pathlib import Path

import pytest

from al_bench.configuration.choices import choices
from al_bench.configuration.config_dir import config_dir

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "scripts").glob("chapter_*.sh"))
PRESETS = {name for name, _ in choices("experiment", [config_dir()])}


def call(script, *words, path):
    """Run a script with an ``al-bench`` that only writes down what it is told."""
    (path / "al-bench").write_text('#!/bin/sh\necho "$@"\n')
    (path / "al-bench").chmod(0o755)
    return subprocess.run(
        ["sh", script, *words],
        env={"PATH": f"{path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_preset_but_the_demo_is_in_one_chapter(tmp_path):
    said = "".join(call(script, "data", path=tmp_path).stdout for script in SCRIPTS)
    named = re.findall(r"experiment=(\S+)", said)
    assert sorted(named) == sorted(PRESETS - {"demo"})


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_chapter_passes_on_the_folder_and_other_words_and_then_compares(script, tmp_path):
    done = call(script, "my data", "workers=2", path=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    last = [line for line in lines if line.startswith(("compare ", "plot "))]
    computed = [line for line in lines if line not in last]
    folder = script.stem.removeprefix("chapter_")
    for line in computed:
        assert line.startswith(("run ", "study "))
        assert line.endswith(f"dataset.root=my data results=results/{folder} workers=2")
    if any(line.startswith("run ") for line in computed):
        assert [line.split()[:2] for line in last] == [
            ["compare", f"results/{folder}"],
            ["plot", f"results/{folder}"],
        ]
        assert lines[-2:] == last


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_missing_folder_is_told_in_one_line(script, tmp_path):
    done = call(script, path=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "usage:" in done.stderr
    assert "FOLDER" in done.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_chapter_stops_where_a_run_fails(script, tmp_path):
    (tmp_path / "al-bench").write_text("#!/bin/sh\necho once\nexit 1\n")
    (tmp_path / "al-bench").chmod(0o755)
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["sh", script, "data"], env=path, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"once\n")
