"""``seeds=until_decided``: a sweep in stages, whose arms get more seeds until they are decided.

After each stage there is a look at the stored curves: an arm that is better or worse than the
baseline by the group-sequential test of ``al_bench.stats.sequential`` gets no more seeds. What is
decided depends on what is stored alone, so the same command goes on where it was stopped.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from al_bench.configuration.overrides import key_of
from al_bench.configuration.until_decided import Design, decides_nothing
from al_bench.errors import ConfigError, ResultsError, choose
from al_bench.results import manifest, parquet, sweeps
from al_bench.results.history import TrialPaths
from al_bench.results.provenance import command
from al_bench.results.schema import CURVE
from al_bench.results.wording import CHOICES
from al_bench.stats.areas import normalized_area
from al_bench.stats.sequential import LEVEL, Decided, decide, first_deciding
from al_bench.text.console import Table
from al_bench.text.terminal import print_table, wide_console
from al_bench.text.visible import in_a_line


class Arm:
    """A job of the sweep, in all its stages.

    Args:
        words: What was typed for it, but for its seeds.

    Attributes:
        group: Those words that are not about the strategy or the selection: arms are compared
            within a group.
        of_strategy: Those that are.
        name: What it is called beside the others of its group.
        folder: Of its run, known after the first stage.
        ended: Why it gets no more seeds although it is not decided; empty while it does.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = [word for word in words if key_of(word) != "seeds"]
        self.group = tuple(word for word in self.words if not _is_of_strategy(word))
        self.of_strategy = [word for word in self.words if _is_of_strategy(word)]
        self.name = self.strategy
        self.folder: Path | None = None
        self.ended = ""

    @property
    def strategy(self) -> str:
        """Its choice of strategy, or of a selection; empty where none was typed."""
        chosen = [word for word in self.of_strategy if key_of(word) in CHOICES]
        return chosen[-1].partition("=")[2] if chosen else ""

    def is_done(self, seeds: Sequence[int]) -> bool:
        """Whether it has all these seeds."""
        return self.folder is not None and all(
            manifest.is_done(TrialPaths(self.folder, seed).manifest) for seed in seeds
        )

    def curves(self, seeds: Sequence[int]) -> "dict[int, Curve]":
        """The curves of those of these seeds that are done."""
        if self.folder is None:
            return {}
        curves = {seed: _curve(self.folder, seed) for seed in seeds}
        return {seed: curve for seed, curve in curves.items() if curve is not None}


Curve = tuple[
    np.ndarray[Any, Any], np.ndarray[Any, Any]
]  # counts of labels or steps, ascending; accuracy


class Group:
    """Arms that differ in the strategy, or the selection, alone, one of them the baseline.

    Args:
        arms: All of them.
        design: Baseline and looks.
        where: The words that tell this group from the others.

    Attributes:
        decided: By name of the arm.
        differences: Mean difference to the baseline and its number of pairs, by name.

    Raises:
        ConfigError: There is no baseline, or nobody to compare with it.
    """

    def __init__(self, arms: Sequence[Arm], design: Design, where: Sequence[str]) -> None:
        self.design = design
        self.where = where
        strategies = {arm.strategy for arm in arms} - {""}
        first = next((arm for arm in arms if arm.strategy == design.baseline), None)
        if first is None:
            suffix = f" with {' '.join(where)}" if where else ""
            raise ConfigError(
                f"baseline={design.baseline} is not among the strategies of the sweep{suffix}.",
                choose(design.baseline, strategies)
                if strategies
                else f"Add for example strategy={design.baseline},bald.",
            )
        self.baseline = first
        shared = set(first.of_strategy).intersection(*(arm.of_strategy for arm in arms))
        for arm in arms:
            words = [word for word in arm.of_strategy if word not in shared]
            more = [word for word in words if key_of(word) not in CHOICES]
            more = [re.sub(rf"^({'|'.join(CHOICES)})[./@]", "", word) for word in more]
            arm.name = ", ".join([arm.strategy, *more])
        self.others = [arm for arm in arms if arm.name != first.name]
        if not self.others:
            raise ConfigError(
                f"There is no arm beside baseline={design.baseline}.",
                f"Sweep strategies: -m strategy={design.baseline},bald.",
            )
        self.first_deciding = first_deciding(len(self.others), design.max_seeds)
        if self.first_deciding is None:
            raise decides_nothing(design.max_seeds)
        self.decided: dict[str, Decided] = {}
        self.differences: dict[str, tuple[float, int]] = {}

    @property
    def open(self) -> list[Arm]:
        """Arms that get more seeds, the baseline not among them."""
        return [arm for arm in self.others if arm.name not in self.decided and not arm.ended]

    def look(self, seeds_at_looks: Sequence[int]) -> None:
        """Decide with what is stored after looks at so many seeds."""
        seeds = range(seeds_at_looks[-1])
        base = self.baseline.curves(seeds)
        pairs = {arm.name: _differences(arm.curves(seeds), base) for arm in self.others}
        counts = {
            name: [sum(seed < n for seed in differences) for n in seeds_at_looks]
            for name, differences in pairs.items()
        }
        values = {name: list(differences.values()) for name, differences in pairs.items()}
        self.decided = decide(values, counts, self.design.max_seeds)
        for name, d in values.items():
            sample = d[: self.decided[name].num_seeds] if name in self.decided else d
            self.differences[name] = (float(np.mean(sample)) if sample else np.nan, len(sample))


