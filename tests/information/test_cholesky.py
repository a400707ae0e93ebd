"""Factors of precision matrices, and the line that a prior too small for one ends in."""

import pytest
import torch

from al_bench.errors import TrainingError
from al_bench.information.cholesky import cholesky


def test_factors_are_those_of_each_matrix():
    roots = torch.randn(3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    precisions = roots @ roots.mT + torch.eye(4, dtype=torch.float64)
    factors = cholesky(precisions, "")
    torch.testing.assert_close(factors @ factors.mT, precisions)
    assert torch.equal(factors, factors.tril())


def test_a_matrix_without_one_is_told_with_what_would_help():
    indefinite = torch.diag(torch.tensor([1.0, -1.0], dtype=torch.float64))
    with pytest.raises(TrainingError, match=r"positive definite.*Raise model\.ridge\."):
        cholesky(torch.stack([torch.eye(2, dtype=torch.float64), indefinite]), "Raise model.ridge.")
