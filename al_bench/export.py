"""``al-bench export``: stored results as one tidy file, or one folder from several machines."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from al_bench.arguments import Arguments, Command, Option, one_of
from al_bench.errors import ConfigError, ResultsError
from al_bench.results.history import TrialPaths
from al_bench.results.schema import CURVE, ENGINE
from al_bench.terminal import warnings_as_lines

COMMAND = Command(
    name="export",
    summary="Writes stored results as one tidy file, or merges results folders into one.",
    options=(
        Option("out", "file to write (.csv or .parquet), or with merge= nothing"),
        Option("kind", "curves or acquisitions", "curves", one_of("curves", "acquisitions")),
        Option("merge", "results folder that takes the trials of all others in"),
    ),
    words="results",
    words_help="folders of results, whole, in part or copied (default: results)",
)


def export(arguments: Sequence[str]) -> int:
    """Export or merge what the arguments name; 0.

    Raises:
        ConfigError: There is no such key or folder, or no file to write was given.
        ResultsError: There is nothing to read, a file cannot be written, or two folders hold
            different results of one trial.
    """
    parsed = COMMAND.parse(arguments)
    if parsed is None:
        return 0
    if (parsed["out"] is None) == (parsed["merge"] is None):
        raise ConfigError(
            "Give one of out= and merge=.", "Type out=curves.csv, or merge=all after two folders."
        )
    folders = [Path(word) for word in parsed.words or ["results"]]
    if parsed["merge"] is not None:
        return _merge(folders, Path(parsed["merge"]))
    return _write(folders, parsed)


def _write(folders: Sequence[Path], parsed: Arguments) -> int:
    from al_bench.results.frame import read_acquisitions, read_curves

    out = Path(parsed["out"])
    if out.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"out={out} is neither .csv nor .parquet.", "Try out=curves.csv.")
    with warnings_as_lines():
        if parsed["kind"] == "curves":
            frame = read_curves(folders, CURVE.names)
        else:
            frame = read_acquisitions(folders)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix == ".csv":
            frame.to_csv(out, index=False)
        else:
            frame.attrs.clear()  # what was skipped is a matter of this machine
            frame.to_parquet(out, index=False)
    except OSError as error:
        raise ResultsError(f"{out} cannot be written: {error.strerror or error}.") from error
    print(f"{out}: {len(frame)} rows")
    return 0


def _merge(folders: Sequence[Path], target: Path) -> int:
    """Copy every trial that ``target`` lacks, or has fewer rounds of, into it."""
    from al_bench.results.ledger import status

    copied = 0
    for folder in folders:
        if folder.resolve() == target.resolve():
            continue
        for entry in status(folder):
            if entry.folder is None or entry.seed is None or entry.rounds == 0:
                continue
            if entry.folder.resolve().is_relative_to(target.resolve()):
                continue  # the target may lie in a source
            source = TrialPaths(entry.folder, entry.seed)
            place = TrialPaths(target / entry.folder.relative_to(folder), entry.seed)
            if _newer(source, place):
                _copy(source, place)
                copied += 1
    print(f"{target}: {copied} trials taken in")
    return 0


def _newer(source: TrialPaths, place: TrialPaths) -> bool:
    """Whether ``source`` goes beyond ``place``; both must agree as far as they go."""
    from al_bench.rerun import different
    from al_bench.results.frame import read_curves

    if not place.curve.exists():
        return True
    mine, theirs = read_curves(source.curve), read_curves(place.curve)
    common = min(len(mine), len(theirs))
    said = [
        line
        for line in different(mine.head(common), theirs.head(common))
        if line.split(":")[0].split(" ")[0] not in ENGINE
    ]
    if said:
        raise ResultsError(
            f"{source.curve} and {place.curve} are different results of one trial ({said[0]}).",
            "Keep them in two folders, or remove one.",
        )
    return len(mine) > len(theirs)


def _copy(source: TrialPaths, place: TrialPaths) -> None:
    """The trial's files, its curve last: the curve's rows are what counts."""
    for path, copy in _files(source, place):
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)


def _files(source: TrialPaths, place: TrialPaths) -> Iterator[tuple[Path, Path]]:
    for name in ("config", "manifest", "acquisitions", "curve"):
        path = getattr(source, name)
        if path.exists():
            yield path, getattr(place, name)
