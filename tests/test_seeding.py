"""Streams of one seed are distinct, reproducible and free of the strategy."""

import itertools

import pytest
import torch

from al_bench.errors import ConfigError
from al_bench.seeding import STREAMS, Streams, isolated


def draw(generator):
    return torch.rand(8, generator=generator)


def test_a_stream_is_a_function_of_its_arguments():
    again = draw(Streams(3).generator("mask", 2, 1))
    assert torch.equal(draw(Streams(3).generator("mask", 2, 1)), again)


@pytest.mark.slow
def test_streams_stay_distinct_in_the_32_bits_that_torch_uses():
    keys = [
        Streams(seed).key(name, round, member) & 0xFFFFFFFF
        for seed, name, round, member in itertools.product(range(5), STREAMS, range(20), range(5))
    ]
    assert len(set(keys)) == len(keys)


def test_an_offset_changes_its_own_stream_only():
    plain, moved = Streams(0), Streams(0, {"init": 1})
    changed = {name for name in STREAMS if plain.key(name) != moved.key(name)}
    assert changed == {"init"}


@pytest.mark.parametrize("offsets", [{"innit": 1}, {"init": -1}, {"init": 0.5}, {"init": True}])
def test_a_wrong_offset_is_refused(offsets):
    with pytest.raises(ConfigError):
        Streams(0, offsets)


def test_isolated_code_draws_from_the_generator_and_leaves_the_global_one_alone():
    torch.manual_seed(7)
    expected_global = torch.rand(3)
    torch.manual_seed(7)
    with isolated(Streams(0).generator("init")):
        first = torch.rand(3)
    assert torch.equal(torch.rand(3), expected_global)
    with isolated(Streams(0).generator("init")):
        assert torch.equal(torch.rand(3), first)
