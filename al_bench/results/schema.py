"""The one schema of everything stored. Columns are only ever added, and then nullable.

A curve has a row a (trial, round); acquisitions have a row a labeled point.
"""

import math
from collections.abc import Mapping
from enum import Enum
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

SCHEMA_VERSION = 1
NUMERICS_VERSION = 3  # raised when the same configuration gives other results; part of the run id

IDENTITY = (
    "task",
    "run_id",
    "protocol_id",
    "dataset",
    "pool",
    "model",
    "network",
    "training",
    "budget",
    "strategy",
    "strategy_label",
)

METRICS = (
    "test_accuracy",
    "test_balanced_accuracy",
    "test_macro_f1",
    "test_nll",
    "test_brier",
    "test_ece",
    "test_entropy",
    "validation_accuracy",
    "validation_nll",
)

# Columns in which two runs of the same trial may differ.
MEASURED = (
    "seconds_fit",
    "seconds_evaluate",
    "seconds_score",
    "seconds_select",
    "seconds_irreducible",
    "peak_memory_bytes",
    "peak_device_memory_bytes",
)

SAMPLING = "sampling"  # the setting whose labels are known, and whose steps are chosen for


OOD = pa.list_(  # one other data set and score an item
    pa.struct(
        [
            ("dataset", pa.string()),
            ("score", pa.string()),
            ("auroc", pa.float64()),
            ("aupr", pa.float64()),
            ("fpr95", pa.float64()),
        ]
    )
)


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


class Owner(Enum):
    """Who fills a column of a curve; no column has two."""

    RUN = "RunIdentity.columns"
    STORE = "row_in_full"
    TRIAL = "Trial.row"
    TRAINING = "Fitted.diagnostics"
    EVALUATION = "evaluate"
    SELECTION = "Trial.select"
    SAMPLING = "the trial of active sampling"
    ENGINE = "Engine.columns"


