"""How often ``al-bench compare`` says something wrong, by simulation.

    python scripts/simulate_verdicts.py --out results/reference/benchmarks/verdicts.json
    python scripts/simulate_verdicts.py --repeats 200      # to try it

Differences of 1, 3 and 10 arms to one baseline are drawn for 5, 10 and 20 seeds and judged as
``compare`` does. An experiment is wrong where any of its arms is. Differences have spread 1 and, as
they share the baseline, correlation 0.5; the margin of equivalence is 2. Prints the tables of
docs/comparing.md.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from al_bench.stats import paired
from al_bench.stats.paired import decide, holm
from al_bench.stats.verdicts import BETTER, EQUIVALENCE_LEVEL, EQUIVALENT, WORSE, verdict

Array = NDArray[np.float64]

ARMS = (1, 3, 10)
SEEDS = (5, 10, 20)
MARGIN = 2.0
REPEATS = {5: 5_000, 10: 5_000, 20: 2_000}  # by seeds: from 20 on each test is a bootstrap
RESAMPLES = 10_000  # of these bootstraps, where ``compare`` draws 50,000

# What the arms' true differences are, in turn.
TRUTHS = {
    "equal means": (0.0,),
    "small differences": (0.2,),
    "differences as large as the margin": (MARGIN,),
    "some of each": (0.0, MARGIN, 0.2),
}
SHAPES = {
    "normal": "normal differences",
    "skewed areas": "areas of exponential shape, as where a few seeds fail",
    "skewed differences": "differences of skewness 0.7 (gamma distribution of shape 8)",
}
WRONG = ("better or worse, equal means", "wrong sign", "equivalent, at the margin", "any of these")


def differences(shape: str, size: tuple[int, int, int], generator: np.random.Generator) -> Array:
    """(repeats, arms, seeds) of mean 0, spread 1, correlation 0.5: own part less the baseline's."""
    repeats, arms, seeds = size
    full = (repeats, arms + 1, seeds)
    if shape == "normal":
        parts = generator.normal(size=full)
    elif shape == "skewed areas":
        parts = generator.exponential(size=full)
    else:  # a sum of two gamma variables is one too: the baseline's part is turned round
        parts = generator.gamma(4.0, size=full) / 2 - 2
        parts[:, -1] *= -1
    difference: Array = (parts[:, :-1] - parts[:, -1:]) / np.sqrt(2)
    return difference


def wrong(truth: Array, means: Array, p: Array, within: Array) -> frozenset[str]:
    """The kinds of wrong statements on arms of true differences ``truth``, all (arms,)."""
    found = set()
    for true, mean, one, other in zip(truth, means, holm(p), holm(within), strict=True):
        said = verdict(float(mean), float(one), float(other))
        if true == 0 and said in (BETTER, WORSE):
            found.add(WRONG[0])
        if (true > 0 and said == WORSE) or (true < 0 and said == BETTER):
            found.add(WRONG[1])
        # Said beside "better" too, where the tests of equivalence succeed.
        if abs(true) >= MARGIN and (said == EQUIVALENT or other < EQUIVALENCE_LEVEL):
            found.add(WRONG[2])
    return frozenset(found | {WRONG[-1]} if found else found)


def rates(
    shape: str, truths: tuple[float, ...], arms: int, seeds: int, repeats: int
) -> dict[str, float]:
    """Share of experiments with each kind of wrong statement."""
    generator = np.random.default_rng([list(SHAPES).index(shape), arms, seeds])
    truth = np.resize(truths, arms)
    d = differences(shape, (repeats, arms, seeds), generator) + truth[:, None]
    found = [wrong(truth, *row) for row in zip(d.mean(axis=-1), *decide(d, MARGIN), strict=True)]
    return {kind: sum(kind in kinds for kinds in found) / repeats for kind in WRONG}


def table(results: Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]) -> str:
    """The rates in percent: a table a shape, a row a truth and kind, a column a case."""
    cases = [f"{arms}, {seeds}" for arms in ARMS for seeds in SEEDS]
    lines = []
    for shape, by_truth in results.items():
        lines += ["", SHAPES[shape], "", "| arms, seeds | " + " | ".join(cases) + " |"]
        lines.append("| --- |" + " ---: |" * len(cases))
        for truth, by_case in by_truth.items():
            kinds = [kind for kind in WRONG if any(by_case[case][kind] for case in cases)]
            for kind in kinds if len(kinds) > 2 else kinds[:1]:  # of one kind, any is that
                values = " | ".join(f"{100 * by_case[case][kind]:.1f}" for case in cases)
                lines.append(f"| {truth}: {kind} | {values} |")
    return "\n".join(lines)


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, help="the same number for all")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    paired.RESAMPLES = RESAMPLES
    results = {
        shape: {
            name: {
                f"{arms}, {seeds}": rates(
                    shape, truths, arms, seeds, options.repeats or REPEATS[seeds]
                )
                for arms in ARMS
                for seeds in SEEDS
            }
            for name, truths in TRUTHS.items()
        }
        for shape in SHAPES
    }
    print(table(results))
    if options.out is not None:
        repeats = {seeds: options.repeats or number for seeds, number in REPEATS.items()}
        content = {"repeats": repeats, "resamples": RESAMPLES, "margin": MARGIN, "rates": results}
        options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
