"""The stacked form of MC dropout against full-size passes that multiply by the masks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from labeled_points import NOTHING

import al_bench.models.mc_dropout as mc_dropout
from al_bench.models.masks import draw_masks
from al_bench.models.mc_dropout import MCDropout
from al_bench.models.networks.blocks import BlockNetwork, Conv, Dense
from al_bench.models.networks.cnn import batchbald_cnn, digits_cnn
from al_bench.models.stacked import StackedForm, fits_in_memory
from al_bench.models.stacked_layers import Tiling

FLOAT32 = torch.float32
CPU = torch.device("cpu")


def posterior_of(network, num_samples=30, precision=FLOAT32, seed=0):
    model = MCDropout(lambda **_: network, num_samples)
    return model.posterior([network], NOTHING, torch.Generator().manual_seed(seed), precision)


def test_stacked_samples_equal_masked_passes(network_and_inputs):
    network, inputs = network_and_inputs
    posterior = posterior_of(network)
    torch.testing.assert_close(
        posterior.log_probs(inputs), posterior.masked_log_probs(inputs), rtol=0, atol=1e-4
    )


def test_stacked_samples_equal_naive_passes_in_float64(network_and_inputs):
    network, inputs = network_and_inputs
    log_probs = posterior_of(network, 8).log_probs(inputs)
    masks = draw_masks(network, 8, torch.Generator().manual_seed(0), CPU)
    network.double().eval()
    for k in range(8):
        logits = network(inputs.double(), [mask[k : k + 1].double() for mask in masks])
        torch.testing.assert_close(
            log_probs[:, k].double(), logits.log_softmax(-1), rtol=0, atol=1e-4
        )


@pytest.mark.slow
def test_stacked_bfloat16_is_as_close_to_float32_as_masked_bfloat16(network_and_inputs):
    network, inputs = network_and_inputs
    exact = posterior_of(network).log_probs(inputs)
    posterior = posterior_of(network, precision=torch.bfloat16)
    stacked = (posterior.log_probs(inputs) - exact).abs().mean()
    masked = (posterior.masked_log_probs(inputs) - exact).abs().mean()
    assert stacked < 2 * masked + 1e-4


def test_results_do_not_depend_on_chunks_or_on_the_order_of_points():
    torch.manual_seed(0)
    for factory, shape in ((batchbald_cnn, (1, 16, 16)), (digits_cnn, (1, 8, 8))):
        posterior = posterior_of(factory(input_shape=shape, num_classes=10))
        inputs = torch.randn(100, *shape)
        whole = posterior.log_probs(inputs)
        chunked = torch.cat([posterior.log_probs(c) for c in inputs.split([1, 2, 40, 32, 25])])
        torch.testing.assert_close(chunked, whole, rtol=0, atol=1e-6)
        backwards = posterior.log_probs(inputs.flip(0)).flip(0)
        torch.testing.assert_close(backwards, whole, rtol=0, atol=1e-6)


def test_one_function_a_sample_whatever_else_is_shown():
    torch.manual_seed(0)
    posterior = posterior_of(digits_cnn(input_shape=(1, 8, 8), num_classes=10))
    point = torch.randn(1, 1, 8, 8)
    among_others = torch.cat([torch.randn(50, 1, 8, 8), point, point])
    log_probs = posterior.log_probs(among_others)
    torch.testing.assert_close(log_probs[50:51], posterior.log_probs(point), rtol=0, atol=1e-6)
    torch.testing.assert_close(log_probs[50], log_probs[51], rtol=0, atol=1e-6)


convolutions = st.lists(
    st.builds(
        Conv,
        channels=st.integers(1, 6),
        kernel=st.integers(1, 3),
        padding=st.integers(0, 2),
        pool=st.integers(1, 2),
        masked=st.booleans(),
    ),
    max_size=3,
)
dense = st.lists(st.builds(Dense, width=st.integers(1, 9), masked=st.booleans()), max_size=2)


@pytest.mark.slow
@settings(max_examples=40)
@given(
    convolutions=convolutions,
    dense=dense,
    dropout=st.sampled_from([0.2, 0.5, 0.9]),
    num_samples=st.integers(1, 9),
    tiling=st.sampled_from([Tiling(4, 1, 1), Tiling(8, 2**14, 3), Tiling(5, 2**30, 100)]),
    seed=st.integers(0, 10),
)
def test_any_list_of_blocks_has_a_stacked_form(
    convolutions, dense, dropout, num_samples, tiling, seed
):
    torch.manual_seed(seed)
    shape = (2, 22, 23) if convolutions else (7,)
    network = BlockNetwork(shape, 3, [*convolutions, *dense], dropout).eval()
    if not network.mask_units:
        return
    masks = draw_masks(network, num_samples, torch.Generator().manual_seed(seed), CPU)
    inputs = torch.randn(tiling.points, *shape)
    with torch.inference_mode():
        log_probs = StackedForm(network, masks, FLOAT32, tiling).log_probs(network.prefix(inputs))
        for k in range(num_samples):
            logits = network(inputs, [mask[k : k + 1] for mask in masks])
            torch.testing.assert_close(
                log_probs[:, k], logits.log_softmax(-1), rtol=1e-4, atol=1e-5
            )


def test_weights_are_cut_once_for_every_number_of_samples(monkeypatch):
    built = []

    class Counting(StackedForm):
        def __init__(self, *args):
            built.append(len(args[1][0]))
            super().__init__(*args)

    monkeypatch.setattr(mc_dropout, "StackedForm", Counting)
    posterior = posterior_of(digits_cnn(input_shape=(1, 8, 8), num_classes=10))
    for count in (None, 5, 30, 5):
        posterior.log_probs(torch.zeros(3, 1, 8, 8), count)
    assert built == [30, 5]


def test_slices_too_large_for_memory_are_not_cut():
    network = BlockNetwork((10,), 3, [Dense(4096), Dense(4096)], 0.5)
    assert fits_in_memory(network, 20)
    assert not fits_in_memory(network, 100)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same_samples_as_the_cpu(network_and_inputs):
    network, inputs = network_and_inputs
    expected = posterior_of(network).log_probs(inputs)
    posterior = posterior_of(network.cuda())
    log_probs = posterior.log_probs(inputs.cuda())
    assert log_probs.is_cuda
    torch.testing.assert_close(log_probs.cpu(), expected, rtol=0, atol=1e-2)  # TF32 convolutions
