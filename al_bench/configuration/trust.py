"""Whether what a stored configuration names is built: it may come from anybody.

Built is what al-bench ships; what lies beside the typed ``--config-dir``, where it is what the run
was made with; and anything else that is no part of Python only after ``trust=results``, which says
beforehand what it is. Nothing is imported to find that out.
"""

import builtins
import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from al_bench.configuration import own_path, shipped
from al_bench.configuration.arguments import Arguments
from al_bench.configuration.making import SPECIAL
from al_bench.configuration.shipped import Part
from al_bench.configuration.targets import locate
from al_bench.errors import ConfigError, near
from al_bench.results.imported import find, source_of
from al_bench.results.own_code import own_code
from al_bench.text.visible import in_a_line

_OF_OURS = ("_target_", "_partial_")  # of SPECIAL, what al-bench's own choices have
_SHOWN = 5  # of what is refused in one line


class Refused(ConfigError):
    """What a stored configuration names is not built."""


@dataclass(frozen=True)
class Trust:
    """What a user has typed about code that results name.

    Args:
        folder: The folder of ``--config-dir``: classes beside it are one's own.
        everything: Whether ``trust=results`` was typed.
    """

    folder: Path | None = None
    everything: bool = False

    @classmethod
    def from_arguments(cls, parsed: Arguments) -> "Trust":
        """What the words of a command say; from now on modules beside the folder are found."""
        folder = None if parsed["config_dir"] is None else parsed["config_dir"].resolve()
        own_path.look_beside(folder)
        return cls(folder, parsed["trust"] is not None)


def require(
    config: Mapping[str, Any],
    code: Mapping[str, str],
    trust: Trust,
    path: Path,
    but: Collection[str] = (),
) -> None:
    """Raise Refused unless all that a stored configuration names may be built.

    Args:
        config: Plain mappings, lists and values.
        code: Hash of each module of one's own that the run was made with, from its manifest.
        trust: What was typed.
        path: The configuration's file, for errors.
        but: Keys whose values are not used.
    """
    unused = [tuple(key.split(".")) for key in but]
    objects = [
        one
        for one in shipped.parts_of(config)
        if not any(one.path[: len(place)] == place for place in unused)
    ]
    for one in objects:
        _check_form(one, path)
    foreign = [one for one in objects if not one.is_shipped]
    if not foreign:
        return
    if trust.everything:
        for name in dict.fromkeys(map(_with_file, foreign)):
            print(in_a_line(f"trust=results: {near(path)} runs {name}."), file=sys.stderr)
        return
    if trust.folder is None:
        names = list(dict.fromkeys(map(_with_file, foreign)))
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise Refused(
            f"{near(path)} names {', '.join(names[:_SHOWN])}{more}, which al-bench does not ship.",
            "Where it is yours, add --config-dir FOLDER, which lies beside it; trust=results runs "
            "it, whatever it is.",
        )
    for one in foreign:
        _require_beside(one, code, trust.folder, path)


def _check_form(one: Part, path: Path) -> None:
    """Raise Refused where this is what nobody has reason to store."""
    target = one.target
    names = target.split(".") if isinstance(target, str) else []
    subject = f"{near(path)} names {one}"
    if len(names) < 2 or not all(name.isidentifier() for name in names):
        raise Refused(f"{subject}, which is no module.Class.", "It is not built.")
    if any(name.startswith("_") for name in names):
        raise Refused(f"{subject}, which is private.", "It is not built.")
    if names[0] in sys.stdlib_module_names or hasattr(builtins, names[0]):
        raise Refused(f"{subject}, a part of Python.", "It is not built.")
    for key in one.node:
        special_keys = _OF_OURS if one.is_shipped else SPECIAL
        if str(key).startswith("_") and key not in special_keys:
            raise Refused(
                f"{subject} with a key {str(key)[:80]!r}, which al-bench does not write.",
                "It is not built.",
            )
    if not isinstance(one.node.get("_partial_", False), bool):
        raise Refused(f"{subject}, whose _partial_ must be true or false.")


def _require_beside(one: Part, code: Mapping[str, str], folder: Path, path: Path) -> None:
    """Raise Refused unless this lies beside ``folder`` and is what the run was made with."""
    hint = "trust=results runs it, whatever it is."
    own_path.look_for(one.target, here=False)
    module = _module(one.target)
    source = None if module is None else source_of(module)
    if module is None or source is None or not _is_beside(source.path, folder):
        raise Refused(
            f"{near(path)} names {_with_file(one)}, which does not lie beside {near(folder)}.", hint
        )
    hashes = own_code([module]).hashes
    elsewhere = [
        name
        for name in hashes
        if (file := source_of(name)) is not None and not _is_beside(file.path, folder)
    ]
    if elsewhere:
        raise Refused(
            f"{one} imports {', '.join(elsewhere)}, which does not lie beside {near(folder)}.",
            hint,
        )
    if edited := [name for name, value in hashes.items() if code.get(name) != value]:
        raise Refused(
            f"{near(path)} names {_with_file(one)}, and {', '.join(edited)} is not what the run "
            "was made with: changed since, or stored without its source.",
            "trust=results runs what lies there now.",
        )
    # A module of one's own has others in it: mine.os.system.
    made = locate(one.target, ".".join(map(str, one.path)))
    home, name = getattr(made, "__module__", None), getattr(made, "__qualname__", "")
    ours = (shipped.choices(group) for group in shipped.groups())
    if home not in hashes and not any(f"{home}.{name}" in names for names in ours):
        raise Refused(f"{near(path)} names {one}, which is not defined in {module}.", hint)


def _is_beside(file: Path, folder: Path) -> bool:
    return Path(os.path.abspath(file)).is_relative_to(folder.parent)


def _module(target: str) -> str | None:
    """The module in which ``package.module.Class`` lies, nothing imported; ``None`` without one."""
    names = target.split(".")
    module = None
    for count in range(1, len(names)):
        name = ".".join(names[:count])
        if find(name) is None:
            break
        module = name
    return module


def _with_file(one: Part) -> str:
    """An object of a configuration and the file that would run."""
    module = _module(one.target)
    origin = None if module is None else getattr(find(module), "origin", None)
    origin = origin or own_path.would_run(one.target)
    where = "there is no such module here" if origin is None else near(origin)
    return f"{one} ({where})"