class Stages:
    """The jobs of a sweep, stage by stage.

    Args:
        jobs: The words of each job.
        design: Baseline and looks.
        folder: ``<results>/.sweeps/<sweep>``, where jobs leave their records; job i of all stages
            together is the one called ``str(i)``.
        dry_run: One stage of all seeds, of which nothing is stored.

    Raises:
        ConfigError: Some arms lack the baseline, or the looks cannot decide anything.
    """

    def __init__(
        self, jobs: Sequence[Sequence[str]], design: Design, folder: Path, dry_run: bool = False
    ) -> None:
        self._design = design
        self._folder = folder
        self._root = folder.parent.parent
        self._dry_run = dry_run
        self._arms = [Arm(job) for job in jobs]
        groups: dict[tuple[str, ...], list[Arm]] = {}
        for arm in self._arms:
            groups.setdefault(arm.group, []).append(arm)
        shared = set(self._arms[0].group).intersection(*groups)
        self._groups = [
            Group(arms, design, [word for word in words if word not in shared])
            for words, arms in groups.items()
        ]
        self._launched: list[tuple[Arm, list[str]]] = []
        self._stage = 0  # the one to come
        self._console = wide_console()

    def next(self) -> list[list[str]]:
        """The words of the jobs that come next; none when there is no more to do.

        Before the first stage it says what is planned, after each it looks at what is stored and
        shows it, and at the end it says what was decided.
        """
        looks = self._design.looks
        if self._stage == 0:
            self._say(self._plan())
        if self._dry_run:
            self._stage += 1
            whole = f"seeds={self._design.max_seeds}"
            return [[*arm.words, whole] for arm in self._arms] if self._stage == 1 else []
        while True:
            if self._stage:
                self._look()
            if self._stage == len(looks) or (self._stage and not any(g.open for g in self._groups)):
                self._conclude()
                return []
            seeds = range(looks[self._stage - 1] if self._stage else 0, looks[self._stage])
            chosen = [arm for arm in self._next_arms if self._stage == 0 or not arm.is_done(seeds)]
            self._stage += 1
            if chosen:
                jobs = [[*arm.words, f"seeds=[{','.join(map(str, seeds))}]"] for arm in chosen]
                self._launched += zip(chosen, jobs, strict=True)
                sweeps.write_plan(self._folder, [job for _, job in self._launched], command())
                return jobs

    @property
    def _next_arms(self) -> list[Arm]:
        """Arms that get the seeds of the next stage; a baseline as long as one of its arms does."""
        if self._stage == 0:
            return self._arms
        ids = {id(arm) for group in self._groups for arm in group.open}
        ids |= {id(group.baseline) for group in self._groups if group.open}
        return [arm for arm in self._arms if id(arm) in ids]

    def _look(self) -> None:
        """Look at what is stored after the stage before, and show it."""
        looks = self._design.looks[: self._stage]
        for number, (arm, _) in enumerate(self._launched):
            job = sweeps.read_job(self._folder / str(number))
            if job is not None and job.trials:
                arm.folder = self._root / next(iter(job.trials))
            elif arm.folder is None:
                arm.ended = ((job and job.error) or "it did not start").rstrip(".")
        new = range(looks[-2] if len(looks) > 1 else 0, looks[-1])
        for group in self._groups:
            arms = [*group.open, group.baseline] if group.open else []
            for arm in arms:
                if not arm.ended and not arm.curves(new):
                    arm.ended = f"no seed of {new[0]} to {new[-1]} is done"
            group.look(looks)
            if group.baseline.ended:
                for arm in group.open:
                    arm.ended = f"{group.baseline.name}: {group.baseline.ended}"
            for arm in group.open:
                if not group.differences[arm.name][1]:  # one round has no area, for example
                    arm.ended = f"no seed of it makes a pair with {group.baseline.name}"
            print_table(self._console, self._table(group))

    def _table(self, group: Group) -> Table:
        looks, seeds = self._design.looks, self._design.looks[self._stage - 1]
        where = "".join(f" · {word}" for word in group.where)
        table = Table(f"Look {self._stage} of {len(looks)}, after {seeds} seeds{where}")
        table.add_column("arm", overflow="fold")
        for name in ("seeds", f"less {group.baseline.name}, points"):
            table.add_column(name, justify="right")
        table.add_column("decided", overflow="fold")
        for arm in group.others:
            mean, pairs = group.differences[arm.name]
            difference = "" if np.isnan(mean) else f"{100 * mean:+z.2f}"
            table.add_row(arm.name, str(pairs), difference, _state(arm, group))
        return table

    def _plan(self) -> str:
        looks = self._design.looks
        group = max(self._groups, key=lambda group: len(group.others))
        number, fewest = len(group.others), group.first_deciding
        assert fewest is not None
        look = next(seeds for seeds in looks if seeds >= fewest)
        arms = f"one of {number} arms" if number > 1 else "an arm"
        return (
            f"Seeds are added until every arm is better or worse than {self._design.baseline}: "
            f"looks after {', '.join(map(str, looks))} seeds. With fewer than {fewest} seeds "
            f"{arms} cannot be decided, so the first decisions can fall after {look}."
        )

    def _conclude(self) -> None:
        """Say what was decided, and store it beside the plan."""
        decisions = []
        for group in self._groups:
            for arm in group.others:
                pairs = group.differences[arm.name][1]
                entry: dict[str, Any] = {"arm": arm.name, "baseline": group.baseline.name}
                entry |= {"run_id": arm.folder.name if arm.folder else None, "seeds": pairs}
                decision = group.decided.get(arm.name)
                decisions.append(entry | {"verdict": decision.verdict if decision else None})
                where = "".join(f" ({word})" for word in group.where)
                if decision:
                    outcome = f"is {decision.verdict} than {group.baseline.name}, {pairs} seeds"
                else:
                    outcome = f"is not decided, {pairs} seeds"
                self._say(f"{arm.name}{where} {outcome}{f': {arm.ended}' if arm.ended else ''}.")
        self._say(
            "By a sign-flip test of the differences of area under the accuracy curve, at "
            f"{100 * LEVEL:g} % over all looks and arms of a protocol."
        )
        sweeps.write_decisions(self._folder, self._design.looks, decisions)

    def _say(self, sentence: str) -> None:
        print(in_a_line(sentence), flush=True)


