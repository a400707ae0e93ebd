"""Presets of DDU run from end to end, each its whole sweep, on a handful of points."""

import pytest

CUT = ("seeds=1", "training.max_epochs=1", "training.batch_size=8")
BUYS = (*CUT, "training.epoch_size=16", "budget.batch_size=2", "budget.total=22")
SMALL = (*BUYS, "pool.subset.size=60")
DIRTY = (*SMALL, "pool.contaminate.size=20")
CIFAR = ("seeds=1", "training.max_epochs=2", "training.batch_size=8", "model/network=ddu_resnet8",
         "training.schedule.epochs=[1]", "budget.validation_size=10")  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words", "arms"),
    [
        (
            "active_learning_mnist",
            (*BUYS, "budget.validation_size=10", "model/network=ddu_resnet8"),
            6,
        ),
        ("active_learning_mnist_small", SMALL, 6),
        ("active_learning_mnist_small", (*SMALL, "strategy=ddu", "model.covariance=shared"), 2),
        ("active_learning_mnist_ensemble_small", SMALL, 4),
        ("active_learning_dirty_mnist_small", DIRTY, 6),
        ("active_learning_dirty_mnist_ensemble_small", DIRTY, 4),
    ],
)
def test_each_sweep_of_strategies_buys_its_budget(handfuls, al_bench, curves, name, words, arms):
    code, out, err = al_bench("run", f"experiment=ddu/{name}", *words, "device=cpu")
    assert (code, err) == (0, ""), out
    assert curves().groupby("run_id")["num_labeled"].max().tolist() == [22] * arms


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words", "column"),
    [
        ("outliers_fashion", (*CUT, "pool.subset.size=60"), "density_emnist_letters"),
        (
            "outliers_fashion_ensemble",
            (*CUT, "pool.subset.size=60"),
            "mutual_information_mnist",
        ),
        ("outliers_fashion_sngp", (*CUT, "pool.subset.size=60"), "mutual_information_mnist"),
        ("dirty_mnist", CUT, "density_ambiguous_mnist_made"),
        ("ood_cifar10", CIFAR, "energy_svhn"),
        ("ood_cifar10_ensemble", (*CIFAR, "model.num_members=2"), "mutual_information_cifar100"),
    ],
)
def test_each_sweep_against_other_data_compares_two_networks(
    handfuls, al_bench, curves, name, words, column
):
    code, out, err = al_bench("run", f"experiment=ddu/{name}", *words, "device=cpu")
    assert (code, err) == (0, ""), out
    frame = curves()
    assert frame["run_id"].nunique() == len(frame) == 2
    assert frame[f"ood_auroc_{column}"].between(0, 1).all()
