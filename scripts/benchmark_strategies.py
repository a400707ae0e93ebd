"""Strategies against other tools and against the floor of their arithmetic, in one process.

    python scripts/benchmark_strategies.py --data ~/data --out strategies.json
    python scripts/benchmark_strategies.py --only batchbald,badge --quick
    python scripts/benchmark_strategies.py --table strategies.json > table.md

Every way runs in turn on the same inputs, on one thread, several times; ratios are of neighbors in
time, their median [min, max]. The clock is the process's own CPU time. Floors are what the work
takes at the least at the rates of matrix products, logarithms and reading measured in the same
repetition. Posteriors are those of the MNIST CNN trained on 40 and 200 labels: of scikit-learn's
digits enlarged, or of MNIST with ``--data``. Peers are optional: ``pip install 'al-bench[peers]'``.

``--only`` takes rows (batchbald, epig, badge, bait, k_center, dynamical, pointwise, every,
scaling); ``--names`` keeps some of the scores and strategies of the last three. Exits with 1 when
the answer of a deterministic method is not the peer's, or a case broke.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from benchmark_scoring import processor
from strategy_benchmarks import (
    cases_coverage,
    cases_every,
    cases_gradients,
    cases_information,
    cases_pointwise,
    report,
    scaling,
)
from strategy_benchmarks.case import Case, Facts, Options
from strategy_benchmarks.cases_every import TooLong
from strategy_benchmarks.floors import Rates
from strategy_benchmarks.installed import PACKAGES
from strategy_benchmarks.timing import measure

ROWS = {
    **cases_information.CASES,
    **cases_gradients.CASES,
    **cases_coverage.CASES,
    **cases_pointwise.CASES,
    **cases_every.CASES,
}
SCALING = "scaling"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or print the tables of what was measured; the exit status."""
    asked = parsed(arguments)
    if asked.table:
        print(report.tables([json.loads(path.read_text(encoding="utf-8")) for path in asked.table]))
        return 0
    torch.set_num_threads(asked.threads)
    options = Options(
        quick=asked.quick,
        data=asked.data,
        repeats=asked.repeats,
        names=frozenset(asked.names),
        minutes=asked.minutes,
    )
    content = head(options, asked.threads)
    print(json.dumps({key: content[key] for key in ("processor", "versions", "data")}))
    rates = Rates(quick=options.quick)
    for name in asked.only or (*ROWS, SCALING):
        if name == SCALING:
            for entry in scaling.fitted(options):
                content["scaling"].append(entry)
                print(report.growth([entry])[-1], flush=True)
                write(asked.out, content)
            continue
        for case in ROWS[name](options):
            content["rows"].append(tried(case, options, rates))
            print(report.line(content["rows"][-1]), flush=True)
            write(asked.out, content)
    complaints = [said for row in content["rows"] for said in report.complaints(row)]
    for said in complaints:
        print(said, file=sys.stderr)
    return 1 if complaints else 0


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=rows_of, help="rows, with commas between; all if not given")
    parser.add_argument(
        "--names", type=words_of, default=[], help="scores and strategies, likewise"
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try it")
    parser.add_argument("--data", type=Path, help="folder with MNIST as torchvision stores it")
    parser.add_argument("--repeats", type=int, help="repetitions of every case")
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="by the clock, for one selection"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="JSON file to write, after every case")
    parser.add_argument("--table", type=Path, nargs="+", help="files to print as tables")
    return parser.parse_args(arguments)


def words_of(text: str) -> list[str]:
    """Words with commas between."""
    return [word.strip() for word in text.split(",") if word.strip()]


def rows_of(text: str) -> list[str]:
    """Names of rows."""
    words = words_of(text)
    for word in words:
        if word not in (*ROWS, SCALING):
            valid = ", ".join((*ROWS, SCALING))
            raise argparse.ArgumentTypeError(f"no row is called {word!r}; choose from {valid}")
    return words


def head(options: Options, threads: int) -> dict[str, Any]:
    """Where and of what the measurements are."""
    return {
        "processor": processor(),
        "versions": versions(),
        "threads": threads,
        "clock": "process CPU time",
        "quick": options.quick,
        "data": options.source,
        "rows": [],
        "scaling": [],
    }


def versions() -> dict[str, str]:
    """Of Python, al-bench, what it computes with, and the peers that are installed."""
    found = {"python": sys.version.split()[0]}
    for name in ("al-bench", "torch", "numpy", *PACKAGES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def tried(case: Case, options: Options, rates: Rates) -> Facts:
    """The measurement, or why there is none: the other cases can still be measured."""
    try:
        return measure(case, options, rates)
    except TooLong as error:
        said, broken = str(error), False
    except Exception as error:
        said, broken = " ".join(f"{type(error).__name__}: {error}".split()), True
    about = {"row": case.row, "name": case.name, "work": case.work}
    return {**about, "failed": said, "broken": broken}


def write(path: Path | None, content: Facts) -> None:
    """What is there so far."""
    if path is not None:
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
