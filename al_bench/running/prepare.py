"""From a composed configuration to trials: everything is built and checked before any work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from al_bench.configuration.building import build, build_with
from al_bench.configuration.composing import Composed, check_complete, without_tracker
from al_bench.configuration.schema import parse_seeds
from al_bench.configuration.trackers import build_tracker
from al_bench.data.base import Dataset, DatasetSource, Examples, Pool
from al_bench.data.class_counts import part_by_class
from al_bench.data.pool import Loaded, PoolTransform, Stage, apply_transforms
from al_bench.data.target import PoolTargets, TargetDistribution, Targets, apart
from al_bench.engine import MOST_TOGETHER, Engine, parse_device
from al_bench.errors import AlBenchError, ConfigError, choose, placed, require_counts, require_whole
from al_bench.masking import remember
from al_bench.models.base import DirectModel, Model, NetworkModel
from al_bench.paths import opened, refuse_unusable
from al_bench.results.store import Resume
from al_bench.results.trial_key import TrialKey
from al_bench.rounds.trial import Run, Trial
from al_bench.running.compatibility import check_joint_size
from al_bench.running.earlier import of_another_name, of_other_code, under_another_engine
from al_bench.running.identity import identify
from al_bench.running.loading import Data
from al_bench.running.ood import build_ood, load_ood
from al_bench.running.settings import chosen
from al_bench.seeding import Streams
from al_bench.tracking.guard import Tracking
from al_bench.training.packing import LEAVE_OUT, ONE_BY_ONE, pack_width

RESUMES = ("same", "any")
ON_ERROR = ("continue", "stop")
CHECKED = 10  # seeds whose pools are drawn before any work; a later one that fails does so alone


@dataclass(frozen=True)
class Prepared:
    """A checked run that has not begun.

    Args:
        run: What all seeds share.
        seeds: The seeds asked for.
        results: The results folder.
        resume: ``same`` or ``any`` engine for half-done trials.
        on_error: ``continue`` or ``stop``.
        workers: Processes that share the seeds.
        dataset: Loaded.
        loaded: Pool transforms with their data, and the test set in the pool's classes.
        target: Which inputs' predictions matter.
        offsets: Stream name to offset.
        tracking: Tells the experiment tracker, if there is one.
        composed: What all this was built from.
        test_counts: Points of each class in a seed's test set; ``None`` is the data set's own.
        notes: Sentences on what may not be as it was asked for.
    """

    run: Run
    seeds: Sequence[int]
    results: Path
    resume: Resume
    on_error: str
    workers: int
    dataset: Dataset
    loaded: Loaded
    target: TargetDistribution
    offsets: Mapping[str, int]
    tracking: Tracking
    composed: Composed
    test_counts: Sequence[int] | None = None
    notes: Sequence[str] = ()

    @property
    def folder(self) -> Path:
        """Where the run is stored, absolute."""
        return (self.results / self.run.identity.folder).absolute()

    def key(self, seed: int) -> TrialKey:
        """What tells the trial of one seed from those of other runs."""
        return TrialKey(self.folder, seed)

    def trial(self, seed: int) -> Trial:
        """The trial of one seed, at its beginning."""
        streams = Streams(seed, self.offsets)
        name = self.run.identity.dataset
        known_classes = self.loaded.known_classes
        pool = Pool.of(self.dataset.train, self.dataset.num_classes, name, known_classes)
        pool = apply_transforms(pool, self.loaded.transforms, streams)
        with placed(self.target):
            pool, of_targets = apart(self.target, pool, streams)
            targets = self.target.of(self.dataset, of_targets)
        _require(Targets, targets, "target", "of", self.target)
        return self.run.trial(streams, pool, targets, self._test(streams), self.results)

    def _test(self, streams: Streams) -> Examples:
        """The test set; the seed's part of it where a number of points of each class is asked."""
        test = self.loaded.test
        if self.test_counts is None:
            return test
        return part_by_class(test, self.test_counts, self.loaded.num_classes, streams)


