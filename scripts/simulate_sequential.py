"""How often seeds=until_decided is wrong, and how many seeds it takes.

    python scripts/simulate_sequential.py --out sequential.json
    python scripts/simulate_sequential.py --repetitions 100      # to try it

Invents areas of a baseline and three arms, seed by seed, looks as often as ``al-bench run`` would
and counts: how often an arm that is no better or worse is decided (of all arms together), how often
a better one is found, and with how many seeds. Beside it, what looking at Holm-adjusted t-tests
after each stage and stopping at the first p below 5 % would have done.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from al_bench.stats.paired import holm, t_test
from al_bench.stats.sequential import BETTER, LEVEL, decide

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]

ARMS = 3
DRAWS: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "heavy tails (t, 3 degrees of freedom)": lambda rng, shape: rng.standard_t(3, size=shape),
    "skewed (exponential)": lambda rng, shape: rng.exponential(size=shape),
}
# What a sign flip takes for granted is not so here: equal means, but three times the spread.
UNEQUAL = "equal means, skewed, arms of three times the baseline's spread"


def simulate(draw: Draw, shift: float, spread: float, design: tuple[int, int], repetitions: int):
    """Rates over ``repetitions`` sweeps.

    Args:
        draw: Areas of independent seeds.
        shift: What the first arm is better by, in standard deviations of a difference.
        spread: Of the arms, as a multiple of the baseline's.
        design: Seeds of a look, and at most.
        repetitions: How many.
    """
    step, most = design
    looks = list(range(step, most + 1, step))
    rng = np.random.default_rng(0)
    mean = float(draw(np.random.default_rng(1), (10**6,)).mean())
    scale = float(draw(np.random.default_rng(2), (10**6,)).std()) * 2**0.5
    false, naive, found, wrong, seeds = 0, 0, 0, 0, []
    for _ in range(repetitions):
        base = draw(rng, (most,)) - mean
        arms = spread * (draw(rng, (ARMS, most)) - mean)
        arms[0] += shift * scale
        d = dict(zip("abc", arms - base, strict=True))
        decided = decide(d, dict.fromkeys(d, looks), most)
        null = set(d) if shift == 0 else {"b", "c"}
        false += bool(null & set(decided))
        naive += _naive([d[arm] for arm in sorted(null)], looks)
        if shift:
            first = decided.get("a")
            found += first is not None and first.verdict == BETTER
            wrong += first is not None and first.verdict != BETTER
            seeds.append(most if first is None else first.num_seeds)
    rates: dict[str, Any] = {"repetitions": repetitions}
    rates["any false decision"] = false / repetitions
    rates["any false decision when t-tests are looked at"] = naive / repetitions
    if shift:
        rates["better arm found"] = found / repetitions
        rates["better arm called worse"] = wrong / repetitions
        rates["mean seeds until then"] = float(np.mean(seeds))
    return rates


def _naive(differences: list[Array], looks: list[int]) -> bool:
    tests = ([t_test(d[:n]) for d in differences] for n in looks)
    return any(bool((holm(p) < LEVEL).any()) for p in tests)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=4_000)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    asked = parser.parse_args()
    content: dict[str, Any] = {"arms": ARMS, "level": LEVEL, "designs": {}}
    for design, share in (((4, 16), 1), ((5, 20), 4)):  # twenty seeds take sixteen times as long
        repetitions = asked.repetitions // share
        rows: dict[str, Any] = {}
        for name, draw in DRAWS.items():
            rows[f"no difference, {name}"] = simulate(draw, 0, 1, design, repetitions)
        skewed = DRAWS["skewed (exponential)"]
        rows[UNEQUAL] = simulate(skewed, 0, 3, design, repetitions)
        for shift in (1.0, 1.5):
            name = f"one arm better by {shift:g} standard deviations of a difference, normal"
            rows[name] = simulate(DRAWS["normal"], shift, 1, design, repetitions)
        name = f"looks every {design[0]} seeds, at most {design[1]}"
        content["designs"][name] = rows
        for what, rates in rows.items():
            print(f"{name}: {what}: {rates}", flush=True)
    if asked.out:
        asked.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
