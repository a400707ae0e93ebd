"""Trials of several results folders, brought together in one.

A trial is copied whole, under the lock of its new place and, unless it is done, of its old one:
each file in one step, the curve last. A merge that was killed leaves trials that are there or not,
and starting it again completes it.
"""

import contextlib
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from al_bench.errors import ConfigError, ResultsError, near
from al_bench.results import (
    atomic,
    configured,
    copies,
    damage,
    inside,
    locks,
    manifest,
    parquet,
    settings,
)
from al_bench.results.history import TrialPaths
from al_bench.results.identity import safe_name
from al_bench.results.schema import CURVE

logger = logging.getLogger(__name__)

PLACE = ("dataset", "model", "strategy", "run_id")  # the folders of a run

_Key = tuple[Path, int]  # a trial: its run's folder below a results folder, and its seed


@dataclass(frozen=True)
class Merged:
    """What a merge did.

    Args:
        taken: Trials copied.
        spared: What was left out and costs nothing that was finished, in words: trials that are not
            finished and could not be taken, damaged copies of trials of which others are whole.
        lost: What was left out beside that: damaged trials, files of another trial than their
            place says, trials whose new place is in use.
        edited: What was taken since ``prefer`` asks for it, though it is not what was stored.
    """

    taken: int
    spared: tuple[str, ...]
    lost: tuple[str, ...]
    edited: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Pick:
    """What becomes of the sources' copies of a trial.

    Args:
        trial: The copy that is to be taken; ``None`` where what is there is as good.
        faults: What is wrong with copies that are not taken, in words.
        edited: What is wrong with the one that is, since it is preferred; else empty.
        has_whole: Whether nothing is lost: a copy is whole, or the preferred one is taken.
    """

    trial: "_Trial | None"
    faults: list[str]
    edited: list[str]
    has_whole: bool


@dataclass(frozen=True)
class _Trial:
    """A trial in one of the folders.

    Args:
        copy: Its curve, with the position of its folder; the target's is -1.
        paths: Its files.
        run: The run's folder below a results folder.
        rounds: Rows of its curve.
        content: Its manifest; empty without one.
    """

    copy: copies.Copy
    paths: TrialPaths
    run: Path
    rounds: int
    content: Mapping[str, Any]

    @property
    def is_done(self) -> bool:
        return self.content.get("status") == manifest.DONE

    @property
    def is_complete(self) -> tuple[bool, bool]:
        """Orders equal copies."""
        return self.is_done, copies.has_acquisitions(self.copy)

    def __str__(self) -> str:
        return f"{self.paths.name} in {self.paths.folder}"


def merge(sources: Sequence[Path], target: Path, prefer: Path | None = None) -> Merged:
    """Copy every trial that ``target`` lacks, or has less of, into it.

    Nothing is copied where copies of a trial differ (``copies.difference``), unless ``prefer`` has
    one of them. What was only planned stays where it was.

    Args:
        sources: Results folders, or folders below them.
        target: The results folder that takes them in; made if need be.
        prefer: One of the folders, or ``target``: its copy is taken where copies differ.

    Raises:
        ConfigError: A folder does not exist, ``prefer`` is none of them, or ``target`` lies in one.
        ResultsError: There is nothing to merge, copies differ, or ``target`` cannot be written.
    """
    place_of = _places(sources, target, prefer)
    preferred = None if prefer is None else place_of[prefer.resolve()]
    trials, unreadable, lost = _gather(sources, place_of)
    if not trials and not unreadable and not lost and set(place_of.values()) != {-1}:
        where = ", ".join(map(str, sources))
        raise ResultsError(f"No trials to merge under {where}.", "al-bench status lists trials.")
    spared: list[str] = []
    for key, message in unreadable:  # no loss where another copy is whole
        (spared if key in trials or _has(target, key) else lost).append(message)
    picks = []
    edited: list[str] = []
    conflicts = []
    for (run, seed), group in trials.items():
        try:
            pick = _pick(group, TrialPaths(target / run, seed), preferred)
        except _Differ as error:
            conflicts.append(error)
            continue
        (spared if pick.has_whole else lost).extend(pick.faults)
        edited += pick.edited
        if pick.trial is not None:
            picks.append(pick.trial)
    if conflicts:
        others = len(conflicts) - 1
        more = f"; so are those of {others} more trial{'s' * (others > 1)}" if others else ""
        raise ResultsError(
            f"{conflicts[0]}{more}. Nothing was merged.",
            "Add prefer=FOLDER, the one whose copies are to be taken, or keep them in two folders.",
        )
    count = 0
    places = [TrialPaths(target / trial.run, trial.copy.seed) for trial in picks]
    unfinished = [trial.paths for trial in picks if not trial.is_done]
    locks.settle(paths.lock for paths in (*places, *unfinished))
    for trial, paths in zip(picks, places, strict=True):
        try:
            count += _take(trial, paths, preferred)
        except _Unfinished as error:
            spared.append(str(error))
        except (_Differ, locks.TrialHeld, inside.LedOutside) as error:
            lost.append(str(error))
    return Merged(count, tuple(spared), tuple(lost), tuple(edited))


