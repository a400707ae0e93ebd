"""``al-bench export``: stored results as one tidy file, or one folder from several machines."""

import sys
from collections.abc import Sequence
from pathlib import Path

from al_bench.configuration.arguments import (
    Arguments,
    Command,
    Option,
    new_file,
    new_folder,
    one_of,
)
from al_bench.errors import ConfigError
from al_bench.masking import masked_text
from al_bench.report.publishing import PUBLISH, published_frame, without_places
from al_bench.results import outputs
from al_bench.text.spreadsheet import without_formulas
from al_bench.text.terminal import warnings_as_lines
from al_bench.text.visible import in_a_line

COMMAND = Command(
    name="export",
    summary="Writes stored results as one tidy file, or merges results folders into one.",
    options=(
        Option(
            "out",
            "file to write (.csv or .parquet), or with merge= nothing",
            read=new_file("curves.csv"),
        ),
        Option("kind", "curves or acquisitions", "curves", one_of("curves", "acquisitions")),
        Option("merge", "results folder that takes the trials of all others in", read=new_folder),
        Option(
            "prefer",
            "with merge=: which of the folders has the copy that is taken where copies of a trial "
            "differ (default: none, and nothing is merged)",
        ),
        PUBLISH,
    ),
    words="results",
    words_help="folders of results, whole, in part or copied (default: results)",
)


def export(arguments: Sequence[str]) -> int:
    """Export or merge what the arguments name.

    Returns:
        0, or 1 where finished trials could not be merged.

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
    if parsed["prefer"] is not None and parsed["merge"] is None:
        raise ConfigError("prefer= chooses among folders that are merged.", "Add merge=all.")
    if parsed["publish"] is not None and parsed["merge"] is not None:
        raise ConfigError("merge= copies results as they are.", "Leave publish= out.")
    folders = [Path(word) for word in parsed.words or ["results"]]
    if parsed["merge"] is not None:
        prefer = None if parsed["prefer"] is None else Path(parsed["prefer"])
        return _merge(folders, Path(parsed["merge"]), prefer)
    return _write(folders, parsed)


def _write(folders: Sequence[Path], parsed: Arguments) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from al_bench.results.frame import read_acquisitions, read_curves
    from al_bench.results.settings import CONFIG, of_runs, with_settings

    out = Path(parsed["out"])
    if out.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"out={out} is neither .csv nor .parquet.", "Try out=curves.csv.")
    with warnings_as_lines():
        frame = (read_curves if parsed["kind"] == "curves" else read_acquisitions)(folders)
    change = masked_text if parsed["publish"] else without_places
    text_of = {run: change(text) for run, text in of_runs(frame).items()}
    frame = published_frame(frame.drop(columns=CONFIG, errors="ignore"), change)
    frame.attrs.clear()  # what was skipped is a matter of this machine
    with outputs.written(out) as stream:
        if out.suffix == ".csv":
            without_formulas(frame).to_csv(stream, index=False, errors="backslashreplace")
        else:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            pq.write_table(with_settings(table, text_of), stream)
    print(f"{out}: {len(frame)} rows")
    return 0


def _merge(folders: Sequence[Path], target: Path, prefer: Path | None) -> int:
    """Merge, and say what was left out; 1 where that was finished, else 0."""
    from al_bench.results.merge import merge

    with warnings_as_lines():
        merged = merge(folders, target, prefer)
    for reason in (*merged.spared, *merged.lost):
        print(f"warning: left out: {in_a_line(reason.rstrip('.'))}.", file=sys.stderr)
    for reason in merged.edited:
        text = f"taken, as prefer={prefer} asks: {reason}; al-bench status check=true tells of it"
        print(f"warning: {in_a_line(text)}.", file=sys.stderr)
    print(f"{target}: {merged.taken} trials taken in")
    return 1 if merged.lost else 0
