"""The same on an accelerator."""

import pytest
import torch

import al_bench

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.mark.parametrize("strategy", ["random", "entropy", "bald", "batchbald", "powerbald"])
def test_a_run_on_a_gpu_repeats_itself(quick, strategy):
    words = (f"strategy={strategy}", "seeds=2", "device=cuda", *quick)
    first = al_bench.execute(al_bench.trials(*words))
    second = al_bench.execute(al_bench.trials(*words))
    assert first["device"].unique().tolist() == ["cuda"]
    assert first["test_nll"].tolist() == second["test_nll"].tolist()


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
