"""Of somebody's checkout a run stores what it ran, and runs nothing that the checkout names."""

import json
import subprocess
import sys

import pytest

from al_bench.results import provenance

STRATEGY = "from al_bench.strategies.random import Random\n\n\nclass Mine(Random):\n    pass\n"


@pytest.mark.promise("A repository runs nothing")
@pytest.mark.slow
def test_only_ones_own_classes_are_compared_with_their_commit(quick_run, tmp_path):
    def git(*arguments):
        author = ("-c", "user.email=a@b", "-c", "user.name=n")
        subprocess.run(["git", "-C", str(tmp_path), *author, *arguments], check=True)

    (tmp_path / "mine_in_git.py").write_text(STRATEGY)
    (tmp_path / ".env").write_text("TOKEN=old")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "first")
    (tmp_path / "mine_in_git.py").write_text(f"{STRATEGY}# changed\n")
    (tmp_path / ".env").write_text("TOKEN=private")
    (tmp_path / ".gitattributes").write_text("* filter=x diff=x\n")
    for key in ("core.fsmonitor", "filter.x.clean", "diff.x.textconv", "diff.external"):
        git("config", key, f"touch {tmp_path}/run; cat")
    sys.modules.pop("mine_in_git", None)
    provenance.code_of_own.cache_clear()
    code, _, err = quick_run("strategy=mine_in_git.Mine", "seeds=1", "budget.total=30")
    assert code == 0, err
    (path,) = (tmp_path / "results").rglob("manifests/seed=0.json")
    state = json.loads(path.read_text())["code"]["own_code"]
    assert len(state["commit"]) == 40
    stored = path.with_name(state["diff"]).read_text()
    assert "+# changed" in stored
    assert "TOKEN" not in stored
    assert not (tmp_path / "run").exists()
