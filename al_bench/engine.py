"""How a run is computed: what may change the last bits of a result, but not its meaning."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from al_bench.errors import ConfigError, choose
from al_bench.results.schema import NUMERICS_VERSION

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Engine:
    """Device, precisions, threads and working memory of a run; columns of every stored row.

    Args:
        device: Where tensors live.
        scoring_precision: ``float32`` or ``bfloat16``, of forward passes over pool and test set.
        training_precision: The same for training.
        threads: CPU threads of this process, at least 1.
        chunk_bytes: Working memory for one chunk of a forward pass.
    """

    device: torch.device
    scoring_precision: str = "float32"
    training_precision: str = "float32"
    threads: int = 1
    chunk_bytes: int = 64 * 2**20

    def __post_init__(self) -> None:
        for name in ("scoring_precision", "training_precision"):
            value = getattr(self, name)
            if value not in PRECISIONS:
                raise ConfigError(f"{name}={value} is unknown.", choose(str(value), PRECISIONS))
        for name in ("threads", "chunk_bytes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}.")

    def columns(self) -> dict[str, Any]:
        """The engine's columns of a curve row."""
        return {
            "device": self.device.type,  # which of several equal ones does not matter
            "device_name": device_name(self.device),
            "scoring_precision": self.scoring_precision,
            "training_precision": self.training_precision,
            "threads": self.threads,
            "chunk_bytes": self.chunk_bytes,
            "pack_width": None,  # trained one by one
            "torch_version": torch.__version__,
            "al_bench_version": version("al-bench"),
            "numerics_version": NUMERICS_VERSION,
        }

    def set_up(self) -> None:
        """Fix thread counts and determinism of this process; launchers leave them different."""
        torch.set_num_threads(self.threads)
        threadpool_limits(self.threads)
        if self.device.type == "cuda":
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.backends.cudnn.benchmark = False
            torch.backends.cudnn.deterministic = True
            torch.backends.cudnn.allow_tf32 = False  # float32 means float32
            torch.backends.cuda.matmul.allow_tf32 = False
            torch.use_deterministic_algorithms(True)
            # Else every empty tensor is filled first, by launches that no result needs.
            torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


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
            found = f"{count} CUDA device{'s' if count > 1 else ''}" if count else "no CUDA device"
            raise ConfigError(f"device={name}: this machine has {found}.", "Try device=cpu.")
        return torch.device("cuda", device.index or 0)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device=mps: this machine has no Metal device.", "Try device=cpu.")
    return device


def device_name(device: torch.device) -> str:
    """The processor's or accelerator's own name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        with open("/proc/cpuinfo") as cpuinfo:
            for line in cpuinfo:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
