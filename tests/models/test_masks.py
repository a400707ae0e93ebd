"""Dropout masks drawn ahead of the pass are those that the pass would draw."""

import pytest
import torch

from al_bench.models.masks import draw_masks
from al_bench.models.networks.cnn import batchbald_cnn
from al_bench.models.networks.mlp import mlp

CPU = torch.device("cpu")


def masks(count, dropout=0.5, seed=0):
    network = mlp(input_shape=(3,), num_classes=2, hidden=(40, 7), dropout=dropout)
    return draw_masks(network, count, torch.Generator().manual_seed(seed), CPU)


def test_twenty_samples_are_the_first_of_a_hundred():
    for few, many in zip(masks(20), masks(100), strict=True):
        assert torch.equal(few, many[:20])


def test_there_is_one_mask_a_dropout_layer_in_order():
    network = batchbald_cnn(input_shape=(1, 28, 28), num_classes=10)
    drawn = draw_masks(network, 3, torch.Generator().manual_seed(0), CPU)
    assert [tuple(mask.shape) for mask in drawn] == [(3, 32), (3, 64), (3, 128)]


@pytest.mark.parametrize("dropout", [0.1, 0.5, 0.9])
def test_units_are_dropped_with_the_given_probability_and_scaled_to_keep_the_mean(dropout):
    values = torch.cat([mask.flatten() for mask in masks(2000, dropout)])
    dropped = values == 0
    error = (dropout * (1 - dropout) / len(values)) ** 0.5
    assert abs(float(dropped.double().mean()) - dropout) < 5 * error
    assert torch.equal(values[~dropped], torch.full_like(values[~dropped], 1 / (1 - dropout)))


def test_rows_and_layers_and_seeds_differ():
    first, second = masks(10)
    assert len({tuple(row.tolist()) for row in first}) == 10
    assert not torch.equal(first[:, :7], second)
    assert not torch.equal(first, masks(10, seed=1)[0])


def test_a_network_without_dropout_draws_nothing():
    network = mlp(input_shape=(3,), num_classes=2, dropout=0.0)
    generator = torch.Generator().manual_seed(0)
    assert draw_masks(network, 4, generator, CPU) == []
