"""Keeps the curves of many trials in one small file, and beside it what they were made with.

    python scripts/keep_curves.py results/mnist --out results/reference/sampling/mnist_noise

writes ``mnist_noise.parquet``, which ``al-bench compare``, ``plot`` and ``report`` read as they
read a folder, and ``mnist_noise.json`` with configurations, commits, versions and hardware. Columns
that hold a list (per class, per calibration bin) are kept in the last row of a trial alone: they
are most of the bytes.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from al_bench.results.frame import read_curves
from al_bench.results.schema import CURVE
from al_bench.results.settings import CONFIG, of_runs, with_settings

PER_TRIAL = ("started", "ended", "status", "attempt")
PROVENANCE = ("command", "code", "versions", "hardware", "engine")


def origins(folders: list[Path]) -> dict[str, Any]:
    """Of each run its configuration and its finished trials, each with what it was made with."""
    made_with: list[dict[str, Any]] = []
    runs: dict[str, dict[str, Any]] = {}
    manifests = sorted(path for folder in folders for path in folder.rglob("manifests/seed=*.json"))
    for path in manifests:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["status"] != "done":
            continue
        origin = {name: manifest[name] for name in PROVENANCE}
        if origin not in made_with:
            made_with.append(origin)
        configuration = (path.parent.parent / "config.yaml").read_text(encoding="utf-8")
        run = runs.setdefault(manifest["run_id"], {"configuration": configuration, "trials": {}})
        trial = {name: manifest[name] for name in PER_TRIAL}
        run["trials"][manifest["seed"]] = trial | {"made_with": made_with.index(origin)}
    return {"made_with": made_with, "runs": runs}


def slim(folders: list[Path], runs: Mapping[str, Any]) -> pa.Table:
    """The rows of these runs' finished trials, lists in the last row of each trial alone.

    The footer has the settings of each run.
    """
    frame = read_curves(folders)
    finished = {(run, seed) for run, kept in runs.items() for seed in kept["trials"]}
    frame = frame[[pair in finished for pair in zip(frame["run_id"], frame["seed"], strict=True)]]
    last = frame["round"] == frame.groupby(["run_id", "seed"])["round"].transform("max")
    for field in CURVE:
        if pa.types.is_list(field.type) and field.name in frame:
            frame[field.name] = frame[field.name].where(last, None)
    table = pa.Table.from_pandas(frame.drop(columns=CONFIG), preserve_index=False)
    return with_settings(table, of_runs(frame))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path, help="folders of results")
    parser.add_argument("--out", required=True, type=Path, help="the two files, without ending")
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    provenance = origins(arguments.folders)
    table = slim(arguments.folders, provenance["runs"])
    words = [field.name for field in table.schema if pa.types.is_string(field.type)]
    pq.write_table(
        table,
        arguments.out.with_suffix(".parquet"),
        compression="zstd",
        compression_level=19,
        use_dictionary=words,
        write_statistics=False,
    )
    text = json.dumps(provenance, indent=1, sort_keys=True)
    arguments.out.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    print(f"{arguments.out}.parquet: {table.num_rows} rows")


if __name__ == "__main__":
    main()
