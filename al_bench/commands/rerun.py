"""``al-bench rerun``: run a stored trial again and say whether it comes out the same."""

import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from al_bench.configuration.arguments import Command, Option, new_folder
from al_bench.errors import ConfigError, ResultsError
from al_bench.paths import check_moved
from al_bench.text.visible import in_a_line

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from al_bench.configuration.stored import StoredTrial
    from al_bench.results.history import TrialPaths

COMMAND = Command(
    name="rerun",
    summary="Runs a stored trial again and says whether it comes out the same.",
    options=(
        Option("device", "device to run on (default: as stored)"),
        Option(
            "out",
            "results folder to keep the repetition in (default: it is thrown away)",
            read=new_folder,
        ),
    ),
    words="manifest",
    words_help="the trial's manifest, such as results/…/manifests/seed=0.json",
    max_words=1,
    reads_data=True,
)

ENGINE_ONLY = ("device_name", "torch_version", "al_bench_version")


def rerun(arguments: Sequence[str]) -> int:
    """Repeat the trial; 0 when every column but timings and memory is equal, 1 when not.

    What is wrong with the stored files is told; nothing of them is used but what is compared.

    Raises:
        ConfigError: There is no such manifest, or the run names what may not be built.
        ResultsError: It cannot be read, or the repetition fails.
    """
    parsed = COMMAND.parse(arguments)
    if parsed is None:
        return 0
    from al_bench.configuration.stored import StoredTrial
    from al_bench.configuration.trust import Trust
    from al_bench.results.manifest import DONE

    if not parsed.words:
        raise ConfigError("Nothing to repeat.", "Name a manifest; al-bench status lists trials.")
    stored = StoredTrial.at(Path(parsed.words[0]))
    if stored.content["status"] != DONE:
        raise ResultsError(
            f"{parsed.words[0]} is of a trial that is {stored.content['status']}, not done.",
            "The same al-bench run again finishes it; then it can be repeated.",
        )
    with tempfile.TemporaryDirectory(prefix="al-bench-rerun-") as folder:
        changes: dict[str, Any] = {
            "results": parsed["out"] or folder,
            "seeds": [stored.paths.seed],
        }
        check_moved(parsed.moved, stored.places)
        changes |= parsed.moved
        if parsed["device"] is not None:
            changes["device"] = parsed["device"]
        composed = stored.composed(changes, Trust.from_arguments(parsed))
        before = _stored_curve(stored)
        curve, acquisitions = _repeat(composed, stored)
    # What moved may be called otherwise by its file; its content is in the run id.
    names = ("task", "dataset", "origin") if parsed.moved else ()
    differences = [
        *different(before, curve, names),
        *_acquisition_differences(stored.paths, acquisitions, names),
    ]
    if not differences:
        print(f"The same: {len(curve)} rounds, every column but timings and memory.")
        return 0
    number = len(differences)
    print(f"Not the same: {number} column{' differs' if number == 1 else 's differ'}.")
    for line in differences:
        print(f"  {in_a_line(line)}")
    return 1


def _stored_curve(stored: "StoredTrial") -> "pd.DataFrame":
    """The trial's curve; what is wrong with its files is told."""
    from al_bench.results import damage
    from al_bench.results.frame import read_curves
    from al_bench.results.schema import CURVE

    for one in damage.find(stored.paths, stored.content, thorough=True):
        if one.path == stored.paths.config:
            continue  # told when it was read
        print(f"warning: {stored.paths.folder}: {in_a_line(one)}.", file=sys.stderr)
    if not stored.paths.curve.is_file():
        raise ResultsError(
            f"There is no curve {stored.paths.curve} to compare with.",
            "The command line that made it computes it again.",
        )
    return read_curves(stored.paths.curve, CURVE.names)


