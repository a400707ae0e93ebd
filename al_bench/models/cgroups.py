"""What the control groups of a container or a batch job leave of the machine's memory (Linux)."""

from collections.abc import Iterator
from pathlib import Path

MEMBERSHIP = Path("/proc/self/cgroup")
MOUNT = Path("/sys/fs/cgroup")
NO_LIMIT = 2**60  # the first version writes a number beyond it for none
# Version to the files of its limit, of what is used, and the cached files that give way, in its
# memory.stat.
FILES = {
    2: ("memory.max", "memory.current", ("inactive_file", "active_file")),
    1: (
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        ("total_inactive_file", "total_active_file"),
    ),
}


def memory_left() -> int | None:
    """Bytes that this process's control groups let it take still; ``None`` without a limit.

    The least of the group's own and of all groups above it, as far as they are seen from here.
    """
    left = [rest for folder, version in _folders() if (rest := _rest(folder, version)) is not None]
    return min(left, default=None)


def _folders() -> Iterator[tuple[Path, int]]:
    """Folders of the groups that count this process's memory, with the version of their files."""
    try:
        lines = MEMBERSHIP.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        number, kinds, path = line.split(":", 2)
        if number == "0" and not kinds:
            mount, version = MOUNT, 2
        elif "memory" in kinds.split(","):
            mount, version = MOUNT / "memory", 1
        else:
            continue
        own = mount / path.lstrip("/")
        for folder in (own, *own.parents):
            yield folder, version
            if folder == mount:
                break


def _rest(folder: Path, version: int) -> int | None:
    """Bytes below the limit of one group; ``None`` where it has none, or is not seen from here."""
    limit_file, used_file, cached = FILES[version]
    try:
        limit = int((folder / limit_file).read_text(encoding="utf-8"))
        used = int((folder / used_file).read_text(encoding="utf-8"))
        stat = (folder / "memory.stat").read_text(encoding="utf-8")
        counted = dict(line.split() for line in stat.splitlines())
        gives_way = sum(int(counted.get(name, 0)) for name in cached)
    except (OSError, ValueError):  # "max" is no limit
        return None
    if limit >= NO_LIMIT:
        return None
    return max(0, limit - used + gives_way)
