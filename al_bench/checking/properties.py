"""What checks of strategies and of selections ask alike."""

import dataclasses
import random
from typing import Any

import numpy as np
import torch

from al_bench.checking.probing import require


def require_declaration(subject: Any, capabilities: frozenset[str]) -> None:
    """Require a frozen dataclass whose ``needs`` are all ``capabilities``."""
    kind = type(subject)
    require(dataclasses.is_dataclass(subject), f"{kind.__name__} is no dataclass")
    parameters: Any = getattr(kind, "__dataclass_params__", None)
    require(parameters.frozen, f"{kind.__name__} is not frozen: write @dataclass(frozen=True)")
    unknown = sorted(subject.needs - capabilities)
    valid = ", ".join(sorted(capabilities))
    require(not unknown, f"needs {', '.join(map(str, unknown))}, known are {valid}")


def global_state() -> tuple[bytes, bytes, object]:
    """Where the global random generators of torch, NumPy and Python stand."""
    numpy_state: Any = np.random.get_state()  # noqa: NPY002
    torch_state = torch.random.get_rng_state().numpy().tobytes()
    return torch_state, numpy_state[1].tobytes(), (numpy_state[2], random.getstate())
