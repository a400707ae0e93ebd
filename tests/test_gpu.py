"""The same on an accelerator."""

import copy

import pytest
import torch
from strategy_files import CONF, NAMES, built

import al_bench
from al_bench.cli import main
from al_bench.models.base import SAMPLES, NetworkModel
from al_bench.training.augment import CropFlip
from al_bench.training.trainer import initial_network

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
CHEAPER = {"oracle": ["strategy.candidates=2", "strategy.reference=20"]}
DIGITS = (
    "dataset=digits",
    "pool=[subset]",
    "pool.subset.size=300",
    "model.num_samples=8",
    "training.max_epochs=2",
    "seeds=1",
)


@pytest.fixture(scope="module")
def trials():
    """One trial on each device."""
    return {device: al_bench.trials(*DIGITS, f"device={device.type}")[0] for device in (CPU, GPU)}


@pytest.fixture(scope="module")
def posteriors(trials):
    """The same network and masks on each device."""
    return {device: over(trials[CPU], trial, device) for device, trial in trials.items()}


def over(origin, trial, device):
    network = initial_network(origin, origin.model, 0)
    with torch.no_grad():
        network.output.weight.mul_(5.0)  # confident predictions that differ
    labeled = trial.labeled_set().on(device, 2**26)
    generator = trial.streams.generator("posterior")
    return trial.model.posterior(
        [network.to(device)] * trial.model.num_networks, labeled, generator, torch.float32
    )


def chosen(name, trial, posterior, batch_size=5):
    strategy = built(name, *CHEAPER.get(name, []))
    view = trial.view(posterior, strategy)
    return strategy.select(view, batch_size, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NAMES)
def test_a_strategy_picks_the_same_on_either_device(name, trials, posteriors):
    weights = copy.deepcopy(posteriors[GPU].network().state_dict())
    cpu, gpu, again = (
        chosen(name, trials[device], posteriors[device]) for device in (CPU, GPU, GPU)
    )
    assert gpu.positions.tolist() == again.positions.tolist()
    assert torch.equal(gpu.scores.nan_to_num(), again.scores.nan_to_num())
    after = posteriors[GPU].network().state_dict()
    assert all(torch.equal(value, after[key]) for key, value in weights.items())
    # Of nearly equal points the last bits decide.
    assert len(set(cpu.positions.tolist()) & set(gpu.positions.tolist())) >= 4
    sampling = 3 * cpu.notes.get("monte_carlo_error", 0.0)
    torch.testing.assert_close(
        cpu.scores, gpu.scores, rtol=1e-3, atol=1e-5 + sampling, equal_nan=True
    )


@pytest.mark.parametrize("name", MODELS)
def test_a_posterior_is_the_same_on_either_device(name):
    trials = {
        device: al_bench.trials(
            *(word for word in DIGITS if "num_samples" not in word),
            f"model={name}",
            f"device={device.type}",
            "strategy=entropy",
        )[0]
        for device in (CPU, GPU)
    }
    if not isinstance(trials[CPU].model, NetworkModel):
        pytest.skip("has no network")
    cpu, gpu = (over(trials[CPU], trials[device], device) for device in (CPU, GPU))
    inputs = trials[CPU].pool.inputs.gather(torch.arange(100), CPU)
    torch.testing.assert_close(
        cpu.log_probs(inputs), gpu.log_probs(inputs.to(GPU)).cpu(), rtol=1e-3, atol=1e-4
    )
    torch.testing.assert_close(
        cpu.features(inputs), gpu.features(inputs.to(GPU)).cpu(), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_runs(name, tmp_path):
    model = "mc_dropout" if SAMPLES in built(name).needs else "deterministic"
    words = [word for word in DIGITS if model == "mc_dropout" or "num_samples" not in word]
    curves = al_bench.run(
        f"strategy={name}",
        f"model={model}",
        f"results={tmp_path}",
        "device=cuda",
        "budget.total=40",
        *words,
        *CHEAPER.get(name, []),
    )
    assert curves["num_labeled"].tolist() == [20, 30, 40]
    assert curves["peak_device_memory_bytes"].min() > 0


def test_images_are_cropped_and_flipped_alike_on_either_device():
    images, uniform = torch.rand(500, 3, 32, 32), torch.rand(500, 3)
    zero = torch.tensor([-1.0, -2.0, -3.0]).view(3, 1, 1)
    changed = [
        CropFlip()(images.to(device), uniform.to(device), zero.to(device)).cpu()
        for device in (CPU, GPU)
    ]
    assert torch.equal(*changed)


@pytest.mark.parametrize("model", MODELS)
def test_a_run_on_a_gpu_repeats_itself(model):
    words = [f"model={model}", "strategy=entropy", "seeds=2", "device=cuda", "budget.total=40"]
    first = al_bench.execute(al_bench.trials(*words))
    second = al_bench.execute(al_bench.trials(*words))
    assert first["device"].unique().tolist() == ["cuda"]
    assert first["test_nll"].tolist() == second["test_nll"].tolist()


def test_workers_that_share_a_gpu_change_nothing(quick, tmp_path):
    words = ["run", "strategy=batchbald", "seeds=2", "device=cuda"]
    words += [word for word in quick if not word.startswith("results=")]
    assert main([*words, f"results={tmp_path / 'alone'}"]) == 0
    assert main([*words, f"results={tmp_path / 'shared'}", "workers=2"]) == 0
    alone, shared = (al_bench.read_curves([tmp_path / name]) for name in ("alone", "shared"))
    assert alone["test_nll"].tolist() == shared["test_nll"].tolist()


def test_runs_on_gpu_and_cpu_have_the_bits_together_that_they_have_alone(quick, tmp_path):
    arms = [("random", "cuda"), ("margin", "cpu"), ("bald", "cuda")]
    words = [[f"strategy={name}", f"device={at}", "seeds=2", *quick] for name, at in arms]
    together = al_bench.run_together(*words)
    alone = [al_bench.run(*run[:-1], f"results={tmp_path / 'alone'}") for run in words]
    assert together["test_nll"].tolist() == [nll for one in alone for nll in one["test_nll"]]
    assert not torch.are_deterministic_algorithms_enabled()


def test_gpu_and_cpu_start_from_the_same_sets_and_agree_closely(quick):
    words = ("strategy=random", "seeds=1", *quick)
    (cpu,), (gpu,) = al_bench.trials("device=cpu", *words), al_bench.trials("device=cuda", *words)
    assert cpu.labeled == gpu.labeled
    one, other = al_bench.execute([cpu]), al_bench.execute([gpu])
    assert cpu.labeled == gpu.labeled  # random buys the same points everywhere
    assert one["test_nll"].iloc[0] == pytest.approx(other["test_nll"].iloc[0], rel=0.05)


def test_training_and_scoring_in_bfloat16_run(quick):
    words = ("strategy=bald", "seeds=1", "device=cuda", *quick)
    curves = al_bench.execute(
        al_bench.trials("scoring_precision=bfloat16", "training_precision=bfloat16", *words)
    )
    assert curves["test_nll"].notna().all()
