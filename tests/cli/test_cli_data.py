"""Data of one's own, as it is typed."""

import numpy as np


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