def prepare(composed: Composed, data: Data | None = None) -> Prepared:
    """Build and check all of a run: cheap objects first, then the data set, then the fit of both.

    Args:
        composed: Its configuration.
        data: What runs of this process have loaded; ``None`` where it is the only one.

    Raises:
        ConfigError: Something asked for does not exist, is out of range or does not go together.
        DataError: The data set is missing or damaged.
    """
    config = composed.config
    check_complete(config)
    resolved = composed.resolved()
    remember(resolved)
    refuse_unusable("results", config.results)
    seeds = parse_seeds(config.seeds)
    for key, valid in (("resume", RESUMES), ("on_error", ON_ERROR)):
        if config[key] not in valid:
            raise ConfigError(f"{key}={config[key]} is unknown.", choose(config[key], valid))
    require_whole("workers", config.workers, 1)
    engine = _engine(config)
    engine.set_up()  # before any work: a thread a core in every worker would stall them all
    offsets = {str(key): offset for key, offset in config.streams.items() if offset is not None}
    Streams(0, offsets)  # checks them
    setting = chosen(config)
    if not setting.packs and config.pack_width not in (None, ONE_BY_ONE):
        raise ConfigError(
            f"pack_width={config.pack_width} trains networks of a strategy's trials together; with "
            f"{setting.group}=… they are trained one by one.",
            LEAVE_OUT,
        )
    target = _target(config.target)
    model = _model(config.model)
    evaluation = _evaluation(config.evaluation)
    test_counts = _test_counts(resolved["evaluation"])
    ood_sources = build_ood(config.evaluation.get("ood"))
    transforms = {name: _transform(node, name) for name, node in (config.pool or {}).items()}
    source: DatasetSource = build_with(config.dataset, "dataset", ["load"], "al_bench.data.base")
    tracker = build_tracker(config.tracker)
    setting.check_choices(composed, model)

    data = Data() if data is None else data
    dataset = data.dataset(resolved["dataset"], source)
    _require(Dataset, dataset, "dataset", "load", source)
    loaded = data.transforms(resolved["pool"] or {}, transforms, resolved["dataset"], dataset)
    target = data.target(resolved["target"], target, resolved["dataset"])
    inputs = dataset.train.inputs
    with placed(model):
        provided = model.check(inputs.input_shape, loaded.num_classes)
    setting.check_data(composed, model, provided, inputs, loaded.num_classes)
    # Users' arrays are all one choice; each has a name of its own.
    name = getattr(source, "title", composed.names["dataset"])
    num_test = len(loaded.test) if test_counts is None else sum(test_counts)
    check_joint_size(evaluation["joint_size"], num_test)
    ood, fingerprints = load_ood(ood_sources, resolved["evaluation"], data, dataset, name)
    untracked = without_tracker(composed)
    built = {
        "dataset": source,
        "pool": list(transforms.values()),
        "model": model,
        "training": setting.recipe,
        "budget": setting.budget,
        "target": target,
        "tracker": tracker,
        **({"evaluation": list(ood_sources.values())} if ood else {}),
        **setting.chosen,
    }
    fingerprint = "+".join([loaded.fingerprint, *fingerprints])
    identity = identify(untracked, name, fingerprint, built)
    if setting.packs:
        width = pack_width(
            config.pack_width,
            model,
            setting.recipe,
            inputs.input_shape,
            loaded.num_classes,
            engine.device,
        )
        engine = replace(engine, pack_width=width)
    run = setting.run(
        identity=identity,
        model=model,
        engine=engine,
        ood=ood,
        **evaluation,
    )
    guard = data.guard(resolved["tracker"], tracker)
    prepared = Prepared(
        run=run,
        seeds=seeds,
        results=opened(config.results),
        resume=config.resume,
        on_error=config.on_error,
        workers=config.workers,
        dataset=dataset,
        loaded=loaded,
        target=target,
        offsets=offsets,
        tracking=Tracking(guard, identity, engine.columns(), untracked.resolved()),
        composed=composed,
        test_counts=test_counts,
    )
    for seed in seeds[:CHECKED]:  # whether their pools have the labels of the budget
        try:
            prepared.trial(seed)
        except AlBenchError as error:
            raise type(error)(f"Seed {seed}: {error.message}", error.hint) from error
    notes = setting.notes(prepared.trial(seeds[0]))
    there = (
        *under_another_engine(prepared.results / identity.folder, seeds, engine.columns()),
        *of_other_code(prepared.results, seeds, identity),
        *of_another_name(prepared.results, identity),
    )
    return replace(prepared, notes=(*loaded.notes, *notes, *there))


