"""What differs names stored runs wherever they are shown: status, plot, compare and report."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from fake_trials import ENGINE, IDENTITY, row_of

from al_bench import cli
from al_bench.report import content
from al_bench.results.identity import text_hash
from al_bench.results.schema import SAMPLING
from al_bench.results.store import Store

CONFIG = "training: {{start: {start}, learning_rate: 0.001}}\nstrategy: {{_target_: {name}}}\n"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two strategies with cold and with warm starts, two seeds each; oracle sees labels."""
    for start, gain in (("cold", 0.0), ("warm", 0.1)):
        for name, more in (("random", 0.0), ("oracle", 0.2)):
            identity = replace(
                IDENTITY,
                run_id=text_hash(name + start),
                protocol_id=text_hash(start),
                protocol=json.dumps({"fingerprint": "f00d"}),
                strategy=name,
                strategy_label=name,
                config=CONFIG.format(start=start, name=name),
            )
            for seed in (0, 1):
                with Store(tmp_path / "results").claim(identity, seed, ENGINE) as files:
                    for round in range(3):
                        accuracy = 0.5 + 0.1 * round + gain + more * (round > 0) + 0.001 * seed
                        row = row_of(round, test_accuracy=accuracy, label_access=name == "oracle")
                        files.commit(row, [])
                    if (name, start, seed) == ("oracle", "warm", 1):
                        files.fail(ValueError("not today"), "", 3)
                    else:
                        files.finish("budget")
    return tmp_path / "results"


@pytest.mark.slow
def test_status_names_runs_by_what_differs(results: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["status", str(results)]) == 0
    out = capsys.readouterr().out
    assert "what differs" in out
    assert out.count("start=cold") == 2
    assert out.count("start=warm") == 4  # two states, and a line for the failure
    assert "failed: oracle on classification, start=warm seed 1: round 3: ValueError" in out
    assert cli.main(["status", str(results), "state=done"]) == 0
    assert "start=warm" in capsys.readouterr().out


@pytest.mark.slow
def test_arms_of_any_key_from_the_command_line(results: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["compare", str(results), "arms=[strategy,training.start]"]) == 0
    out = capsys.readouterr().out
    assert "Baseline of each arm: random with the same training.start." in out
    assert "oracle · start=warm (sees labels)" in out
    assert cli.main(["compare", str(results), "arms=[strategy,strt]"]) == 2
    assert "There is no arm 'strt'. Did you mean 'start'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_report_marks_controls_and_lists_what_differs(
    results: Path, monkeypatch: pytest.MonkeyPatch
):
    drawn = []

    def draw(frame, options):
        drawn.append((set(frame["strategy_label"]), options.baseline))
        return {}

    monkeypatch.setattr(content, "available", lambda: {"curves": draw})
    found = content.collect([results], "test_accuracy", "random", (), "Title")
    assert drawn == [({"random", "oracle (sees labels)"}, "random")]
    tables = [table for section in found.sections for table in section.tables]
    assert all(("oracle (sees labels)" in [row[0] for row in table.rows]) for table in tables)
    assert all(line.endswith(".") and "oracle (sees labels) " in line for line in found.summary)
    choices = [dict(section.protocol.rows) for section in found.sections]
    assert [own["training.start"] for own in choices] == ["cold", "warm"]
    assert "training.learning_rate" not in choices[0]  # the same in both
    assert [section.title.rpartition(" · ")[2] for section in found.sections] == [
        "start=cold",
        "start=warm",
    ]
    content.collect([results], "test_accuracy", "oracle", (), "Title")
    assert drawn[-1][1] == "oracle (sees labels)"


@pytest.mark.slow
def test_active_sampling_is_told_in_steps(results: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("uniform", "rho_loss"):
        identity = replace(
            IDENTITY, run_id=text_hash(name), strategy=name, strategy_label=name, config="{}\n"
        )
        with Store(results / "sampling").claim(identity, 0, ENGINE) as files:
            for round in range(2):
                sampling = {"setting": SAMPLING, "num_labeled": 649, "total_steps": 70 * round}
                files.commit(row_of(round, test_accuracy=0.5, **sampling), [])
            if name == "uniform":
                files.finish("budget")
            else:
                assert re.search(r"rho_loss.*│ running *│ 0 *│ +70 steps │", told(results, capsys))
    assert re.search(r"│ seeds │ +steps │", told(results / "sampling", capsys).replace("┃", "│"))
    everything = told(results, capsys)
    assert re.search(r"uniform.*│ done *│ 0 *│ +70 steps │", everything)
    assert re.search(r"random.*│ done *│ 0–1 *│ +8 labels │", everything)
    [manifest] = (results / "sampling").rglob(f"{text_hash('uniform')}/manifests/seed=0.json")
    content = json.loads(manifest.read_text())
    assert content.pop("total_steps") == 70
    manifest.write_text(json.dumps(content))  # as manifests without that key are
    assert re.search(r"uniform.*│ done *│ 0 *│ +70 steps │", told(results, capsys))
    assert cli.main(["info", str(manifest.parent.parent)]) == 0
    out = capsys.readouterr().out
    assert "0 to 70 in 2 rounds, on 649 points" in out
    assert "% at 70 steps" in out


def told(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What status says of a folder."""
    assert cli.main(["status", str(folder)]) == 0
    return capsys.readouterr().out
