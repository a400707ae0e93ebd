"""Data of one's own, as it is typed."""

import numpy as np
import pytest


def write(folder, train, test):
    rng = np.random.default_rng(0)
    np.savez(
        folder / "own.npz",
        x_train=rng.normal(size=(100, 4)),
        y_train=np.resize(train, 100),
        x_test=rng.normal(size=(40, 4)),
        y_test=np.resize(test, 40),
    )


def test_a_gap_is_refused_and_a_class_to_be_tested_only_is_told(al_bench, tmp_path):
    own = ("run", "dataset=arrays", "dataset.path=own.npz", "budget.total=40", "dry_run=true")
    write(tmp_path, [1, 2, 3], [1, 2, 3])
    code, _, err = al_bench(*own)
    assert (code, err.count("\n")) == (2, 1)
    assert "use pool=remap 'pool.remap.classes=[null,0,1,2]'; or add dataset.num_classes=4" in err
    code, _, err = al_bench(*own, "pool=label_noise")
    assert "use 'pool=[remap,label_noise]' 'pool.remap.classes=[null,0,1,2]'" in err
    code, out, _ = al_bench(*own, "pool=remap", "pool.remap.classes=[null,0,1,2]")
    assert code == 0
    assert ", 3 classes" in out
    write(tmp_path, [0, 1], [0, 1, 2])
    code, out, _ = al_bench(*own)
    assert code == 0
    assert "note       Class 2 has test points and no training points.\n" in out


FEW = ("pool=subset", "pool.subset.size=45", "budget.total=30", "seeds=1")


def test_more_targets_than_a_pool_has_are_all_of_them(al_bench):
    code, out, _ = al_bench("run", "strategy=powerepig", *FEW, "dry_run=true")
    assert code == 0
    assert "note       strategy asks for 100 target inputs; there are 45, and all are used." in out


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["strategy=epig"],
        ["strategy=corelog"],
        ["strategy=pig"],
        ["strategy=jepig", "strategy.num_targets=60"],
        ["strategy=evalbald", "strategy.num_targets=60"],
        ["strategy=fisher_epig"],
        ["strategy=logdet", "strategy.num_targets=60"],
        ["strategy=subsample", "strategy@strategy.of=epig"],
        ["strategy=random", "strategy@init_strategy=coremse", "budget.init_size=10"],
    ],
    ids=" ".join,
)
def test_strategies_work_with_fewer_targets_than_they_ask_for(quick_run, words):
    code, out, err = quick_run(*FEW, *words)
    assert (code, err) == (0, "")
    assert "and all are used" in out
