"""What is computed once and kept by its content: hits, damage, and others at work on it."""

import logging
import multiprocessing
import os

import pytest
import torch

from al_bench.results import cache, locks
from al_bench.results.cache import cached

ABOUT = {"seed": 0, "model": "mlp"}


def counted(calls, value=1.0):
    def compute():
        calls.append(value)
        return {"losses": torch.tensor([value, 2.0]), "seconds": 0.5}

    return compute


def files(tmp_path):
    return sorted((tmp_path / ".cache" / "kind").glob("*.pt"))


def test_a_hit_says_the_same_and_computes_nothing(tmp_path):
    calls = []
    first = cached(tmp_path, "kind", ABOUT, counted(calls))
    again = cached(tmp_path, "kind", dict(reversed(ABOUT.items())), counted(calls, 9.0))
    assert len(calls) == 1
    assert torch.equal(first["losses"], again["losses"])
    assert first["seconds"] == again["seconds"] == 0.5
    cached(tmp_path, "kind", {**ABOUT, "seed": 1}, counted(calls))
    assert len(calls) == 2
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "other"])
def test_a_damaged_file_is_made_again(tmp_path, caplog, damage):
    calls = []
    cached(tmp_path, "kind", ABOUT, counted(calls))
    (path,) = files(tmp_path)
    data = path.read_bytes()
    spoiled = {
        "cut": data[:-5],
        "changed": data[:-5] + bytes([data[-5] ^ 1]) + data[-4:],
        "empty": b"",
        "other": b"x" * 200,
    }[damage]
    path.write_bytes(spoiled)
    with caplog.at_level(logging.WARNING):
        again = cached(tmp_path, "kind", ABOUT, counted(calls))
    assert "is made again" in caplog.text
    assert len(calls) == 2
    assert again["losses"].tolist() == [1.0, 2.0]
    assert path.read_bytes() == data
    cached(tmp_path, "kind", ABOUT, counted(calls))
    assert len(calls) == 2


def test_a_link_is_not_followed(tmp_path, caplog):
    calls = []
    cached(tmp_path, "kind", ABOUT, counted(calls))
    (path,) = files(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    os.replace(path, elsewhere)
    path.symlink_to(elsewhere)
    cached(tmp_path, "kind", ABOUT, counted(calls))
    assert len(calls) == 2
    assert not path.is_symlink()


def test_what_fails_leaves_nothing_and_gives_the_lock_back(tmp_path):
    def fails():
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        cached(tmp_path, "kind", ABOUT, fails)
    assert files(tmp_path) == []
    calls = []
    cached(tmp_path, "kind", ABOUT, counted(calls))
    assert len(calls) == 1


def test_what_a_killed_process_left_is_removed(tmp_path):
    calls = []
    cached(tmp_path, "kind", ABOUT, counted(calls))
    (path,) = files(tmp_path)
    path.unlink()
    left = path.with_name(f".{path.stem}.{path.name}.0123abcd.tmp")
    left.write_bytes(b"half")
    cached(tmp_path, "kind", ABOUT, counted(calls))
    assert not left.exists()


def _compute_slowly(folder, here, go):
    def compute():
        here.set()
        go.wait(20)
        return {"losses": torch.tensor([7.0])}

    cached(folder, "kind", ABOUT, compute)


def test_another_process_at_work_on_it_is_waited_for(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(cache, "LOOK_SECONDS", 0.01)
    context = multiprocessing.get_context("fork")
    here, go = context.Event(), context.Event()
    other = context.Process(target=_compute_slowly, args=(tmp_path, here, go))
    other.start()
    assert here.wait(20)
    monkeypatch.setattr(locks, "settle", lambda paths: go.set())
    calls = []
    with caplog.at_level(logging.WARNING):
        found = cached(tmp_path, "kind", ABOUT, counted(calls))
    other.join(20)
    assert calls == []
    assert found["losses"].tolist() == [7.0]
    assert f"process {other.pid}, which computes" in caplog.text
