"""Recipes of today as one types them: schedules, augmentation, AdamW, smoothing, clipping."""

import numpy as np
import pytest

MODERN = (
    "strategy=random",
    "training.max_epochs=4",
    "training.optimizer=adamw",
    "training.label_smoothing=0.1",
    "training.clip_norm=1",
    "training/schedule=one_cycle",
    "training/augment=crop",
    "training.augment.padding=1",
)


@pytest.mark.slow
def test_a_recipe_of_today_runs_and_repeats_itself_in_other_workers(quick_run, curves):
    assert quick_run(*MODERN, "results=one")[0] == 0
    assert quick_run(*MODERN, "results=two", "workers=2", "chunk_bytes=4096")[0] == 0
    one, two = (curves(name).drop(columns="chunk_bytes") for name in ("one", "two"))
    assert one.equals(two)
    assert quick_run(*MODERN, "results=three", "streams.augment=1")[0] == 0
    three = curves("three")
    assert (one["num_labeled"] == three["num_labeled"]).all()
    assert (one["test_nll"] != three["test_nll"]).all()


@pytest.mark.slow
def test_tables_have_no_crops_and_the_recipe_of_residual_networks_says_so(al_bench, tmp_path):
    x, y = np.random.default_rng(0).normal(size=(60, 5)), np.arange(60) % 3
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    words = ["dataset=arrays", "dataset.path=own.npz", "model/network=mlp", "budget.total=40"]
    words += ["strategy=random", "training=resnet_cifar"]
    code, _, err = al_bench("run", *words)
    assert code == 2
    assert err.strip() == (
        "al-bench: Crops and flips need images (channels, height, width), got inputs of shape "
        "(5,). Use training.augment=null."
    )
    assert al_bench("run", *words, "training.augment=null", "dry_run=true")[0] == 0


OWN = """
class Half:
    def factor(self, step, steps_per_epoch, max_epochs):
        return 0.5


class Negative:
    num_draws = 1

    def __call__(self, inputs, uniform, zero):
        return -inputs


class Smaller(Negative):
    def __call__(self, inputs, uniform, zero):
        return inputs[..., 1:]
"""


@pytest.mark.slow
def test_a_schedule_and_an_augmentation_of_ones_own_need_a_class_and_a_file(
    al_bench, quick_run, curves, tmp_path
):
    (tmp_path / "own_training.py").write_text(OWN)
    for group, name in (("schedule", "Half"), ("augment", "Negative"), ("augment", "Smaller")):
        folder = tmp_path / "mine" / "training" / group
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{name.lower()}.yaml"
        file.write_text(f"# Of my own\n_target_: own_training.{name}\n")
    words = ["--config-dir=mine", "strategy=random", "training/schedule=half"]
    assert quick_run(*words, "training/augment=negative", "results=own")[0] == 0
    slower = ["strategy=random", "training.learning_rate=0.0005", "results=slower"]
    assert quick_run(*words, "results=half")[0] == quick_run(*slower)[0] == 0
    assert (curves("half")["test_nll"] == curves("slower")["test_nll"]).all()
    assert (curves("half")["test_nll"] != curves("own")["test_nll"]).all()
    code, _, err = quick_run(*words, "training/augment=smaller")
    assert code == 2
    assert "Smaller makes inputs of shape (1, 8, 7) of those of shape (1, 8, 8)" in err
    code, out, _ = al_bench("list", "augmentations", "--config-dir=mine")
    assert "negative" in out
    assert "crop_flip" in out


@pytest.mark.slow
def test_rows_say_how_long_a_training_took_that_its_accuracy_ended(quick_run, curves):
    words = ["training=dynamical", "training.max_epochs=60", "training.stop_after=2"]
    words += ["strategy=random", "model.network.dropout=0.1", "training.learning_rate=0.01"]
    assert quick_run(*words, "training.epoch_size=null")[0] == 0
    rows = curves()
    assert rows["epochs"].between(2, 59).all()
    assert (rows["steps"] == rows["epochs"]).all()  # at most 35 labels, batches of 128
    assert (rows["train_accuracy"] >= 0.9).all()
    assert (rows["best_epoch"] == rows["epochs"]).all()
