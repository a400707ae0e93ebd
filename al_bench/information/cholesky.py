"""Cholesky factors of precision matrices, or a word on what would give them some."""

import torch
from torch import Tensor

from al_bench.errors import TrainingError


def cholesky(precision: Tensor, hint: str) -> Tensor:
    """The lower factors of precision matrices (…, p, p), symmetric.

    Few points leave most directions to the prior, which must not vanish beside what they say.

    Raises:
        TrainingError: A matrix is not positive definite as it is rounded; with ``hint``.
    """
    factors, failed = torch.linalg.cholesky_ex(precision)
    if bool(failed.any()):
        raise TrainingError(
            "A precision matrix is not positive definite: its prior vanishes beside the labels.",
            hint,
        )
    return factors
