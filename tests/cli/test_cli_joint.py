"""Joint losses and reweighted samples on the command line: said before, compared, drawn."""

import pytest


@pytest.mark.slow
def test_a_dry_run_says_what_is_predicted_together(quick_run):
    plain, more = ("strategy=random", "dry_run=true"), ("evaluation.joint_size=7",)
    code, out, _ = quick_run(*plain, *more)
    assert code == 0
    assert "joint      71 batches of 7 test points, 3 left out" in out
    passes = 3 * 500 * 3  # rounds, test points, samples
    assert f"testing    {passes:,} forward passes a seed" in out
    _, out, _ = quick_run(*plain, "evaluation.online=true")
    assert f"testing    {passes + 15 * 3:,} forward passes a seed" in out
    assert "joint" not in out


@pytest.mark.slow
def test_new_metrics_are_compared_and_drawn_where_they_are_known(quick_run, al_bench, tmp_path):
    for name in ("random", "bald"):
        words = ("evaluation.joint_size=5", "evaluation.online=true", "budget.total=45")
        assert quick_run(f"strategy={name}", *words)[0] == 0
    code, out, _ = al_bench("compare", "results", "metric=test_nll_joint")
    assert code == 0
    assert "Joint test NLL (nats per label)" in out
    code, out, err = al_bench("compare", "results", "metric=online_accuracy")
    assert code == 0
    assert "Test accuracy after reweighting" in out
    assert "20 to 40 labels" in out  # the last round buys nothing
    for metric in ("test_nll_joint", "online_nll", "online_effective_samples"):
        code, out, err = al_bench("plot", "results", f"metric={metric}", "format=png")
        assert code == 0
        assert "missing" not in err
        assert (tmp_path / "results" / "plots" / f"curves_{metric}.png").exists()