# A column a line, in the order in which they are stored: who fills it, and what it holds.
_COLUMNS: tuple[tuple[Owner, pa.Field], ...] = (
    *((Owner.RUN, _required(name, pa.string())) for name in IDENTITY),
    (Owner.STORE, _required("seed", pa.int64())),
    (Owner.TRIAL, _required("round", pa.int64())),
    # The size of the set that trained the evaluated model.
    (Owner.TRIAL, _required("num_labeled", pa.int64())),
    # Labels asked for so far, refused ones included.
    (Owner.TRIAL, _required("num_queried", pa.int64())),
    (Owner.TRIAL, _required("num_validation", pa.int64())),
    (Owner.TRAINING, _required("steps", pa.int64())),  # optimizer steps of this round
    *((Owner.EVALUATION, pa.field(name, pa.float64())) for name in METRICS),
    # Of the metrics' definitions; null: the first ones.
    (Owner.EVALUATION, pa.field("metrics_version", pa.int64())),
    # (C,), null for an absent class.
    (Owner.EVALUATION, pa.field("test_class_accuracy", pa.list_(pa.float64()))),
    (Owner.EVALUATION, pa.field("test_calibration_count", pa.list_(pa.int64()))),  # per bin
    (Owner.EVALUATION, pa.field("test_calibration_confidence", pa.list_(pa.float64()))),
    (Owner.EVALUATION, pa.field("test_calibration_accuracy", pa.list_(pa.float64()))),
    # Nats per label of batches of evaluation.joint_size test points, and of single samples.
    (Owner.EVALUATION, pa.field("test_nll_joint", pa.float64())),
    (Owner.EVALUATION, pa.field("test_nll_conditional", pa.float64())),
    # Of this round's posterior, its samples reweighted by the labels bought; null after the last.
    (Owner.EVALUATION, pa.field("online_accuracy", pa.float64())),
    (Owner.EVALUATION, pa.field("online_nll", pa.float64())),
    (Owner.EVALUATION, pa.field("online_effective_samples", pa.float64())),
    (Owner.EVALUATION, pa.field("online_top_weight", pa.float64())),
    # How well each score tells another data set, the positive class, from the run's own.
    (Owner.EVALUATION, pa.field("ood", OOD)),
    # JSON object: what ``figure=uncertainty`` draws.
    (Owner.EVALUATION, pa.field("ood_histograms", pa.string())),
    (Owner.TRAINING, pa.field("epochs", pa.int64())),
    (Owner.TRAINING, pa.field("best_epoch", pa.int64())),
    (Owner.TRAINING, pa.field("train_loss", pa.float64())),
    (Owner.TRAINING, pa.field("train_accuracy", pa.float64())),
    (Owner.TRAINING, pa.field("seconds_fit", pa.float64())),
    (Owner.EVALUATION, pa.field("seconds_evaluate", pa.float64())),
    (Owner.SELECTION, pa.field("seconds_score", pa.float64())),
    (Owner.SELECTION, pa.field("seconds_select", pa.float64())),
    (Owner.EVALUATION, pa.field("peak_memory_bytes", pa.int64())),
    (Owner.EVALUATION, pa.field("peak_device_memory_bytes", pa.int64())),
    (
        Owner.SELECTION,
        pa.field("notes", pa.string()),
    ),  # JSON object: what strategy and model reported
    (Owner.RUN, pa.field("init_strategy", pa.string())),  # buys the initial set; null: drawn
    # True: a control that sees labels not yet bought.
    (Owner.TRIAL, pa.field("label_access", pa.bool_())),
    # JSON object: what the strategy gets back next round.
    (Owner.SELECTION, pa.field("strategy_state", pa.string())),
    # "sampling": labels are known; null: they are bought.
    (Owner.SAMPLING, pa.field("setting", pa.string())),
    (Owner.SAMPLING, pa.field("num_holdout", pa.int64())),
    (Owner.SAMPLING, pa.field("total_steps", pa.int64())),  # optimizer steps so far
    (Owner.SAMPLING, pa.field("candidates_seen", pa.int64())),
    # Shares of the points chosen in this round.
    (Owner.SAMPLING, pa.field("selected_wrong", pa.float64())),
    (Owner.SAMPLING, pa.field("selected_known", pa.float64())),
    (Owner.SAMPLING, pa.field("selected_outside", pa.float64())),
    (Owner.SAMPLING, pa.field("selected_seen", pa.float64())),
    (Owner.SAMPLING, pa.field("selected_class_counts", pa.list_(pa.int64()))),  # (C,)
    # In round 0 alone.
    (Owner.SAMPLING, pa.field("irreducible_accuracy", pa.float64())),
    (Owner.SAMPLING, pa.field("irreducible_nll", pa.float64())),
    (Owner.SAMPLING, pa.field("seconds_irreducible", pa.float64())),
    (Owner.ENGINE, _required("device", pa.string())),
    (Owner.ENGINE, pa.field("device_name", pa.string())),
    (Owner.ENGINE, _required("scoring_precision", pa.string())),
    (Owner.ENGINE, _required("training_precision", pa.string())),
    (Owner.ENGINE, _required("threads", pa.int64())),
    (Owner.ENGINE, _required("chunk_bytes", pa.int64())),
    # false: a GPU's fastest kernels, whose last bits may change from run to run; null: not these.
    (Owner.ENGINE, pa.field("deterministic", pa.bool_())),
    (Owner.ENGINE, pa.field("pack_width", pa.int64())),  # null: trained one by one
    (Owner.ENGINE, _required("torch_version", pa.string())),
    (Owner.ENGINE, _required("al_bench_version", pa.string())),
    (Owner.STORE, _required("numerics_version", pa.int64())),
)

CURVE = pa.schema([field for _, field in _COLUMNS])


def filled_by(owner: Owner) -> tuple[str, ...]:
    """The columns of a curve that one of their owners fills, in the order of the schema."""
    return tuple(field.name for who, field in _COLUMNS if who is owner)


# Columns of which a half-done trial goes on only where they are as they were.
ENGINE = (*filled_by(Owner.ENGINE), "numerics_version")


ACQUISITIONS = pa.schema(
    [
        _required("run_id", pa.string()),
        _required("seed", pa.int64()),
        pa.field("round", pa.int64()),  # the round that bought it; null for the initial set
        _required("rank", pa.int64()),  # 0 is the best of its batch
        _required("index", pa.int64()),  # in the pool
        _required("source_index", pa.int64()),  # in the data set, before pool transforms
        pa.field("label", pa.int64()),  # what the annotator answered; null when refused
        _required("true_label", pa.int64()),
        _required("origin", pa.string()),  # the data set it came from
        pa.field("score", pa.float64()),
    ]
)


LARGEST = 1e12  # of measured numbers, either way: what is computed with them stays finite
LONGEST = 1000  # characters of a name
MOST_NAMES = 1000  # of data sets and scores in the columns that are made of them
_NAME = r"^[A-Za-z0-9_+-]{1,200}$"  # of these: it becomes a part of a column's name
MOST_CLASSES = 10**6  # whoever counts labels of each has room for that many
_FREE = ("score", "train_loss")  # whatever the strategy or the training makes it
_LABELS = ("label", "true_label")
_TEXTS = ("notes", "strategy_state", "ood_histograms")  # JSON of any length


