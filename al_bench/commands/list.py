"""``al-bench list``: what there is to choose from, a line each, without importing any of it."""

from al_bench.configuration.arguments import Command, Option, existing_folder
from al_bench.configuration.choices import KINDS, choices
from al_bench.text.visible import in_a_line

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
        lines = [(in_a_line(name), introduction) for name, introduction in lines]
        width = max((len(name) for name, _ in lines), default=0)
        indent = "  " if len(kinds) > 1 else ""
        for name, introduction in lines:
            print(f"{indent}{name:<{width}}  {introduction}")
    return 0
