"""What commit a checkout is at, and how files differ from it, without a program of the checkout's.

A repository's configuration and attributes name programs (filters, file watchers, diff drivers,
transports), which git runs even where it is only asked for a difference. So its folder is read as
files here, and git is asked for objects alone, from an empty repository of ours that borrows them:
no configuration is read but the one that this module writes.
"""

import difflib
import hashlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MOST = 2**20  # bytes of a file whose lines are compared
SMALL = 2**24  # bytes of a file that is read at all
MOST_PAIRS = 4 * 10**6  # of lines, before and after, that are matched
PATIENCE = 20  # seconds for git
_ID = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True)
class Checkout:
    """A working folder and where its repository keeps what was committed.

    Args:
        root: The working folder.
        folder: The folder with its ``HEAD``: its own where there are several working folders.
        shared: The folder with objects and branches.
        commit: What is checked out, in hexadecimal digits; empty before the first commit.
    """

    root: Path
    folder: Path
    shared: Path
    commit: str

    @classmethod
    def around(cls, path: Path) -> "Checkout | None":
        """The innermost one that ``path`` lies in; ``None`` outside of every repository."""
        for root in Path(os.path.realpath(path)).parents:
            folder = _repository(root / ".git")
            if folder is None:
                continue
            common = _read(folder / "commondir", 4096)
            shared = folder if common is None else folder / os.fsdecode(common.strip())
            if (shared / "objects").is_dir():
                return cls(root, folder, shared, _commit(folder, shared))
        return None

    def difference(self, files: Mapping[Path, bytes], folders: Iterable[Path] = ()) -> str:
        """How these files differ from the commit, as a patch; empty where they do not.

        Of a file that the commit does not have, or that is not text, or is large, the name and a
        hash are told. Bytes that are no UTF-8 are kept as ``surrogateescape`` has them.

        Args:
            files: Their content.
            folders: What the commit has in them counts too, and modules and configuration files
                beside it, as they lie on the disk.

        Raises:
            Unreadable: git is missing or cannot read the commit.
        """
        present = {self._name(path): content for path, content in files.items()}
        below = [self._name(folder) for folder in folders]
        with _Objects(self) as objects:
            ids = objects.tree([*below, *present])
            names = {name for name in ids if name not in present}
            names |= {self._name(path) for one in below for path in _modules(self.root / one)}
            contents = {name: _read(self.root / name, SMALL) for name in names}
            present |= {name: content for name, content in contents.items() if content is not None}
            changed = [
                name
                for name in sorted({*ids, *present})
                if name not in present or not objects.is_blob(ids.get(name), present[name])
            ]
            before = objects.blobs([ids[name] for name in changed if name in ids])
        parts = [
            _patch(name, name in ids, before.get(ids.get(name, b"")), present.get(name))
            for name in changed
        ]
        return b"".join(parts).decode("utf-8", "surrogateescape").rstrip("\n")

    def has(self, path: Path) -> bool:
        """Whether the commit has a file.

        Raises:
            Unreadable: git is missing or cannot read the commit.
        """
        with _Objects(self) as objects:
            return self._name(path) in objects.tree([self._name(path)])

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def _modules(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix in (".py", ".yaml"))


class Unreadable(Exception):
    """Objects of a repository cannot be read."""