def beyond(rows: pa.Table) -> str | None:
    """Why a table is none that a run writes, as in "seed has -1"; ``None`` where it may be one.

    Whole numbers are from 0, metrics and seconds finite, names of a length that names have, labels
    below ``MOST_CLASSES``.

    Args:
        rows: Columns of ``CURVE`` or ``ACQUISITIONS`` in their types.
    """
    columns: dict[str, list[str]] = {}
    for field in rows.schema:
        if field.name not in (*_FREE, *_TEXTS):
            columns.setdefault(str(field.type), []).append(field.name)
    for kind, is_beyond in _BEYOND.items():
        names = columns.get(kind, [])
        # Columns of a type are looked at together: files are many, and most of them are in order.
        if names and is_beyond(_values(rows, names)):
            first = next(name for name in names if is_beyond(_values(rows, [name])))
            return f"{first} has what no run writes there"
    for name in {*_LABELS}.intersection(rows.schema.names):
        if (pc.max(rows.column(name)).as_py() or 0) >= MOST_CLASSES:
            return f"{name} has what no run writes there"
    return None


def _values(rows: pa.Table, names: list[str]) -> pa.ChunkedArray:
    """The values of these columns; of lists their items."""
    chunks = [chunk for name in names for chunk in rows.column(name).chunks]
    kind = rows.schema.field(names[0]).type
    values = pa.chunked_array(chunks, kind)
    return pc.list_flatten(values) if pa.types.is_list(kind) else values


def nested(kind: pa.DataType) -> bool:
    """Whether a column of this type holds lists of records."""
    return pa.types.is_list(kind) and pa.types.is_struct(kind.value_type)


def _is_beyond_ood(entries: pa.ChunkedArray) -> bool:
    """Whether names are none, or numbers no shares."""
    columns = entries.flatten()
    if any(values.null_count for values in columns):
        return True
    for values in columns:
        if pa.types.is_string(values.type):
            if len(values) and not pc.all(pc.match_substring_regex(values, _NAME)).as_py():
                return True
            if len(pc.unique(values)) > MOST_NAMES:
                return True
        elif _has_unbounded(values) or not _are_shares(values):
            return True
    return False


def _are_shares(values: pa.ChunkedArray) -> bool:
    ends = pc.min_max(values).as_py()
    return ends["min"] is None or (ends["min"] >= 0 and ends["max"] <= 1)


def _has_negative(values: pa.ChunkedArray) -> bool:
    least = pc.min(values).as_py()
    return least is not None and least < 0


def _has_unbounded(values: pa.ChunkedArray) -> bool:
    total = pc.sum(values).as_py()  # NaN where any is; pc.min_max knows none
    if total is None:
        return False
    ends = pc.min_max(values).as_py()
    return math.isnan(total) or ends["min"] < -LARGEST or ends["max"] > LARGEST


def _has_long(values: pa.ChunkedArray) -> bool:
    longest = pc.max(pc.utf8_length(values)).as_py()
    return longest is not None and longest > LONGEST


_BEYOND = {
    "int64": _has_negative,
    "double": _has_unbounded,
    "string": _has_long,
    "list<item: int64>": _has_negative,
    "list<item: double>": _has_unbounded,
    str(OOD): _is_beyond_ood,
}


def engine_columns(engine: Mapping[str, Any]) -> dict[str, Any]:
    """Every column of ``ENGINE``: an engine's own, and which numerics al-bench has."""
    return {**engine, "numerics_version": engine.get("numerics_version", NUMERICS_VERSION)}


def row_in_full(
    row: Mapping[str, Any], run: Mapping[str, Any], seed: int, engine: Mapping[str, Any]
) -> dict[str, Any]:
    """A curve's row: what a round has measured, with what all rows of its trial have in common.

    Args:
        row: Of the round.
        run: ``RunIdentity.columns``.
        seed: The trial's.
        engine: ``Engine.columns``.
    """
    return {**row, **run, **engine_columns(engine), "seed": seed}


def table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows cast to ``schema``; a missing nullable column is null, an unknown one is an error."""
    unknown = {name for row in rows for name in row} - set(schema.names)
    if unknown:
        raise ValueError(f"not in the schema: {', '.join(sorted(unknown))}")
    return pa.Table.from_pylist(rows, schema=schema)
