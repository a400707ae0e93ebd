"""``al-bench list``: what there is to choose from, a line each, without importing any of it.

Presets have a column more: what they cost, as their files say it.
"""

from al_bench.configuration.arguments import Command, Option, existing_folder
from al_bench.configuration.choices import KINDS, choices, costs
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
        columns = [[in_a_line(name) for name, _ in lines]]
        if kind == "experiments":
            said = costs(folders)
            columns.append([in_a_line(said[name]) for name, _ in lines])
        widths = [max(map(len, column), default=0) for column in columns]
        indent = "  " if len(kinds) > 1 else ""
        for (_, introduction), cells in zip(lines, zip(*columns, strict=True), strict=True):
            row = [f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)]
            print(indent + "  ".join([*row, introduction]))
    return 0