def _engine(config: Any) -> Engine:
    """What computes a run that is trained one by one; whether it is packed, the run decides."""
    if config.pack_width is not None:
        require_whole("pack_width", config.pack_width, ONE_BY_ONE, MOST_TOGETHER)
    device = parse_device(config.device)
    chunk_bytes = config.chunk_bytes
    if chunk_bytes is None:
        chunk_bytes = (64 if device.type == "cpu" else 2048) * 2**20
    return Engine(
        device=device,
        scoring_precision=config.scoring_precision,
        training_precision=config.training_precision,
        threads=config.threads,
        chunk_bytes=chunk_bytes,
        deterministic=config.deterministic,
    )


def _evaluation(node: Any) -> dict[str, Any]:
    """What a run has of it, by the names of ``Run``, but for other data sets."""
    whole = ("num_samples", "calibration_bins", "joint_size")
    keys = (*whole, "ood", "online", "test_counts")
    for key in node:
        if key not in keys:
            raise ConfigError(f"evaluation has no parameter {key!r}.", choose(str(key), keys))
    for key in whole:
        if node.get(key) is not None:
            require_whole(f"evaluation.{key}", node[key], 1)
    online = node.get("online")
    if online is not None and online is not True:
        raise ConfigError(
            f"evaluation.online must be true or null, got {online!r}.",
            "Leave it out, or type evaluation.online=true.",
        )
    return {
        "evaluation_samples": node.get("num_samples"),
        "calibration_bins": node.get("calibration_bins") or 15,
        "joint_size": node.get("joint_size"),
        "online": online is True,
    }


def _test_counts(node: Mapping[str, Any]) -> Sequence[int] | None:
    """Points of each class in the test set; ``None`` is all that the data set has."""
    counts: Sequence[int] | None = node.get("test_counts")
    if counts is not None:
        require_counts("evaluation.test_counts", counts)
    return counts


def _target(node: Any) -> TargetDistribution:
    if node is None:
        return PoolTargets()
    target: TargetDistribution = build_with(node, "target", ["of"], "al_bench.data.target")
    return target


def _transform(node: Any, name: str) -> PoolTransform:
    transform: PoolTransform = build(node, f"pool.{name}")
    if not isinstance(getattr(transform, "stage", None), Stage):
        raise ConfigError(
            f"pool.{name}: {type(transform).__name__} has no attribute stage, one of Stage's.",
            "al_bench.data.pool says what such a class has.",
        )
    return transform


def _require(kind: type, returned: object, group: str, method: str, owner: object) -> None:
    """Raise ConfigError unless a method of a user's class has returned what it shall."""
    if not isinstance(returned, kind):
        raise ConfigError(
            f"{group}: {method} of {type(owner).__name__} must return a {kind.__name__}, "
            f"got {type(returned).__name__}.",
            f"{kind.__module__} says what that is.",
        )


def _model(node: Any) -> Model:
    model = build(node, "model")
    if not isinstance(model, (NetworkModel, DirectModel)):
        raise ConfigError(
            f"model: {type(model).__name__} is neither a NetworkModel nor a DirectModel.",
            "al_bench.models.base says what those have.",
        )
    return model