def _acquisition_differences(
    paths: "TrialPaths", after: "pa.Table", but: Collection[str] = ()
) -> list[str]:
    """A line for each column in which what was bought differs from what is stored."""
    from al_bench.results import copies, parquet
    from al_bench.results.schema import ACQUISITIONS

    try:
        before = parquet.read(paths.acquisitions, ACQUISITIONS)
    except FileNotFoundError:
        return [f"acquisitions: {paths.acquisitions} is missing"]
    except ResultsError as error:
        return [f"acquisitions: {error.message}"]
    return [
        f"acquisitions, {name}: row {row} was {one}, is {other}"
        for name, row, one, other in copies.differences(before, after, ("run_id", *but))
    ]


def _repeat(composed: Any, before: "StoredTrial") -> "tuple[pd.DataFrame, pa.Table]":
    """Its curve and what it bought; that one's own code is other than it was is told."""
    from al_bench.configuration.targets import NotFound
    from al_bench.results import parquet
    from al_bench.results.frame import read_curves
    from al_bench.results.history import TrialPaths
    from al_bench.results.manifest import DONE
    from al_bench.results.schema import ACQUISITIONS
    from al_bench.results.source_hash import differing
    from al_bench.running.execution import assignments, run_trials
    from al_bench.running.prepare import prepare
    from al_bench.running.progress import LogReport, set_up_logging

    set_up_logging()
    try:
        prepared = prepare(composed)
    except NotFound as error:
        raise ConfigError(
            error.message, "Start al-bench in the folder that holds it, as when the run was made."
        ) from error
    identity, seed, content = prepared.run.identity, before.paths.seed, before.content
    if modules := differing(content.get("own_code", identity.own_code), identity.own_code):
        print(f"warning: changed since it was stored: {', '.join(modules)}.", file=sys.stderr)
    stored = TrialPaths(prepared.results / identity.folder, seed)
    if stored.curve.exists():
        raise ConfigError(
            f"out={prepared.results} already holds this trial.", "Name an empty folder, or none."
        )
    (outcome,) = run_trials(assignments(prepared, [seed]), LogReport())
    if outcome.status != DONE:
        raise ResultsError(f"The repetition is {outcome.status}: {outcome.message}.")
    curve = read_curves(stored.curve)
    if "own_code" not in content and identity.configuration_id == content.get("run_id"):
        # Its ids are from before they knew of one's own code.
        curve = curve.assign(run_id=content["run_id"], protocol_id=content["protocol_id"])
    return curve, parquet.read(stored.acquisitions, ACQUISITIONS)


def different(
    before: "pd.DataFrame", after: "pd.DataFrame", but: Collection[str] = ()
) -> list[str]:
    """A line for each column in which two curves of one trial differ, with the first difference.

    Args:
        before: The stored curve.
        after: The repeated one.
        but: Columns that may differ, beside what is measured.
    """
    from al_bench.results.frame import COLUMNS
    from al_bench.results.schema import MEASURED
    from al_bench.results.settings import CONFIG

    if len(before) != len(after):
        return [f"rounds: {len(before)} stored, {len(after)} repeated"]
    lines = []
    spread = [name for name in (*before, *after) if name not in COLUMNS]
    for name in dict.fromkeys([*COLUMNS, *spread]):
        if name in (*MEASURED, *but, CONFIG):
            continue
        pairs = zip(_column(before, name), _column(after, name), strict=True)
        for round, (one, other) in enumerate(pairs):
            if not _equal(one, other):
                kind = " (engine)" if name in ENGINE_ONLY else ""
                lines.append(f"{name}{kind}: round {round} was {one}, is {other}")
                break
    if all(line.startswith("metrics_version") for line in lines):
        return []  # another definition, of which these numbers know nothing
    return lines


def _column(curve: "pd.DataFrame", name: str) -> Any:
    """A column; missing values where a curve has no such data set or score."""
    return curve[name] if name in curve else [None] * len(curve)


def _equal(one: Any, other: Any) -> bool:
    import numpy as np
    import pandas as pd

    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        pairs = zip(one.tolist(), other.tolist(), strict=False)
        return len(one) == len(other) and all(_equal(a, b) for a, b in pairs)
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return False  # a list and none
    if pd.isna(one) or pd.isna(other):
        return bool(pd.isna(one) and pd.isna(other))
    return bool(one == other)
