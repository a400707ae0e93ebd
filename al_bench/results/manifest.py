"""The account of a trial: status, attempts, times, and what it was run with."""

import json
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from al_bench.masking import masked_code, masked_texts
from al_bench.results import atomic, inside, provenance, records
from al_bench.results.damage import FILES
from al_bench.results.identity import RunIdentity
from al_bench.results.lease import Holder
from al_bench.results.schema import IDENTITY

RUNNING = "running"
DONE = "done"
FAILED = "failed"
INTERRUPTED = "interrupted"

STATUSES = (RUNNING, DONE, FAILED, INTERRUPTED)

_MAYBE_TEXT = records.either(records.is_null, records.is_text)
_MAYBE_WHOLE = records.either(records.is_null, records.is_whole)
_PLAIN = records.mapping_of(records.is_plain)
_NEEDED = {"status": records.one_of(*STATUSES), **dict.fromkeys(IDENTITY, records.is_name)}
_MORE = {
    "init_strategy": records.either(records.is_null, records.is_name),
    "host": records.is_name,
    "configuration_id": records.is_name,
    **dict.fromkeys(("first_started", "started", "ended", "command", "error"), _MAYBE_TEXT),
    **dict.fromkeys(("error_type", "error_place", "earlier"), _MAYBE_TEXT),
    **dict.fromkeys(("seed", "attempt", "rounds", "pid"), records.is_whole),
    **dict.fromkeys(("num_labeled", "total_steps", "failed_round"), _MAYBE_WHOLE),
    **dict.fromkeys(("engine", "versions", "part_versions", "own_code"), _PLAIN),
    "hardware": records.mapping_of(
        records.is_plain,
        memory_bytes=_MAYBE_WHOLE,
        gpus=records.either(records.is_null, records.list_of(records.is_text)),
    ),
    "code": records.mapping_of(records.mapping_of(_MAYBE_TEXT)),
    FILES: records.mapping_of(_PLAIN),
}

logger = logging.getLogger(__name__)


def read(path: Path) -> dict[str, Any] | None:
    """The manifest at ``path``; ``None`` if there is none that can be read and makes sense."""
    try:
        return _read(path)
    except (OSError, records.Unfit):
        return None


def wrong(path: Path) -> str | None:
    """Why the file at ``path`` is no manifest, as in "is a link"; ``None`` where it is one."""
    try:
        _read(path)
    except OSError as error:
        return inside.wrong(path) or f"cannot be read: {error.strerror or error}"
    except records.Unfit as error:
        return f"cannot be read as the manifest of this trial: {error}"
    return None


def is_done(path: Path) -> bool:
    """Whether there is a manifest at ``path`` that makes sense and says the trial is done."""
    return (read(path) or {}).get("status") == DONE


def _read(path: Path) -> dict[str, Any]:
    """The manifest at ``path``, checked; OSError or Unfit.

    That of another seed makes none: it tells of other files.
    """
    content = records.read(path)
    records.require(content, _NEEDED, _MORE)
    seed = path.stem.removeprefix("seed=")
    if str(content.get("seed", seed)) != seed:
        raise records.Unfit(f"it is of seed {content['seed']}")
    return content


def under(paths: Iterable[Path]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """All manifests under results folders, folders below them, or files of trials, with their path.

    Those that cannot be read are left out.
    """
    files = {
        path
        for root in paths
        for path in (root if root.is_dir() else root.parent.parent).rglob("seed=*.json")
        if path.parent.name == "manifests"
    }
    for path in sorted(files):
        content = read(path)
        if content is not None:
            yield path, content


def spans(contents: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int], tuple[str, str]]:
    """When done trials began and ended, by run id and seed; ISO 8601 in UTC.

    Of copies of a trial the one that began first counts.

    Args:
        contents: Of manifests.
    """
    by_trial: dict[tuple[str, int], tuple[str, str]] = {}
    for content in contents:
        begin, end = content.get("first_started", content.get("started")), content.get("ended")
        if content.get("status") != DONE or begin is None or end is None:
            continue
        key = (str(content.get("run_id")), int(content.get("seed", -1)))
        by_trial[key] = min((begin, end), by_trial.get(key, (begin, end)))
    return by_trial


class Manifest:
    """The manifest of a trial whose lock is held.

    Args:
        path: ``manifests/seed=3.json`` of the run.
        owner: ``"seed=3"``.
        run_id: The run; a manifest of another one is kept aside, as one that makes no sense.
    """

    def __init__(self, path: Path, owner: str, run_id: str) -> None:
        self.path = path
        self.owner = owner
        self.content = read(path) or {}
        if self.content.get("run_id") != run_id:
            self.content = {}
        if not self.content and path.exists():
            aside = atomic.set_aside(path)
            message = "%s says nothing of this trial that makes sense and is kept as %s."
            logger.warning(message, path, aside.name)
            self.content = {"earlier": aside.name}

    @property
    def status(self) -> str | None:
        """Status stored last; ``None`` before the first attempt."""
        return self.content.get("status")

    def begin(self, identity: RunIdentity, seed: int, engine: dict[str, Any], rounds: int) -> None:
        """Open the next attempt, which starts with ``rounds`` rounds done."""
        holder = Holder.here()
        now = _now()
        code = provenance.code() | provenance.code_of_own(frozenset(identity.own_code))
        self.content = {
            "status": RUNNING,
            "attempt": self.content.get("attempt", 0) + 1,
            "first_started": self.content.get("first_started", now),
            "started": now,
            "ended": None,
            "rounds_at_start": rounds,
            **{name: self.content[name] for name in ("earlier",) if name in self.content},
            **identity.columns,
            "seed": seed,
            "host": holder.host,
            "pid": holder.pid,
            "command": provenance.command(),
            "engine": engine,
            "versions": provenance.versions() | provenance.versions_of(identity.packages),
            "part_versions": dict(identity.part_versions),
            "own_code": dict(identity.own_code),
            "configuration_id": identity.configuration_id or identity.run_id,
            "hardware": provenance.hardware(),
            "code": {name: self._with_patch(state) for name, state in code.items()},
        }
        self._write()

    def end(self, status: str, rounds: int, **details: Any) -> None:
        """Close the attempt with its outcome."""
        self.content |= {"status": status, "ended": _now(), "rounds": rounds, **details}
        self._write()

    def account(self, files: Mapping[str, Mapping[str, Any]]) -> None:
        """Record anew what the files of a finished trial are."""
        self.content[FILES] = files
        self._write()

    def _with_patch(self, state: Mapping[str, str]) -> dict[str, str | None]:
        """Commit and the name of the file beside the manifest that holds the diff, once a run."""
        diff = masked_code(state["diff"]).encode("utf-8", "surrogateescape")
        if not diff:
            return {"commit": state["commit"], "diff": None}
        path = self.path.with_name(f"diff-{sha256(diff).hexdigest()[:12]}.patch")
        if not path.exists():
            atomic.write(path, diff + b"\n", self.owner)
        return {"commit": state["commit"], "diff": path.name}

    def _write(self) -> None:
        atomic.write(
            self.path, json.dumps(masked_texts(self.content), indent=2).encode() + b"\n", self.owner
        )


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
