"""``al-bench list``: what there is to choose from, a line each, without importing any of it."""

from collections.abc import Iterable
from pathlib import Path

from al_bench.configuration.arguments import Command, Option, existing_folder
from al_bench.text.visible import in_a_line

KINDS = {
    "datasets": "dataset",
    "pools": "pool",
    "models": "model",
    "networks": "model/network",
    "training": "training",
    "strategies": "strategy",
    "scores": "strategy/score",
    "rules": "strategy/rule",
    "spaces": "strategy/space",
    "targets": "target",
    "budgets": "budget",
    "evaluations": "evaluation",
    "trackers": "tracker",
    "experiments": "experiment",
}

COMMAND = Command(
    "list",
    "Lists what there is to choose from: what it is, what it needs, and its paper.",
    options=[
        Option(
            "config_dir",
            "a folder of your own configuration, listed too; also --config-dir FOLDER",
            read=existing_folder,
            flag=True,
        )
    ],
    words="kind",
    words_help="; ".join(KINDS),
    choices=tuple(KINDS),
)


def list_choices(arguments: list[str]) -> int:
    """Print the choices of the kinds asked for (all when none is named)."""
    parsed = COMMAND.parse(arguments)
    if parsed is None:
        return 0
    from al_bench.configuration.config_dir import config_dir

    folders = [config_dir()]
    if parsed["config_dir"]:
        folders.append(parsed["config_dir"])
    kinds = parsed.words or list(KINDS)
    for kind in kinds:
        lines = choices(KINDS[kind], folders)
        if len(kinds) > 1:
            print(f"\n{kind} ({KINDS[kind]}=…)")
        lines = [(in_a_line(name), said) for name, said in lines]
        width = max((len(name) for name, _ in lines), default=0)
        indent = "  " if len(kinds) > 1 else ""
        for name, said in lines:
            print(f"{indent}{name:<{width}}  {said}")
    return 0


def choices(group: str, folders: list[Path]) -> list[tuple[str, str]]:
    """Every choice of a group with the comment line that introduces it, sorted by name."""
    found = {}
    for folder in folders:
        base = folder / group
        # A group may hold sub-groups (model/network), presets lie in folders of their own.
        pattern = "**/*.yaml" if group == "experiment" else "*.yaml"
        for path in base.glob(pattern):
            found[path.relative_to(base).with_suffix("").as_posix()] = introduction(path)
    return sorted(found.items())


def choice_file(group: str, name: str, folders: Iterable[Path]) -> Path | None:
    """The file of a choice, in the last of these folders that has it."""
    files = [folder / group / f"{name}.yaml" for folder in folders]
    return next((file for file in reversed(files) if file.is_file()), None)


def introduction(path: Path) -> str:
    """The first comment line of a configuration file that is not a directive."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("# @package"):
            return line.removeprefix("#").strip()
    return ""
