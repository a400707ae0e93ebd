"""Whether the files of a finished trial are still what they were when it finished.

Its manifest records the size, rows and SHA-256 of each. A manifest from before there were such
records says nothing, and nothing is held against it.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from al_bench.errors import ResultsError
from al_bench.results import inside, parquet
from al_bench.results.history import TrialPaths

FILES = "files"  # the manifest's key
EDITED = "is not what was stored (edited or damaged)"


@dataclass(frozen=True)
class Damage:
    """A file that is not what was stored.

    Args:
        path: The file.
        name: Where it is in its run's folder.
        what: What is wrong with it: "is missing".
        is_edit: It is there, with as many rows as were stored, but others.
    """

    path: Path
    name: str
    what: str
    is_edit: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.what}"


def account(data: bytes, rows: int | None = None) -> dict[str, Any]:
    """What a manifest records of a file: ``size`` in bytes, ``sha256``, ``rows`` of a table."""
    entry = {"size": len(data), "sha256": sha256(data).hexdigest()}
    return entry if rows is None else {**entry, "rows": rows}


def accounts(
    paths: TrialPaths, content: Mapping[str, Any], fresh: Mapping[Path, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The record of a trial that finishes: place in the run's folder to ``account``.

    Args:
        paths: The trial.
        content: Its manifest, which may name more files beside it.
        fresh: Accounts of what this process has written itself; the rest is read.
    """
    entries = {}
    tables = (paths.curve, paths.acquisitions)
    for path in (paths.config, *tables, *files_beside(paths, content)):
        if path in fresh:
            entries[_name(paths, path)] = fresh[path]
        elif path.is_file():
            rows = parquet.num_rows(path) if path in tables else None
            entries[_name(paths, path)] = account(inside.read(path), rows)
    return entries


def files_beside(paths: TrialPaths, content: Mapping[str, Any]) -> list[Path]:
    """The files beside the manifest that it names, such as the patch of uncommitted changes."""
    folder = paths.manifest.parent
    if not folder.is_dir():
        return []
    texts = set(_strings({key: value for key, value in content.items() if key != FILES}))
    beside = {name for name in os.listdir(folder) if not name.startswith((".", "seed="))}
    return [folder / name for name in sorted(texts & beside)]


def find(paths: TrialPaths, content: Mapping[str, Any] | None, thorough: bool) -> list[Damage]:
    """What is wrong with the files that the manifest of a finished trial records.

    Args:
        paths: The trial.
        content: Its manifest; ``None`` without one.
        thorough: Read and hash the files, instead of comparing sizes alone.
    """
    recorded = (content or {}).get(FILES)
    if not isinstance(recorded, Mapping):
        return []
    damages = []
    for name, entry in recorded.items():
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or parts[0] == "/" or not isinstance(entry, Mapping):
            continue
        what = _wrong(paths.folder.joinpath(*parts), entry, thorough)
        if what is not None:
            damages.append(Damage(paths.folder.joinpath(*parts), name, what, what == EDITED))
    return damages


def hurts(paths: TrialPaths, damage: Damage) -> bool:
    """Whether the damage is to what the trial has computed, and not to what is told about it."""
    return damage.path in (paths.curve, paths.acquisitions)


def _wrong(path: Path, entry: Mapping[str, Any], thorough: bool) -> str | None:
    try:
        size = inside.size(path)
    except OSError as error:
        what = "is missing" if isinstance(error, FileNotFoundError) else "cannot be read"
        return inside.wrong(path) or what
    if size != entry.get("size"):
        if "rows" in entry:
            try:
                rows = parquet.num_rows(path)
            except ResultsError:
                return "cannot be read"
            if rows != entry["rows"]:
                return f"has {rows} rows, where {entry['rows']} were stored"
        return EDITED
    if thorough:
        try:
            digest = sha256(inside.read(path)).hexdigest()
        except OSError:
            return "cannot be read"
        if digest != entry.get("sha256"):
            return EDITED
    return None


def _name(paths: TrialPaths, path: Path) -> str:
    return path.relative_to(paths.folder).as_posix()


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
