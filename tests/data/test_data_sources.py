"""A pool knows which points of which data sets it is made of."""

import pytest
import torch

from al_bench.data.sources import Sources
from al_bench.errors import ConfigError

MIXED = Sources(torch.tensor([4, 7, 7, 0]), torch.tensor([0, 0, 1, 1]), ("a", "b"))


@pytest.mark.parametrize(
    ("indices", "source_indices", "origins", "answer"),
    [
        ([0, 2], [4, 7], ["a", "b"], True),
        ([2, 1], [7, 7], ["b", "a"], True),
        ([2, 1], [7, 7], ["a", "b"], False),
        ([2, 1], [7, 7], None, True),  # nobody asked
        ([0, 2], [4, 6], None, False),
        ([0, 4], [4, 0], None, False),  # outside the pool
        ([0, -1], [4, 0], None, False),
        ([], [], [], True),
    ],
)
def test_points_are_known_by_their_data_set_and_index(indices, source_indices, origins, answer):
    given = torch.tensor(indices, dtype=torch.int64)
    sources = torch.tensor(source_indices, dtype=torch.int64)
    assert MIXED.hold(given, sources, origins) is answer


def test_indices_alone_name_points_of_one_data_set_only():
    one = Sources(torch.tensor([4, 7]), torch.tensor([0, 0]), ("a",))
    assert one.indices(torch.tensor([1])).tolist() == [7]
    with pytest.raises(ConfigError, match="mixes a and b"):
        MIXED.indices(torch.tensor([0]))
