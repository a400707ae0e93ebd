"""What is computed once for several trials: under ``.cache`` in the results folder, by its content.

A file is named by the hash of all that decides what is in it, so it is never out of date, and may
be removed at any time. It is there whole or not at all; one that is damaged is made again. Whoever
makes one holds its lock, so that several processes do not compute the same thing.
"""

import io
import json
import logging
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from al_bench.results import atomic, inside, locks
from al_bench.results.history import encode_checkpoint

logger = logging.getLogger(__name__)

FOLDER = ".cache"
DIGEST = 64  # bytes of the hexadecimal digest that a file begins with
LOOK_SECONDS = 0.5  # between two looks at what another process makes


class _Damaged(Exception):
    """What a file holds is not what was stored."""


def cached(
    results: Path,
    kind: str,
    about: Mapping[str, Any],
    compute: Callable[[], Mapping[str, Any]],
) -> dict[str, Any]:
    """What ``compute`` returns, from the cache where it has been computed before.

    Args:
        results: The results folder.
        kind: What it is, the name of a folder in the cache.
        about: All that decides the result, JSON-compatible.
        compute: Computes it: tensors and plain values by name.

    Returns:
        The result, tensors on the CPU: a hit gives the bits of the first time.

    Raises:
        ResultsError: The disk refuses.
    """
    folder = results / FOLDER / kind
    key = sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]
    path, lock_path = folder / f"{key}.pt", folder / f"{key}.lock"
    has_warned = False
    while True:
        content = _read(path)
        if content is not None:
            return content
        atomic.make_folder(folder)
        try:
            lock = locks.take(lock_path)
        except locks.TrialHeld as holder:
            if not has_warned:
                logger.warning(
                    "Waiting for %s, process %d, which computes %s.", holder.host, holder.pid, path
                )
                has_warned = True
            locks.settle([lock_path])
            time.sleep(LOOK_SECONDS)
            continue
        try:
            content = _read(path)  # made between the look and the lock
            if content is None:
                atomic.clean(folder, key)
                data = encode_checkpoint(compute())
                lock.check()
                atomic.write(path, sha256(data).hexdigest().encode() + data, key)
                content = _decoded(data)
            return content
        finally:
            lock.release()


def _read(path: Path) -> dict[str, Any] | None:
    """What the file holds; ``None`` where there is none, or a damaged one, which is told."""
    try:
        whole = inside.read(path)
        digest, data = whole[:DIGEST], whole[DIGEST:]
        if sha256(data).hexdigest().encode() != digest:
            raise _Damaged("it is not what was stored")
        return _decoded(data)
    except FileNotFoundError:
        return None
    except (OSError, _Damaged) as error:
        logger.warning("%s is made again: %s.", path, inside.wrong(path) or str(error))
        return None


def _decoded(data: bytes) -> dict[str, Any]:
    import torch

    try:
        content: dict[str, Any] = torch.load(
            io.BytesIO(data), map_location="cpu", weights_only=True
        )
    except Exception as error:  # whatever torch stumbles over
        raise _Damaged("it cannot be read") from error
    if not isinstance(content, dict):
        raise _Damaged("it holds no values by name")
    return content