def _state(arm: Arm, group: Group) -> str:
    if decided := group.decided.get(arm.name):
        return f"{decided.verdict}, with {decided.num_seeds} seeds"
    return f"ended: {arm.ended}" if arm.ended else "open"


def _is_of_strategy(word: str) -> bool:
    """Whether it chooses the strategy, the selection or a part of these.

    ``strategy@init_strategy=`` does not.
    """
    group, _, package = key_of(word).partition("@")
    return re.split("[./]", package or group)[0] in CHOICES


def _curve(folder: Path, seed: int) -> Curve | None:
    """Labels asked for, or steps, and test accuracy of a trial that is done; else ``None``."""
    from al_bench.stats.spent import spent

    paths = TrialPaths(folder, seed)
    if not manifest.is_done(paths.manifest):
        return None
    names = ("run_id", "setting", "num_queried", "total_steps", "test_accuracy")
    schema = pa.schema([CURVE.field(name) for name in names])
    try:
        rows = parquet.read(paths.curve, schema).to_pandas()
        counts = spent(rows.assign(num_labeled=rows["num_queried"])).to_numpy(dtype=float)
    except (FileNotFoundError, ResultsError):
        return None
    values = rows["test_accuracy"].to_numpy(dtype=float)
    return (counts, values) if np.isfinite(values).all() else None


def _differences(arm: Mapping[int, Curve], base: Mapping[int, Curve]) -> dict[int, float]:
    """Seed to difference in normalised area, over the counts that both curves have."""
    differences = {}
    for seed in sorted(set(arm) & set(base)):
        (mine, own), (theirs, others) = arm[seed], base[seed]
        counts, of_mine, of_theirs = np.intersect1d(mine, theirs, return_indices=True)
        if len(counts) > 1:
            difference = own[of_mine] - others[of_theirs]
            differences[seed] = float(
                normalized_area(counts, difference, float(counts[0]), float(counts[-1]))
            )
    return differences