class _Differ(Exception):
    """Copies of a trial differ, and none is preferred."""


class _Stranger(ResultsError):
    """A file does not belong to the trial whose place it lies in."""


class _Unfinished(Exception):
    """A trial that is not finished cannot be kept from going on meanwhile."""


def _places(sources: Sequence[Path], target: Path, prefer: Path | None) -> dict[Path, int]:
    """The position of each folder among the sources; the target's is -1.

    Raises:
        ConfigError: A folder does not exist, ``prefer`` is none of them, or the target lies in one.
    """
    for folder in sources:
        if not folder.is_dir():
            raise ConfigError(
                f"There is no results folder {folder}.",
                "Name the ones that al-bench run has written.",
            )
    around = [folder for folder in sources if folder.resolve() in target.resolve().parents]
    if around:
        outermost = min(around, key=lambda folder: len(folder.resolve().parts))
        raise ConfigError(
            f"merge={target} lies in {outermost}, whose trials would be there twice.",
            f"Try merge={near(outermost.resolve().parent / target.name)}.",
        )
    place_of = {target.resolve(): -1}
    for place, folder in enumerate(sources):
        place_of.setdefault(folder.resolve(), place)
    if prefer is not None and prefer.resolve() not in place_of:
        raise ConfigError(
            f"prefer={prefer} is none of the folders.",
            f"Valid: {', '.join(map(str, dict.fromkeys([*sources, target])))}.",
        )
    return place_of


def _gather(
    sources: Sequence[Path], place_of: Mapping[Path, int]
) -> tuple[dict[_Key, list[_Trial]], list[tuple[_Key | None, str]], list[str]]:
    """The sources' copies of each trial.

    And in words what cannot be read, with the trial that it is by its manifest, and what belongs to
    another trial than its place says.
    """
    trials: dict[_Key, list[_Trial]] = {}
    unreadable: list[tuple[_Key | None, str]] = []
    strangers: list[str] = []
    for place, folder in enumerate(sources):
        if place_of[folder.resolve()] != place:
            continue  # named again, or the target itself
        for paths in _trials_below(folder):
            try:
                trial = _trial(paths, place)
            except _Stranger as error:
                strangers.append(error.message)
                continue
            except ResultsError as error:
                unreadable.append((_key(paths), error.message))
                continue
            except PermissionError as error:
                unreadable.append((None, f"{error.filename} cannot be read ({error.strerror})."))
                continue
            trials.setdefault((trial.run, trial.copy.seed), []).append(trial)
    return trials, unreadable, strangers


def _trials_below(folder: Path) -> Iterator[TrialPaths]:
    """Trials with a curve below a folder."""
    for place, below, _ in inside.walk(folder):
        below.sort()
        run = Path(place)
        names = [path.name for kind in ("curves", "manifests") for path in (run / kind).glob("*")]
        stems = {name.removesuffix(".parquet").removesuffix(".json") for name in names}
        for seed in sorted(stem.removeprefix("seed=") for stem in stems):
            paths = TrialPaths(run, int(seed) if seed.isdecimal() else -1)
            if f"seed={seed}" == paths.name and (
                os.path.exists(paths.curve) or manifest.is_done(paths.manifest)
            ):
                yield paths


