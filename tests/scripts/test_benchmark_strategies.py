"""The benchmark of strategies, at sizes that take a second: what it writes, never how fast."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def benchmark(monkeypatch):
    """The script's modules, importable as when it is run."""
    monkeypatch.setattr(sys, "path", [str(SCRIPTS), *sys.path])
    import benchmark_strategies

    return benchmark_strategies


@pytest.fixture
def fake_row(benchmark, monkeypatch):
    """Make one row of cases the only one there is."""
    from strategy_benchmarks.case import Case, Peer

    def install(*peers, **fields):
        fields = {"ours": lambda: [1, 2], **fields}
        case = Case("fake", "Fake", "N 2", peers=tuple(Peer(*peer) for peer in peers), **fields)
        monkeypatch.setattr(benchmark, "ROWS", {"fake": lambda options: [case]})

    return install


def measured(benchmark, tmp_path, *words):
    out = tmp_path / "out.json"
    status = benchmark.main(["--quick", "--repeats", "2", "--out", str(out), *words])
    return status, json.loads(out.read_text())


@pytest.mark.slow
def test_every_comparison_has_ratios_a_floor_and_the_same_answers(benchmark, tmp_path, capsys):
    status, content = measured(benchmark, tmp_path, "--only", "badge,bait,epig,k_center")
    assert status == 0
    assert content["quick"] is True
    assert content["threads"] == 1
    assert set(content["versions"]) >= {"python", "torch", "al-bench"}
    rows = {row["row"]: row for row in content["rows"]}
    assert set(rows) == {"badge", "bait", "epig", "k_center"}
    for row in rows.values():
        assert len(row["repetitions"]) == 2
        assert row["seconds"]["min"] <= row["seconds"]["median"] <= row["seconds"]["max"]
        for peer in row["peers"]:
            installed = [peer["name"] in each["seconds"] for each in row["repetitions"]]
            assert all(installed) if peer["ratio"] else not any(installed)
            assert peer["failed"] is None
            if peer["ratio"] and row["agreement"] is None and "float32" not in peer["name"]:
                assert peer["agreement"]["equal"] is True
        if row["floor"]:
            assert row["floor"]["ratio"]["median"] > 0
    assert rows["badge"]["agreement"]["equal"] is True
    assert rows["bait"]["peers"][0]["agreement"] == {"equal": True}
    assert "BADGE" in capsys.readouterr().out


@pytest.mark.slow
def test_strategies_and_scores_are_found_by_themselves_and_printed_as_tables(
    benchmark, tmp_path, capsys
):
    words = ("--only", "pointwise,every,scaling", "--names", "entropy,coreset")
    _, content = measured(benchmark, tmp_path, *words)
    names = [row["name"] for row in content["rows"]]
    posteriors = ["digits, enlarged, 40 labels", "digits, enlarged, 200 labels", "random"]
    scores = [f"score entropy, {posterior}" for posterior in posteriors]
    assert names == [*scores, "strategy coreset", "strategy entropy"]
    assert [entry["name"] for entry in content["scaling"]] == ["coreset", "entropy"]
    for entry in content["scaling"]:
        assert set(entry["points"]["exponent"]) == {"median", "min", "max"}
        assert len(entry["batch"]["seconds"]) == 2
    for row in content["rows"][3:]:
        assert row["at_most_bytes"] == 4 * 2**30
    capsys.readouterr()
    out = str(tmp_path / "out.json")
    assert benchmark.main(["--table", out, out]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("| coreset |") for line in lines) == 2  # bounds and exponents
    tables = [line for line in lines if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)


def test_a_trained_posterior_gives_the_same_picks_as_long_as_they_are_exact(benchmark, tmp_path):
    pytest.importorskip("batchbald_redux")
    status, content = measured(benchmark, tmp_path, "--only", "batchbald")
    assert status == 0
    for row in content["rows"]:
        (peer,) = row["peers"]
        assert peer["agreement"]["compared"] >= 3
        assert peer["agreement"]["equal"]


@pytest.mark.slow
def test_another_answer_than_the_peers_is_told_and_fails(benchmark, fake_row, tmp_path, capsys):
    fake_row(
        ("Peer", lambda: [2, 1]),
        agreement=lambda ours, theirs: {name: {"equal": ours == a} for name, a in theirs.items()},
    )
    status, _ = measured(benchmark, tmp_path, "--only", "fake")
    assert status == 1
    assert "Fake: another answer than Peer" in capsys.readouterr().err


@pytest.mark.slow
def test_what_fails_or_is_missing_leaves_the_rest_measured(benchmark, fake_row, tmp_path, capsys):
    def broken():
        raise AttributeError("np.Inf was removed")

    fake_row(("Broken", broken), ("Missing", None), ("Sound", lambda: [1, 2]))
    status, content = measured(benchmark, tmp_path, "--only", "fake")
    assert status == 0
    peers = {peer["name"]: peer for peer in content["rows"][0]["peers"]}
    assert peers["Broken"]["failed"] == "AttributeError: np.Inf was removed"
    assert peers["Broken"]["ratio"] is None
    assert peers["Missing"]["ratio"] is None
    assert peers["Sound"]["ratio"]["median"] > 0
    benchmark.main(["--table", str(tmp_path / "out.json")])
    assert "| Missing | not installed |" in capsys.readouterr().out


@pytest.mark.slow
def test_a_case_that_breaks_is_told_and_leaves_the_others(benchmark, fake_row, tmp_path, capsys):
    def broken():
        raise RuntimeError("no such stride")

    fake_row(ours=broken)
    cases = benchmark.ROWS["fake"]
    benchmark.ROWS["sound"] = lambda options: [
        replace(case, ours=lambda: [1], row="sound") for case in cases(options)
    ]
    status, content = measured(benchmark, tmp_path, "--only", "fake,sound")
    assert status == 1
    assert [row.get("failed") for row in content["rows"]] == ["RuntimeError: no such stride", None]
    assert "Fake: RuntimeError: no such stride" in capsys.readouterr().err
    assert benchmark.main(["--table", str(tmp_path / "out.json")]) == 0


@pytest.mark.slow
def test_a_selection_that_takes_too_long_is_stopped_and_told(benchmark, tmp_path):
    words = ("--only", "every", "--names", "coreset", "--minutes", "0.0000001")
    status, content = measured(benchmark, tmp_path, *words)
    assert status == 0
    assert "more than" in content["rows"][0]["failed"]


def test_an_unknown_row_is_refused_by_name(benchmark, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(["--only", "badge,nothing"])
    assert "no row is called 'nothing'; choose from batchbald" in capsys.readouterr().err


@pytest.mark.slow
def test_a_peak_is_that_of_the_call_alone(benchmark):
    import torch
    from strategy_benchmarks.memory import with_peak

    _, peak = with_peak(lambda: torch.ones(2**22).sum())
    if peak is None:
        pytest.skip("the system does not tell")
    assert 0.9 * 2**24 < peak < 2**25  # the kernel counts pages in batches
