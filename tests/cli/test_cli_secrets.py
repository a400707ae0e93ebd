"""What is typed as a secret is stored, shown and published nowhere, and asked for again."""

import json
import sys

import pyarrow.parquet as pq
import pytest

from al_bench import masking

OWN = """
from dataclasses import dataclass
from al_bench.data.digits import Digits
from al_bench.strategies.random import Random


@dataclass(frozen=True)
class Tracked:
    api_key: str = ""

    def start(self, trial):
        assert self.api_key == "sk-tracker"
        assert "sk-strategy" not in str(trial.parameters)
        raise OSError(f"refused {self.api_key}")

    def log(self, run, row): ...

    def finish(self, run, status): ...


@dataclass(frozen=True)
class Asks(Random):
    token: str | None = None

    def select(self, view, batch_size, generator):
        if self.token != "sk-strategy":
            raise OSError(f"login of {self.token} at https://me:sk-inline@host/x failed")
        return super().select(view, batch_size, generator)
"""
QUICK = ("seeds=1", "budget.total=30")


@pytest.fixture
def own(tmp_path, monkeypatch):
    """``strategy=asks``, which needs its token, and ``tracker=tracked``."""
    monkeypatch.setattr(masking, "_secrets", set())
    (tmp_path / "own_secrets.py").write_text(OWN)
    for group, name in (("strategy", "Asks"), ("tracker", "Tracked")):
        (tmp_path / "mine" / group).mkdir(parents=True)
        file = tmp_path / "mine" / group / f"{name.lower()}.yaml"
        file.write_text(f"# Mine\n_target_: own_secrets.{name}\n")
    yield ("--config-dir", "mine", "strategy=asks")
    sys.modules.pop("own_secrets", None)


def everything(folder):
    """Every file's content, footers of curves in plain text too."""
    found = b""
    for path in folder.rglob("*"):
        if path.is_file():
            found += path.read_bytes()
            if path.suffix == ".parquet":
                found += str(pq.read_schema(path).metadata).encode()
    return found


@pytest.mark.promise("Secrets stay home")
@pytest.mark.slow
def test_secrets_are_stored_and_published_nowhere(al_bench, quick_run, own, tmp_path, monkeypatch):
    typed = (*own, "+strategy.token=sk-strategy")
    code, out, err = quick_run(*typed, "tracker=tracked", "+tracker.api_key=sk-tracker", *QUICK)
    assert code == 0, err
    assert "refused <masked>" in out
    (manifest,) = (tmp_path / "results").rglob("manifests/seed=0.json")
    command = json.loads(manifest.read_text())["command"]
    assert "strategy.token=<masked>" in command
    assert "tracker.api_key=<masked>" in command
    failing = (*own, "+strategy.token=sk-wrong", "results=other", *QUICK)
    code, failed, err = quick_run(*failing)
    assert code == 1
    assert "login of <masked> at https://me:<masked>@host/x failed" in " ".join(failed.split())
    sweep = quick_run(*own, "-m", "+strategy.token=sk-wrong,sk-worse", "results=other", *QUICK)
    assert sweep[0] == 1
    code, _, err = al_bench("report", "results", "out=r.html", "baseline=asks(token=<masked>)")
    assert code == 0, err
    stored = everything(tmp_path / "results") + everything(tmp_path / "other")
    shown = f"{out}{failed}{sweep}{err}{(tmp_path / 'r.html').read_text()}"
    for secret in ("sk-strategy", "sk-tracker", "sk-wrong", "sk-worse", "sk-inline"):
        assert secret.encode() not in stored
        assert secret not in shown
    assert str(tmp_path) not in (tmp_path / "r.html").read_text()

    path = str(manifest.relative_to(tmp_path))
    code, _, err = al_bench("rerun", path, *own[:2])
    assert code == 2
    assert err == (
        "al-bench: strategy.token is masked in what is stored. "
        "Add strategy.token=… as for al-bench run.\n"
    )
    monkeypatch.setattr(masking, "_secrets", set())
    code, out, err = al_bench("rerun", path, *own[:2], "strategy.token=sk-strategy")
    assert (code, out.splitlines()[-1][:9]) == (0, "The same:"), out + err


@pytest.mark.promise("Secrets stay home")
@pytest.mark.slow
def test_the_id_is_hashed_before_a_secret_is_masked(quick_run, own, tmp_path):
    for token in ("sk-strategy", "sk-another"):
        quick_run(*own, f"+strategy.token={token}", *QUICK)
    runs = {path.parent.parent for path in (tmp_path / "results").rglob("manifests/*.json")}
    assert len(runs) == 2
