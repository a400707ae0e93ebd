"""How a run is computed: what may change the last bits of a result, but not its meaning."""

import contextlib
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from threadpoolctl import ThreadpoolController, threadpool_limits

from al_bench.errors import ConfigError, choose, require_whole

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
MOST_THREADS = 4096  # more than any machine has; far more cannot be started
MOST_TOGETHER = 4096  # networks of one pack
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Engine:
    """Device, precisions, threads, memory and determinism of a run; columns of every stored row.

    Args:
        device: Where tensors live.
        scoring_precision: ``float32`` or ``bfloat16``, of forward passes over pool and test set.
        training_precision: The same for training.
        threads: CPU threads of this process, at least 1.
        chunk_bytes: Working memory for one chunk of a forward pass.
        pack_width: Networks that are trained together, at least 2; ``None`` is one by one.
        deterministic: Whether a CUDA device may only use kernels that give the same bits in every
            run. Without that its libraries time several kernels for each new shape and take the
            fastest. Other devices compute the same either way.
    """

    device: torch.device
    scoring_precision: str = "float32"
    training_precision: str = "float32"
    threads: int = 1
    chunk_bytes: int = 64 * 2**20
    pack_width: int | None = None
    deterministic: bool = True

    def __post_init__(self) -> None:
        for name in ("scoring_precision", "training_precision"):
            value = getattr(self, name)
            if value not in PRECISIONS:
                raise ConfigError(f"{name}={value} is unknown.", choose(str(value), PRECISIONS))
        require_whole("threads", self.threads, 1, MOST_THREADS)
        require_whole("chunk_bytes", self.chunk_bytes, 1)
        if self.pack_width is not None:
            require_whole("pack_width", self.pack_width, 2, MOST_TOGETHER)

    def columns(self) -> dict[str, Any]:
        """The engine's columns of a curve row; the store adds the version of its numerics."""
        return {
            "device": self.device.type,  # which of several equal ones does not matter
            "device_name": device_name(self.device),
            "scoring_precision": self.scoring_precision,
            "training_precision": self.training_precision,
            "threads": self.threads,
            "chunk_bytes": self.chunk_bytes,
            "pack_width": self.pack_width,
            "deterministic": None if self.deterministic else False,
            "torch_version": torch.__version__,
            "al_bench_version": version("al-bench"),
        }

    @property
    def of_process(self) -> tuple[object, ...]:
        """What a process has one of at a time: engines that differ in it take turns in one."""
        return self.threads, self.device.type, self.deterministic

    def set_up(self) -> None:
        """Fix thread counts and determinism of this process; launchers leave them different."""
        torch.set_num_threads(self.threads)
        threadpool_limits(self.threads)
        if self.device.type == "cuda":
            os.environ.setdefault(WORKSPACE, ":4096:8")
            torch.backends.cudnn.benchmark = not self.deterministic
            torch.backends.cudnn.deterministic = self.deterministic
            torch.backends.cudnn.allow_tf32 = False  # float32 means float32
            torch.backends.cuda.matmul.allow_tf32 = False
            torch.use_deterministic_algorithms(self.deterministic)
            # Else every empty tensor is filled first, by launches that no result needs.
            torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """What ``Engine.set_up`` changes within this context is as it was afterwards."""
    libraries = [(each, each.num_threads) for each in ThreadpoolController().lib_controllers]
    threads, cudnn = torch.get_num_threads(), torch.backends.cudnn
    flags = (cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32)
    of_matmul = torch.backends.cuda.matmul.allow_tf32
    determinism = _determinism()
    fills = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    workspace = os.environ.get(WORKSPACE)
    try:
        yield
    finally:
        for library, count in libraries:
            library.set_num_threads(count)
        torch.set_num_threads(threads)
        cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32 = flags
        torch.backends.cuda.matmul.allow_tf32 = of_matmul
        if _determinism() != determinism:  # asking for what there is would import the compiler
            torch.use_deterministic_algorithms(determinism[0], warn_only=determinism[1])
        torch.utils.deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]
        if workspace is None:
            os.environ.pop(WORKSPACE, None)
        else:
            os.environ[WORKSPACE] = workspace


def _determinism() -> tuple[bool, bool]:
    """Whether torch refuses what is not deterministic, and whether it only warns."""
    only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
    return torch.are_deterministic_algorithms_enabled(), only_warns


def parse_device(name: str) -> torch.device:
    """The device called ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:n``."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda:0")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda", "mps"):
        raise ConfigError(f"device={name} is unknown. Valid: auto, cpu, cuda, cuda:0 …, mps.")
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            cards = f"{count} CUDA device{'s' if count > 1 else ''}" if count else "no CUDA device"
            raise ConfigError(f"device={name}: this machine has {cards}.", "Try device=cpu.")
        return torch.device("cuda", device.index or 0)
    if device.index:
        raise ConfigError(
            f"device={name}: there is one {device.type}.", f"Try device={device.type}."
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device=mps: this machine has no Metal device.", "Try device=cpu.")
    return torch.device(device.type)


def device_name(device: torch.device) -> str:
    """The processor's or accelerator's own name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
            for line in cpuinfo:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
