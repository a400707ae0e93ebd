"""What is sent to others: no secrets, and no absolute paths or names of machines unless asked."""

import platform
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from al_bench.configuration.arguments import Option, one_of
from al_bench.masking import masked_text
from al_bench.text.visible import in_a_line

if TYPE_CHECKING:
    import pandas as pd

LEFT_OUT = "…"
SHORTEST_HOST = 3  # characters: "pc" is a word in itself
SHALLOW = 2  # names of a path such as /home/me, of which none is kept

PUBLISH = Option(
    "publish",
    "all: absolute paths and names of machines too (default: they are left out)",
    read=one_of("all"),
)

_DRIVE = r"(?:[A-Za-z]:[\\/]|\\\\)"
_PATH = rf"(?:/(?!/)|{_DRIVE})"
# A path to the end of its quotes, of its line in YAML, or of its word.
_QUOTED = re.compile(rf"""(['"])([\w.+~@/-]*=)?({_PATH}[^'"\n]*)(?=\1)""")
_LINE = re.compile(rf"^(\s*(?:- )?[\w.@/-]+: )({_PATH}.*)$", re.MULTILINE)
_URL = re.compile(r"(?<![\w+.-])((?:file|sqlite|[\w+.-]+):///)([^\s'\",;)}\]]+)")
_WORD = re.compile(rf"""(?<![\w.~/\\…-])({_PATH}[^\s'",;:()<>\[\]{{}}|=]{{2,}})""")


def without_places(text: str, hosts: Collection[str] = ()) -> str:
    """``text`` without secrets, these hosts, and absolute paths but for their last name."""
    text = masked_text(text)
    if "/" in text or "\\" in text:
        text = _URL.sub(lambda match: f"{match[1]}{_last(match[2])}", text)
        text = _QUOTED.sub(lambda match: f"{match[1]}{match[2] or ''}{_last(match[3])}", text)
        text = _LINE.sub(lambda match: f"{match[1]}{_last(match[2])}", text)
        text = _WORD.sub(lambda match: _last(match[1]), text)
    for host in sorted(hosts, key=len, reverse=True):  # example.org before example
        if host in text:
            text = re.sub(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", LEFT_OUT, text)
    return text


def hosts_of(contents: Collection[Mapping[str, Any]]) -> set[str]:
    """Names of the machines in manifests, and of this one."""
    hosts = {str(content.get("host") or "") for content in contents} | {platform.node()}
    names = hosts | {name.partition(".")[0] for name in hosts}
    return {name for name in names if len(name) >= SHORTEST_HOST}


def published(content: Any, change: Callable[[str], str]) -> Any:
    """Every text in tuples and dataclasses changed; pictures' addresses stay."""
    if isinstance(content, str):
        return content if content.startswith("data:") else change(content)
    if isinstance(content, tuple):
        return tuple(published(one, change) for one in content)
    if is_dataclass(content) and not isinstance(content, type):
        texts = {one.name: getattr(content, one.name) for one in fields(content)}
        changed = {name: published(value, change) for name, value in texts.items()}
        return replace(content, **changed)
    return content


def published_frame(frame: "pd.DataFrame", change: Callable[[str], str]) -> "pd.DataFrame":
    """The columns of texts changed; what differed still does."""
    columns = {}
    for name in frame.columns:
        values = frame[name].dropna()
        if values.empty or not isinstance(values.iloc[0], str):
            continue
        changed: dict[str, str] = {}
        for value in dict.fromkeys(values):
            text, count = change(value), 1
            while text != value and text in changed.values():
                count += 1
                text = f"{change(value)} ({count})"
            changed[value] = text
        if any(value != text for value, text in changed.items()):
            columns[name] = frame[name].map(changed)
    return frame.assign(**columns) if columns else frame


def in_lines(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The names in a frame as they are drawn and written: each visible and in a line."""
    names = published_frame(frame.drop(columns="config", errors="ignore"), in_a_line)
    return frame.assign(**{str(name): names[name] for name in names})


def _last(path: str) -> str:
    """The last name of a path, or of one near the root nothing: it may be a person's."""
    names = [name for name in re.split(r"[\\/]+", path.strip("'\" ")) if name]
    return f"{LEFT_OUT}/{names[-1]}" if len(names) > SHALLOW else LEFT_OUT