def _key(paths: TrialPaths) -> _Key | None:
    """Which trial it is by its manifest."""
    content = manifest.read(paths.manifest)
    if content is None:
        return None
    return Path(*(safe_name(content[name]) for name in PLACE)), paths.seed


def _has(target: Path, key: _Key | None) -> bool:
    if key is None:
        return False
    try:
        return not _wrong(_trial(TrialPaths(target / key[0], key[1]), -1))
    except ResultsError:
        return False


def _trial(paths: TrialPaths, place: int) -> _Trial:
    """The trial at ``paths``; ResultsError where it is not one, or cannot be read."""
    inside.require(paths.folder, paths.name)
    names = pa.schema([CURVE.field(name) for name in (*PLACE, "seed")])
    try:
        rows = parquet.read(paths.curve, names).to_pylist()
    except FileNotFoundError:
        raise ResultsError(f"{paths.curve} is missing.") from None
    if not rows:
        raise ResultsError(f"{paths.curve} has no rows.")
    content = manifest.read(paths.manifest)
    if content is None and paths.manifest.exists():
        raise ResultsError(f"{paths.manifest} cannot be read as the manifest of this trial.")
    owner = {(row["run_id"], row["seed"]) for row in rows}
    run_id, seed = rows[0]["run_id"], rows[0]["seed"]
    of_manifest = run_id if content is None else content["run_id"]
    if owner != {(of_manifest, paths.seed)}:
        raise _Stranger(
            f"{paths.curve} belongs to another trial, seed {seed} of {run_id}: curve and manifest "
            "are different results of one trial."
            if len(owner) == 1
            else f"{paths.curve} has rows of {len(owner)} trials."
        )
    run = Path(*(safe_name(rows[0][name]) for name in PLACE))
    copy = copies.Copy(paths.curve, place, run_id, seed)
    return _Trial(copy, paths, run, len(rows), content or {})


def _pick(group: Sequence[_Trial], place: TrialPaths, preferred: int | None) -> _Pick:
    """Which of the sources' copies is to be taken, and which are damaged.

    Raises:
        _Differ: Copies differ, and none is preferred.
    """
    candidates = list(group)
    if place.curve.exists():
        with contextlib.suppress(ResultsError):  # one that is damaged is replaced
            candidates.insert(0, _trial(place, -1))
    wrong = {id(trial): _wrong(trial) for trial in candidates}
    whole = [trial for trial in candidates if not wrong[id(trial)]]
    faults = {id(trial): f"{trial}: {wrong[id(trial)]}" for trial in group if wrong[id(trial)]}
    # Copies that were edited are no damage to a choice that the user makes.
    usable = [trial for trial in candidates if not copies.damaged(trial.copy)]
    favored = [trial for trial in usable if trial.copy.place == preferred]
    if not whole and not favored:
        return _Pick(None, [*faults.values()], [], has_whole=False)
    best = max(whole or favored, key=lambda trial: trial.rounds)  # the first of the longest
    others = [trial for trial in usable if trial is not best]
    differing = {id(trial): copies.compare(best.copy, trial.copy) for trial in others}
    if any(differing.values()):
        if not favored:
            other = next(trial for trial in others if differing[id(trial)])
            note = f"; of the second, {wrong[id(other)]}" if wrong[id(other)] else ""
            raise _Differ(
                f"{best.copy.curve} and {other.copy.curve} are different results of one trial "
                f"({differing[id(other)]}{note})"
            )
        best = max(favored, key=lambda trial: trial.rounds)
    else:
        equal = [trial for trial in whole if trial.rounds == best.rounds]
        best = max(equal or [best], key=lambda trial: trial.is_complete)
    edited = [faults.pop(id(best))] if id(best) in faults else []
    taken = None if best.copy.place == -1 else best
    return _Pick(taken, [*faults.values()], edited, has_whole=True)


def _wrong(trial: _Trial) -> str:
    """What is wrong with its curve and its acquisitions, edits included."""
    if what := copies.damaged(trial.copy):
        return what
    damages = damage.find(trial.paths, trial.content, thorough=True)
    return "; ".join(str(one) for one in damages if damage.hurts(trial.paths, one))


