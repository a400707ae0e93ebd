"""The script that measures a GPU types commands that there are, and tells how each came out."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from al_bench.configuration.composing import compose
from al_bench.configuration.planning import combinations

SCRIPT = Path(__file__).parents[2] / "scripts" / "gpu_engine.sh"
AL_BENCH = """#!/bin/sh
echo "$@" >> {said}
for word in "$@"; do case $word in results=*once)
  mkdir -p "${{word#results=}}/id/manifests" && touch "${{word#results=}}/id/manifests/seed=0.json"
esac; done
"""


def measure(folder, *words, python="exit 0"):
    """Run the script with an ``al-bench`` that only writes down what it is told."""
    (folder / "al-bench").write_text(AL_BENCH.format(said=folder / "said"))
    (folder / "python").write_text(f"#!/bin/sh\n{python}\n")
    for name in ("al-bench", "python"):
        (folder / name).chmod(0o755)
    path = {"PATH": f"{folder}:/usr/bin:/bin"}
    done = subprocess.run(["sh", SCRIPT, *words], env=path, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_every_command_of_it_composes_and_the_repetition_names_a_manifest(tmp_path):
    code, _, said = measure(tmp_path, "data", str(tmp_path / "out"))
    assert (code, said) == (0, "")
    lines = [shlex.split(line) for line in (tmp_path / "said").read_text().splitlines()]
    assert ["rerun", f"{tmp_path}/out/once/id/manifests/seed=0.json", "dataset.root=data"] in lines
    runs = [[word for word in line[1:] if word != "-m"] for line in lines if line[0] == "run"]
    jobs = [words for run in runs for words in combinations(run)]
    assert len(jobs) == 14
    for words in jobs:
        composed = compose(words)
        assert composed.value("device") == "cuda"
        assert composed.value("pack_width") >= 2
    trials = sum(compose(words).value("seeds") for words in jobs if "seeds=6" in words)
    assert trials == 72


def test_a_step_that_fails_or_runs_past_its_limit_is_told_and_the_next_begins(tmp_path):
    code, said, _ = measure(tmp_path, "data", str(tmp_path / "out"), python="echo no GPU; exit 3")
    assert code == 1
    told = (tmp_path / "out" / "steps.txt").read_text()
    assert re.search(r"^tests: exit 3 after \d+ s$", told, re.MULTILINE)
    assert "no GPU" in said
    assert told.splitlines()[-1].startswith("repeated_mnist: exit 0 ")


def test_its_limits_add_up_to_ten_minutes():
    text = SCRIPT.read_text().replace("\\\n", " ")
    steps = re.findall(r"^ *(?:step|run) [a-z_]+ (\d+) ", text, re.MULTILINE)
    assert sum(map(int, steps)) == 600


@pytest.mark.parametrize("words", [(), ("data",)])
def test_a_missing_folder_is_told_in_one_line(words, tmp_path):
    code, said, complaint = measure(tmp_path, *words)
    assert (code, said, complaint.count("\n")) == (2, "", 1)
    assert "FOLDER OUT" in complaint