class _Objects:
    """The objects of a repository, borrowed by an empty one."""

    def __init__(self, checkout: Checkout) -> None:
        self._commit = checkout.commit
        self._objects = checkout.shared / "objects"
        self._hash = "sha256" if len(checkout.commit) == 64 else "sha1"
        try:
            self._folder = tempfile.TemporaryDirectory("-al-bench", ignore_cleanup_errors=True)
        except OSError as error:
            raise Unreadable(str(error)) from error

    def __enter__(self) -> "_Objects":
        empty = Path(self._folder.name)
        config = "[core]\n\trepositoryformatversion = 1\n\tbare = true\n"
        if self._hash != "sha1":
            config += f"[extensions]\n\tobjectformat = {self._hash}\n"
        try:
            for name in ("objects", "refs"):
                (empty / name).mkdir()
            (empty / "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
            (empty / "config").write_text(config, encoding="ascii")
        except OSError as error:
            raise Unreadable(str(error)) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def tree(self, names: Sequence[str]) -> dict[str, bytes]:
        """Id of each file that the commit has under these names; links and submodules are none."""
        if not self._commit or not names:
            return {}
        output = self._git("ls-tree", "-r", "-z", "--full-tree", self._commit, "--", *names)
        ids = {}
        for line in output.split(b"\0"):
            facts, tab, name = line.partition(b"\t")
            if tab and facts.startswith(b"100"):
                ids[os.fsdecode(name)] = facts.split()[2]
        return ids

    def is_blob(self, expected: bytes | None, content: bytes) -> bool:
        """Whether this is the content with that id, with whichever line ends."""
        if expected is None:
            return False
        ways = (content, content.replace(b"\r\n", b"\n"))
        hashed = (hashlib.new(self._hash, b"blob %d\0" % len(one) + one) for one in ways)
        return expected in (one.hexdigest().encode() for one in hashed)

    def blobs(self, ids: Sequence[bytes]) -> dict[bytes, bytes]:
        """Content by id, without those that are missing or larger than ``MOST``."""
        sizes = self._git("cat-file", "--batch-check", lines=ids).splitlines() if ids else []
        facts = [line.split() for line in sizes]
        small = [one[0] for one in facts if one[1:2] == [b"blob"] and int(one[2]) <= MOST]
        output = self._git("cat-file", "--batch", lines=small) if small else b""
        contents = {}
        while output:
            head, _, output = output.partition(b"\n")
            name, _, size = head.split()
            contents[name], output = output[: int(size)], output[int(size) + 1 :]
        return contents

    def _git(self, *arguments: str, lines: Sequence[bytes] = ()) -> bytes:
        """What git prints, of objects alone: nothing in the environment tells it of others."""
        program = installed("git")
        if program is None:
            raise Unreadable("git is not installed")
        environment = {key: text for key, text in os.environ.items() if not key.startswith("GIT_")}
        environment |= {
            "GIT_DIR": self._folder.name,
            "GIT_OBJECT_DIRECTORY": str(self._objects),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_ALLOW_PROTOCOL": "",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "HOME": self._folder.name,
            "XDG_CONFIG_HOME": self._folder.name,
            "LC_ALL": "C",
        }
        try:
            process = subprocess.run(
                [program, "--literal-pathspecs", "--no-pager", *arguments],
                input=b"".join(one + b"\n" for one in lines),
                capture_output=True,
                timeout=PATIENCE,
                check=True,
                env=environment,
                cwd=self._folder.name,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise Unreadable(str(error)) from error
        return process.stdout


def installed(name: str) -> str | None:
    """A program of the machine; the current folder is none of the places looked at."""
    places = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return shutil.which(name, path=os.pathsep.join(one for one in places if os.path.isabs(one)))


def _repository(path: Path) -> Path | None:
    """The folder that ``.git`` is or names; ``None`` where it is neither."""
    if path.is_dir():
        return path if (path / "HEAD").exists() else None
    pointer = _read(path, 4096)
    if pointer is None or not pointer.startswith(b"gitdir:"):
        return None
    folder = path.parent / os.fsdecode(pointer.removeprefix(b"gitdir:").strip())
    return folder if (folder / "HEAD").exists() else None


def _commit(folder: Path, shared: Path) -> str:
    """The commit that ``HEAD`` leads to; empty where there is none yet."""
    head = _read(folder / "HEAD", 4096)
    for _ in range(5):
        if head is None or not head.startswith(b"ref:"):
            break
        name = head.removeprefix(b"ref:").strip()
        if not name.startswith(b"refs/") or b".." in name or b"\0" in name:
            return ""
        places = [place / os.fsdecode(name) for place in (folder, shared)]
        head = next((text for place in places if (text := _read(place, 4096))), None)
        head = head or _packed(shared, name)
    commit = (head or b"").strip()
    return commit.decode() if _ID.fullmatch(commit) else ""


def _packed(shared: Path, name: bytes) -> bytes | None:
    for line in (_read(shared / "packed-refs", SMALL) or b"").splitlines():
        if line.endswith(b" " + name):
            return line.partition(b" ")[0]
    return None


def _read(path: Path, most: int) -> bytes | None:
    """Content of a regular file of at most so many bytes; ``None`` of anything else."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError):
        return None
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        content = file.read(most + 1)
    return content if len(content) <= most else None


def _patch(name: str, is_known: bool, before: bytes | None, after: bytes | None) -> bytes:
    """One file's part of a patch; ``before`` is ``None`` where it could not be read."""
    path = os.fsencode(name).replace(b"\n", b"\\n")
    digest = "" if after is None else f" (sha256 {hashlib.sha256(after).hexdigest()})"
    if not is_known:
        return b"Not in the commit: %s%s\n" % (path, digest.encode())
    large = max(len(before or b""), len(after or b"")) > MOST
    if before is None or large or any(b"\0" in (one or b"") for one in (before, after)):
        how = "differs" if after is not None else "is not there"
        return b"Changed: %s %s%s\n" % (path, how.encode(), digest.encode())
    if after is not None and b"\r\n" not in before:
        after = after.replace(b"\r\n", b"\n")
    lines = [(one or b"").decode("utf-8", "surrogateescape").split("\n") for one in (before, after)]
    old, new = [[f"{line}\n" for line in one[:-1]] + one[-1:] * bool(one[-1]) for one in lines]
    head = b"--- a/%s\n+++ %s\n" % (path, b"/dev/null" if after is None else b"b/" + path)
    text = "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in _hunks(old, new)
    )
    return head + text.encode("utf-8", "surrogateescape")


def _hunks(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    if len(old) * len(new) <= MOST_PAIRS:
        yield from list(difflib.unified_diff(old, new))[2:]
        return
    yield f"@@ -1,{len(old)} +1,{len(new)} @@\n"  # to match them would take minutes
    yield from (f"-{line}" for line in old)
    yield from (f"+{line}" for line in new)