def _take(trial: _Trial, place: TrialPaths, preferred: int | None) -> bool:
    """Copy a trial to its place; whether that was still to be done once nobody could change it."""
    inside.require(place.folder, place.name)
    for folder in place.folders:
        atomic.make_folder(folder)
    with contextlib.ExitStack() as stack:
        lock = locks.take(place.lock)
        stack.callback(lock.release)
        _hold(trial, stack)
        for folder in place.folders:
            atomic.clean(folder, place.name)
        pick = _pick([_trial(trial.paths, trial.copy.place)], place, preferred).trial
        if pick is None:
            return False
        files = _files(pick, place)
        lock.check()
        _clear(place)
        for path, data in files.items():
            lock.check()
            if not path.exists() or inside.read(path) != data:
                atomic.make_folder(path.parent)
                atomic.write(path, data, place.name)
    return True


def _clear(place: TrialPaths) -> None:
    """Have no curve at the new place before anything of another copy is there.

    What is damaged is kept aside.
    """
    content = manifest.read(place.manifest)
    if content is None and place.manifest.exists():
        atomic.set_aside(place.manifest)
    try:
        whole = not place.curve.exists() or not _wrong(_trial(place, -1))
    except ResultsError:
        whole = False
    for path in (place.curve, place.acquisitions):
        if not whole and path.exists():
            atomic.set_aside(path)
    atomic.remove(place.curve)


def _hold(trial: _Trial, stack: contextlib.ExitStack) -> None:
    """Keep others from going on with a trial meanwhile; one that is done is not gone on with.

    Raises:
        _Unfinished: It is not done, and someone works on it or might.
    """
    if trial.is_done:
        return
    try:
        atomic.make_folder(trial.paths.lock.parent)
        stack.callback(locks.take(trial.paths.lock).release)
    except locks.TrialHeld as error:
        raise _Unfinished(error.message) from error
    except ResultsError as error:
        raise _Unfinished(f"{trial} is not finished. {error.message}") from error


def _files(trial: _Trial, place: TrialPaths) -> dict[Path, bytes]:
    """New place to content of all that belongs to the trial, in the order of writing."""
    paths = trial.paths
    files: dict[Path, bytes] = {}
    curve = inside.read(paths.curve)
    metadata = pq.read_schema(pa.BufferReader(curve)).metadata or {}
    config = _config(trial, place, metadata)
    if config is not None:
        files[place.config] = config
    for path in damage.files_beside(paths, trial.content):
        if what := inside.wrong(path):
            logger.warning("Left out: %s %s.", path, what)
            continue
        files[place.manifest.parent / path.name] = inside.read(path)
    if paths.acquisitions.exists():
        files[place.acquisitions] = inside.read(paths.acquisitions)
    checkpoint = paths.folder / "checkpoints" / Path(metadata.get(b"checkpoint", b"").decode()).name
    if not trial.is_done and not inside.wrong(checkpoint) and checkpoint.is_file():
        files[place.folder / "checkpoints" / checkpoint.name] = inside.read(checkpoint)
    if trial.content:
        files[place.manifest] = _manifest(trial, config)
    files[place.curve] = curve
    return files


def _config(trial: _Trial, place: TrialPaths, metadata: Mapping[bytes, bytes]) -> bytes | None:
    """``config.yaml`` of the new place, where trials of other machines may have one already."""
    for path in (place.config, trial.paths.config):
        with contextlib.suppress(OSError):
            data = inside.read(path)
            if configured.is_yaml(data) and not settings.disagreement(path.parent, metadata):
                return data
    footer = configured.in_footer(trial.paths.curve)
    return None if footer is None else configured.as_yaml(footer).encode()


def _manifest(trial: _Trial, config: bytes | None) -> bytes:
    """The manifest, with the account of the ``config.yaml`` that lies beside it now."""
    files = trial.content.get(damage.FILES)
    name = trial.paths.config.name
    if not files or config is None or files.get(name) == damage.account(config):
        return inside.read(trial.paths.manifest)
    content = {**trial.content, damage.FILES: {**files, name: damage.account(config)}}
    return json.dumps(content, indent=2).encode() + b"\n"
