"""Which room of the package may import which: read from the source, also within functions."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "al_bench"
TESTS = Path(__file__).parent
SCRIPTS = TESTS.parent / "scripts"

# From above to below: a room may import those of lines below its own, and modules of its own.
LINES = (
    ("__init__", "__main__"),
    ("cli",),
    ("commands",),
    ("running", "report", "checking"),
    ("sampling", "studies"),
    ("rounds", "plots"),
    ("configuration",),
    ("tracking", "stats"),
    ("strategies", "training"),
    ("results", "models"),
    ("data", "information"),
    ("text",),
    ("errors", "masking", "paths", "process", "seeding", "engine", "budget"),
)
GROUND = LINES[-1]  # these may import each other, and two of them what makes text visible
ALSO = {(f"al_bench.{name}", "al_bench.text.visible") for name in ("errors", "process")}
LINE = {room: number for number, rooms in enumerate(LINES) for room in rooms}
CONFIGURED = {  # a library of configuration, and where it may be imported
    "omegaconf": ("al_bench.configuration",),
    "hydra": ("al_bench.configuration", "al_bench.commands.run"),
}


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


MODULES = modules()


def room(module: str) -> str:
    """The folder or the module at the top of the package that a module is in."""
    return [*module.split("."), "__init__"][1]


def imported(name: str) -> set[str]:
    """Modules of the package, and names of others, that a module imports anywhere."""
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.add(inner if inner in MODULES else base)
    return found - {name}


@pytest.fixture(scope="module")
def arrows() -> dict[str, set[str]]:
    return {name: imported(name) for name in MODULES}


def test_every_module_is_in_a_room():
    strange = sorted({room(name) for name in MODULES} - set(LINE))
    assert not strange, (
        f"al_bench has {', '.join(strange)}, which is no room: put it into one, or into LINES of "
        "tests/test_house.py above all rooms that it imports and below all that import it."
    )


def test_arrows_point_one_way(arrows):
    wrong = []
    for name, others in arrows.items():
        for other in sorted(other for other in others if other in MODULES):
            here, there = room(name), room(other)
            if here == there or (name, other) in ALSO or {here, there} <= set(GROUND):
                continue
            if LINE[here] >= LINE[there]:
                wrong.append(f"{name} imports {other}")
    hint = "Move what is needed down to a room that both may import, or pass it as an argument."
    assert not wrong, "\n".join([*wrong, hint])


def test_no_modules_import_each_other_in_a_circle(arrows):
    known: dict[str, bool] = {}  # whether all that a module leads to has been followed

    def circle(name: str, way: list[str]) -> Iterator[list[str]]:
        if name in way:
            yield [*way[way.index(name) :], name]
        elif name not in known:
            known[name] = True
            for other in sorted(arrows[name] & set(MODULES)):
                yield from circle(other, [*way, name])

    found = [" -> ".join(one) for name in MODULES for one in circle(name, [])]
    assert not found, "\n".join([*found, "Move what both need into a module of its own."])


def test_libraries_of_configuration_stay_in_their_room(arrows):
    wrong = [
        f"{name} imports {other}"
        for name, others in arrows.items()
        for other in sorted(others)
        for rooms in [CONFIGURED.get(other.partition(".")[0])]
        if rooms and not any(f"{name}.".startswith(f"{one}.") for one in rooms)
    ]
    assert not wrong, "\n".join([*wrong, "Ask a function of al_bench.configuration instead."])


def test_nothing_is_imported_from_the_inside_of_hydra(arrows):
    wrong = [
        name
        for name, others in arrows.items()
        if any(f"{other}.".startswith("hydra._internal.") for other in others)
    ]
    assert not wrong, f"{', '.join(wrong)} import hydra._internal, which changes with its versions."


def test_test_modules_of_different_folders_have_different_names():
    """They are imported by their name alone, and the second of a name is refused."""
    names = Counter(path.name for path in TESTS.rglob("*.py"))
    twice = [name for name, times in names.items() if times > 1 and name != "conftest.py"]
    assert not twice, f"{', '.join(twice)}: put the folder into the name."


def test_the_first_line_of_every_file_says_what_it_is_for():
    wrong = []
    for path in (p for top in (PACKAGE, TESTS, SCRIPTS) for p in sorted(top.rglob("*.py"))):
        with path.open(encoding="utf-8") as file:
            line = file.readline().strip()
        sentence = line.removeprefix('"""').removesuffix('"""')
        if not line.startswith('"""') or len(sentence) < 12 or sentence[-1] not in ".?":
            wrong.append(str(path.relative_to(TESTS.parent)))
    assert not wrong, f"{', '.join(wrong)}: begin with a sentence that stands alone."
