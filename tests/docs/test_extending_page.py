"""The page on extending al-bench, followed to the letter."""

import re
import sys
from pathlib import Path

from al_bench import cli

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_the_pages_strategy_and_score_run(tmp_path, monkeypatch, capfd):
    (tmp_path / "mine" / "strategy" / "score").mkdir(parents=True)
    (source,) = blocks("python")
    score = "\n\ndef my_score(log_probs):\n    return log_probs.double().exp()[:, 0, 0]\n"
    (tmp_path / "my_strategy.py").write_text(source + score)
    strategy, my_score = blocks("yaml")
    (tmp_path / "mine" / "strategy" / "farthest.yaml").write_text(strategy)
    (tmp_path / "mine" / "strategy" / "score" / "my_score.yaml").write_text(my_score)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", ["al-bench"])
    quick = ["training.max_epochs=1", "training.epoch_size=64", "budget.total=40", "seeds=1"]
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(commands) == 5
    said = []
    for command in commands:
        program, *words = command.split()
        assert program == "al-bench"
        typed = [word.partition("=")[0] for word in words]
        more = [word for word in quick if words[0] == "run" and word.split("=")[0] not in typed]
        assert cli.main([*words, *more]) == 0, capfd.readouterr()
        said += capfd.readouterr().out.splitlines()
    assert list(tmp_path.glob("results/digits/mc_dropout/farthest/**/seed=0.parquet"))
    assert list(tmp_path.glob("results/digits/mc_dropout/entropy/**/seed=0.parquet"))
    assert list(tmp_path.glob("results/digits/mc_dropout/my_strategy.*/**/seed=0.parquet"))
    assert any("Farthest from the mean" in line for line in said)
    (shown,) = blocks("text")
    assert [line for line in shown.splitlines() if line not in said] == ["…"]
    monkeypatch.delitem(sys.modules, "my_strategy")
