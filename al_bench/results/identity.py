"""Who a run is: the columns that name it, its folder, and the hash that tells it from others."""

import fnmatch
import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from al_bench.paths import opened
from al_bench.results.schema import IDENTITY, NUMERICS_VERSION

MAX_NAME = 80  # characters of a folder name
MAX_BYTES = 240  # and its bytes, of which file systems allow 255

# Keys that say how and where a run is computed, not what it computes: not part of its id.
ENGINE_KEYS = (
    "seeds",
    "baseline",
    "max_seeds",
    "look_every",
    "results",
    "device",
    "scoring_precision",
    "training_precision",
    "threads",
    "workers",
    "together",
    "chunk_bytes",
    "pack_width",
    "deterministic",
    "resume",
    "on_error",
    "dry_run",
    "verbose",
)

PLACES = ("root", "download", "path", "name")
# Where a data set lies is not what it is: its content's fingerprint is in the run id instead.
PATHS = (
    *(f"dataset.{key}" for key in PLACES),
    *(f"pool.contaminate.dataset.{key}" for key in PLACES),
    "pool.label_noise.path",
    *(f"evaluation.ood.*.{key}" for key in PLACES),
)


@dataclass(frozen=True)
class RunIdentity:
    """One configuration, all its seeds.

    Args:
        run_id: ``config_hash`` of everything that decides the results, seeds left out.
        protocol_id: ``config_hash`` of all that but the strategy.
        task: Kind of experiment.
        dataset: Name of the data set.
        pool: Name of the pool transform.
        model: Name of the posterior.
        network: Name of the network; empty where the model has none.
        training: Name of the training recipe.
        budget: Name of the budget.
        strategy: Name of the strategy.
        strategy_label: That name with the parameters that differ from their defaults.
        config: The resolved configuration as YAML text.
        init_strategy: Name of the strategy that buys the initial set; empty where it is drawn.
        protocol: What ``protocol_id`` is the hash of, as ``hashed_text`` gives it; empty where
            that is not known.
        part_versions: Numerics version of each part that has one, by the part's name.
        own_code: Hash of each module of one's own that the run uses, its tracker's included.
        packages: Installed packages that these import.
        configuration_id: ``config_hash`` of all that decides the results but one's own code; empty
            where that is not known.
    """

    run_id: str
    protocol_id: str
    task: str
    dataset: str
    pool: str
    model: str
    network: str
    training: str
    budget: str
    strategy: str
    strategy_label: str
    config: str
    init_strategy: str = ""
    protocol: str = ""
    part_versions: Mapping[str, int] = field(default_factory=dict)
    own_code: Mapping[str, str] = field(default_factory=dict)
    packages: frozenset[str] = frozenset()
    configuration_id: str = ""

    @property
    def columns(self) -> dict[str, str | None]:
        """The columns of a curve's row that say whose it is."""
        columns = {name: getattr(self, name) for name in IDENTITY}
        return {**columns, "init_strategy": self.init_strategy or None}

    @property
    def model_label(self) -> str:
        """The model, with its network in brackets where it has one."""
        return f"{self.model} ({self.network})" if self.network else self.model

    @property
    def folder(self) -> Path:
        """The run's folder below the results folder: dataset/model/strategy/run id."""
        return Path(*map(safe_name, (self.dataset, self.model, self.strategy, self.run_id)))


class StudyIdentity(RunIdentity):
    """The same of a study, whose name is in the place of a strategy's."""

    @property
    def folder(self) -> Path:
        """The study's folder below the results folder: studies/name/id."""
        return Path("studies", safe_name(self.strategy), self.run_id)


def safe_name(name: str) -> str:
    """``name`` as one visible folder name on every file system.

    Names that differ may become equal; the run id at the end of the path keeps runs apart.
    """
    safe = re.sub(r"[^\w.+=@-]+", "_", name).strip(" .")[:MAX_NAME]
    safe = safe.encode()[:MAX_BYTES].decode(errors="ignore")
    return safe.rstrip(" .") or "_"


def config_hash(
    config: Mapping[str, Any],
    fingerprint: str,
    *,
    without: Collection[str],
    beside: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """Twelve hexadecimal digits that stand for a configuration and its data.

    They are ``text_hash`` of ``hashed_text``, whose arguments these are.
    """
    return text_hash(hashed_text(config, fingerprint, without=without, beside=beside))


def hashed_text(
    config: Mapping[str, Any],
    fingerprint: str,
    *,
    without: Collection[str],
    beside: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """All that decides an id, as JSON: equal texts are the same thing.

    Nulls are left out at every depth, and with them mappings in which nothing remains, so that a
    new option that is null by default changes no hash. A number's type is not told apart
    (``1`` and ``1.0``). ``NUMERICS_VERSION`` is in it too.

    Args:
        config: The resolved configuration: mappings, lists and plain values.
        fingerprint: The data set's content fingerprint.
        without: Keys left out, dotted for nested ones (``"model.network"``); a star stands for
            any part of one.
        beside: What else decides it, by name, such as ``part_versions``; what is empty is left out.
    """
    content: dict[str, Any] = {
        "config": _normal(config, frozenset(without), ""),
        "fingerprint": fingerprint,
        "numerics_version": NUMERICS_VERSION,
    }
    content |= {name: dict(part) for name, part in (beside or {}).items() if part}
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def text_hash(text: str) -> str:
    """Twelve hexadecimal digits that stand for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def is_among(key: str, patterns: Collection[str]) -> bool:
    """Whether a dotted key is one of these, in which a star stands for any part."""
    return key in patterns or any(fnmatch.fnmatchcase(key, one) for one in patterns if "*" in one)


def with_contents(value: Any) -> Any:
    """A configuration node in which every ``path`` of a file is the digest of what it holds.

    A file moved is the same run, a file changed another one.
    """
    if not isinstance(value, Mapping):
        return value
    return {
        key: _digest(opened(item))
        if key == "path" and isinstance(item, str) and opened(item).is_file()
        else with_contents(item)
        for key, item in value.items()
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _normal(value: Any, without: frozenset[str], path: str) -> Any:
    if isinstance(value, Mapping):
        return {
            str(key): inner
            for key, item in value.items()
            if not is_among(f"{path}{key}", without)
            and (inner := _normal(item, without, f"{path}{key}.")) is not None
            and inner != {}
        }
    if isinstance(value, list | tuple):
        return [_normal(item, without, f"{path}*.") for item in value]  # positions matter: no drops
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, PurePath):
        return value.as_posix()
    return value
