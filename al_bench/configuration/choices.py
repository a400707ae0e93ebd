"""What there is to choose from: kinds of choices, their names and files, none of it imported."""

from collections.abc import Iterable, Iterator
from pathlib import Path

KINDS = {
    "datasets": "dataset",
    "pools": "pool",
    "models": "model",
    "networks": "model/network",
    "training": "training",
    "schedules": "training/schedule",
    "augmentations": "training/augment",
    "strategies": "strategy",
    "selections": "selection",
    "selection-scores": "selection/score",
    "selection-rules": "selection/rule",
    "irreducible": "selection/irreducible",
    "scores": "strategy/score",
    "rules": "strategy/rule",
    "spaces": "strategy/space",
    "targets": "target",
    "budgets": "budget",
    "evaluations": "evaluation",
    "trackers": "tracker",
    "studies": "study",
    "experiments": "experiment",
}

COST = "cost:"  # begins the comment line of a preset that says how long it takes


def choices(group: str, folders: list[Path]) -> list[tuple[str, str]]:
    """Every choice of a group with the comment line that introduces it, sorted by name."""
    introductions = {}
    for folder in folders:
        base = folder / group
        # A group may hold sub-groups (model/network), presets lie in folders of their own.
        pattern = "**/*.yaml" if group == "experiment" else "*.yaml"
        for path in base.glob(pattern):
            introductions[path.relative_to(base).with_suffix("").as_posix()] = introduction(path)
    return sorted(introductions.items())


def costs(folders: list[Path]) -> dict[str, str]:
    """What the file of each preset says it costs; an empty text where it says nothing."""
    said = {}
    for base in (folder / "experiment" for folder in folders):
        for path in base.glob("**/*.yaml"):
            said[path.relative_to(base).with_suffix("").as_posix()] = cost(path)
    return said


def choice_file(group: str, name: str, folders: Iterable[Path]) -> Path | None:
    """The file of a choice, in the last of these folders that has it."""
    files = [folder / group / f"{name}.yaml" for folder in folders]
    return next((file for file in reversed(files) if file.is_file()), None)


def introduction(path: Path) -> str:
    """The first comment line of a configuration file that is not a directive."""
    return next((line for line in comment(path) if not line.startswith("@package")), "")


def cost(path: Path) -> str:
    """What follows ``# cost:`` in the comment that begins a configuration file, or nothing."""
    lines = (line for line in comment(path) if line.startswith(COST))
    return next(lines, "").removeprefix(COST).strip()


def comment(path: Path) -> Iterator[str]:
    """The lines of the comment that begins a configuration file, without their signs."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line.startswith("#"):
            break
        yield line.removeprefix("#").strip()
