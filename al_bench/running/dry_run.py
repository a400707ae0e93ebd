"""What a run would do, without doing it."""

from collections.abc import Mapping, Sequence

from al_bench.data.composition import composition
from al_bench.running.prepare import Prepared
from al_bench.running.remaining import remaining_of
from al_bench.running.settings import setting_of
from al_bench.text.duration import about
from al_bench.text.terminal import spans
from al_bench.text.visible import in_a_line


def describe(prepared: Prepared) -> str:
    """Sizes, rounds, forward passes to come and the output folder, a line each."""
    run, trial = prepared.run, prepared.trial(prepared.seeds[0])
    setting, model = setting_of(run), run.model
    work, rounds, test = setting.work(trial), trial.num_rounds, len(trial.test)
    samples = run.num_evaluated(model.num_samples)
    others = {other.name: len(other.inputs) for other in run.ood}
    a_round = test + len(trial.validation) + sum(others.values())
    tested = (rounds * a_round + work.reweighting) * samples
    trained = sum(round.steps for round in setting.schedule(trial))
    count = len(prepared.seeds)
    shape = "×".join(map(str, trial.pool.inputs.input_shape))
    made_of = composition(trial.pool) if prepared.loaded.transforms else {}
    passes = [
        f"scoring    at most {work.scored:,} forward passes (points × samples) a seed, "
        f"{work.scored * count:,} in all",
        f"testing    {tested:,} forward passes a seed, {tested * count:,} in all",
        *_together(run.joint_size, test),
    ]
    kind = "run" if run.has_rounds else "study"
    lines = [
        f"{kind:<11}{run.identity.strategy_label} on {run.identity.task}, "
        f"{run.identity.model_label}",
        f"data       pool {len(trial.pool):,}, test {test:,}, inputs {shape}, "
        f"{trial.num_classes} classes",
        *(f"{name:<11}{what}" for name, what in made_of.items()),
        *([f"ood        {_counted(others)} test points"] if others else []),
        *(f"note       {note}" for note in prepared.notes),
        *(f"{name:<11}{what}" for name, what in work.sizes.items()),
        f"seeds      {count} ({spans(prepared.seeds)})",
        *([f"rounds     {rounds} a seed, {rounds * count} in all"] if run.has_rounds else []),
        f"training   at most {trained:,} steps a seed, {trained * count:,} in all",
        *(passes if run.has_rounds else []),
        f"engine     {run.engine.device}, {run.engine.scoring_precision} scoring, "
        f"{run.engine.training_precision} training, {_packs(run.engine.pack_width)}"
        f"{prepared.workers} worker(s)",
        *([f"time       {_time(prepared)}"] if run.has_rounds else []),
        f"results    {prepared.results / run.identity.folder}",
    ]
    return "\n".join(map(in_a_line, lines))


def _packs(width: int | None) -> str:
    return "" if width is None else f"packs of {width}, "


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _together(joint_size: int | None, num_points: int) -> list[str]:
    """How many batches of the test set are predicted together, where any are."""
    if joint_size is None:
        return []
    batches, left = divmod(num_points, joint_size)
    return [f"joint      {batches:,} batches of {joint_size:,} test points, {left:,} left out"]


def _time(prepared: Prepared) -> str:
    """How long it will take, from stored runs of the same device; nothing is trained for it."""
    remaining = remaining_of([prepared])
    if remaining.is_over:
        return "none: every seed is done"
    seconds = remaining.seconds()
    if seconds is None:
        engine = prepared.run.engine
        where = engine.columns()["device_name"] or engine.device
        return f"not known: nothing like it is stored of {where}; the run says so as it goes on"
    return f"{about(seconds)}, as measured for {remaining.source}"


def in_all(runs: Sequence[Prepared]) -> str:
    """How many jobs a sweep has, and how long they will take where no launcher shares them.

    Args:
        runs: The run of each job.
    """
    jobs = f"{len(runs)} job{'s' * (len(runs) > 1)} in all"
    remaining = remaining_of(runs)
    if remaining.is_over:
        return f"{jobs}: every seed is done"
    seconds = remaining.seconds()
    if seconds is None:
        return f"{jobs}: time not known"
    unknown = remaining.unknown
    rest = f", taking {unknown} of which it is not known for their mean" if unknown else ""
    return f"{jobs}: {about(seconds)} without a launcher{rest}"
