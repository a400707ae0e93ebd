"""What results hold already of a run that is about to begin, where it is not what was asked for."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from al_bench.results import manifest
from al_bench.results.history import TrialPaths
from al_bench.results.identity import RunIdentity
from al_bench.results.source_hash import differing
from al_bench.text.terminal import spans

ENGINE = ("device", "scoring_precision", "training_precision")


def under_another_engine(
    folder: Path, seeds: Collection[int], engine: Mapping[str, Any]
) -> list[str]:
    """A sentence where trials are done that were computed on another device or in less precision.

    Args:
        folder: The run's.
        seeds: Those asked for.
        engine: The columns of the engine asked for.
    """
    by_difference: dict[str, list[int]] = {}
    for seed, content in _done_trials(folder, seeds):
        was = content.get("engine") or {}
        columns = [name for name in ENGINE if was.get(name, engine[name]) != engine[name]]
        if columns:
            difference = ", ".join(f"{name}={was[name]} not {engine[name]}" for name in columns)
            by_difference.setdefault(difference, []).append(seed)
    if not by_difference:
        return []
    trials = "; ".join(
        f"{_seeds_in_words(some)} with {difference}"
        for difference, some in sorted(by_difference.items())
    )
    return [
        f"Done already, but computed under another engine: {trials}. They stay as they are; "
        "results=OTHER, another folder, gets the new ones."
    ]


def of_other_code(results: Path, seeds: Collection[int], identity: RunIdentity) -> list[str]:
    """Sentences on runs that differ in one's own code alone, while seeds of this one are missing.

    Args:
        results: The results folder.
        seeds: Those asked for.
        identity: The run.
    """
    folder = results / identity.folder
    done = {seed for seed, _ in _done_trials(folder, seeds)}
    if not identity.own_code or len(done) == len(seeds):
        return []
    sentences = []
    for sibling in sorted(folder.parent.glob("*/")):
        path = next(iter(sorted(sibling.glob("manifests/seed=*.json"))), None)
        content = None if path is None or sibling.name == folder.name else manifest.read(path)
        if content is None:
            continue
        if content.get("configuration_id", content.get("run_id")) != identity.configuration_id:
            continue
        was = content.get("own_code")
        if was:
            modules = differing(was, identity.own_code)
            sentences.append(
                f"Trained anew: run {sibling.name} has this configuration too, but "
                f"{', '.join(modules)} {'has' if len(modules) == 1 else 'have'} changed since."
            )
        else:
            sentences.append(
                f"Trained anew: run {sibling.name} has this configuration too, but was stored "
                f"without the source of your code ({', '.join(identity.own_code)}), so that it "
                "cannot be told whether that is the same."
            )
    return sentences


def of_another_name(results: Path, identity: RunIdentity) -> list[str]:
    """A sentence where equal data have this run already, and the data set's name is another one.

    Args:
        results: The results folder.
        identity: The run.
    """
    own = identity.folder
    names = sorted({path.parts[-4] for path in results.glob(f"*/{'/'.join(own.parts[1:])}")})
    others = [name for name in names if name != own.parts[0]]
    if not others or own.parts[0] in names:
        return []
    return [
        f"Trained anew: {results} has this run, of the same data, under the name {others[0]}. "
        f"dataset.name={others[0]} goes on with it."
    ]


def _done_trials(folder: Path, seeds: Collection[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Seeds that are done, with their manifests: those that are stored are looked at, not all."""
    members = seeds if isinstance(seeds, range) else set(seeds)
    for path in folder.glob("manifests/seed=*.json"):
        paths = TrialPaths.of(path)
        if paths is None or paths.seed not in members:
            continue
        content = manifest.read(path)
        if content is not None and content.get("status") == manifest.DONE:
            yield paths.seed, content


def _seeds_in_words(seeds: Collection[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {spans(sorted(seeds))}"
