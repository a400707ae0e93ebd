"""A step as a CUDA graph takes the steps that it takes by itself, and recording it takes none."""

import pytest
import torch

from al_bench.training.captured import captured, warm_up


def counting(device):
    """A step that adds up what its turn has, and the tensors that it changes."""
    numbers = torch.arange(1.0, 6.0, device=device)
    total, turn = torch.zeros(1, device=device), torch.zeros(1, dtype=torch.int64, device=device)

    def step():
        total.add_(numbers.index_select(0, turn))
        turn.add_(1)

    return step, [total, turn]


def test_no_graph_is_recorded_on_a_cpu():
    assert captured(*counting("cpu")) is None


def test_warming_up_takes_no_step_however_few_there_are():
    step, (total, turn) = counting("cpu")
    for _ in range(4):
        step()
    warm_up(step, [total, turn])  # each time the last of five
    assert (total.item(), turn.item()) == (10.0, 4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_graph_takes_the_same_steps_and_recording_it_takes_none():
    step, (total, turn) = counting("cuda:0")
    step()
    again = captured(step, [total, turn])
    assert (total.item(), turn.item()) == (1.0, 1)
    for _ in range(3):
        again()
    assert (total.item(), turn.item()) == (10.0, 4)
