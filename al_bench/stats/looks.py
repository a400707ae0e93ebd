"""Seeds that were added after a look at the others: by a rule, or by who looked."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from al_bench.stats.arms import ProtocolResult
from al_bench.stats.sequential import LEVEL

Decisions = Sequence[Mapping[str, Any]]
Spans = Mapping[tuple[str, int], tuple[str, str]]


def later_seeds(
    result: ProtocolResult, spans: Spans, again: Callable[[Sequence[int]], ProtocolResult]
) -> str | None:
    """A sentence where seeds began when all others had ended, and changed a verdict.

    Whoever looks at a comparison and adds seeds as long as it says nothing finds a difference too
    often, whatever a single comparison promises. Results do not tell why seeds were added; that
    they were, and that a verdict hangs on them, they do.

    Args:
        result: What is said with all seeds.
        spans: When the trial of an arm and seed began and ended, as ISO 8601 in UTC. Where one of
            the result's trials lacks, nothing is said.
        again: The result with some of the seeds.
    """
    trials = [(arm.arm, seed) for arm in result.arms for seed in arm.seeds]
    if result.baseline is None or not all(trial in spans for trial in trials):
        return None
    begins: dict[int, str] = {}
    ends: dict[int, str] = {}
    for trial in trials:
        seed, (begin, end) = trial[1], spans[trial]
        begins[seed] = min(begin, begins.get(seed, begin))
        ends[seed] = max(end, ends.get(seed, end))
    seeds = sorted(begins, key=lambda seed: (begins[seed], seed))
    for place in range(len(seeds) - 1, 1, -1):  # two seeds are the fewest that say anything
        earlier, later = sorted(seeds[:place]), sorted(seeds[place:])
        if max(ends[seed] for seed in earlier) >= min(begins[seed] for seed in later):
            continue
        before = {
            arm.arm: arm.verdict
            for arm in again(earlier).arms
            if arm.paired is not None and arm.paired.num_seeds > 1
        }
        changed = [
            f"{arm.arm} was {before[arm.arm]} and is {arm.verdict}"
            for arm in result.arms
            if arm.arm in before and arm.verdict != before[arm.arm]
        ]
        if changed:
            return (
                f"Seed{'s' * (len(later) > 1)} {', '.join(map(str, later))} began when all others "
                f"had ended, and verdicts hang on them: {'; '.join(changed)}. Adding seeds after a "
                "look finds differences too often."
            )
    return None


def by_rule(decisions: Decisions) -> list[str]:
    """Sentences about seeds that ``seeds=until_decided`` has added, one a baseline.

    Args:
        decisions: Mappings with arm, baseline, seeds, verdict and looks
            (``al_bench.results.sweeps.read_decisions``).
    """
    sentences = []
    for baseline in dict.fromkeys(one["baseline"] for one in decisions):
        arms = [one for one in decisions if one["baseline"] == baseline]
        verdicts = ", ".join(
            f"{one['arm']} {one['verdict'] or 'not decided'} ({one['seeds']} seeds)" for one in arms
        )
        looks = ", ".join(map(str, arms[-1]["looks"]))
        sentences.append(
            f"Seeds were added until arms were decided against {baseline}, with looks after "
            f"{looks}: {verdicts}. That test keeps {100 * LEVEL:g} % over its looks and arms; "
            "intervals, p and verdicts here know of no looks."
        )
    return sentences
