"""A network whose weights training has broken is named as the cause, not the strategy."""

import json

import pytest

BROKEN = ("seeds=1", "training.learning_rate=1e30", "training.max_epochs=1", "model.num_samples=3",
          "training.epoch_size=16", "training.batch_size=64", "budget.total=40")  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["strategy=random"],
        ["strategy=random", "evaluation.joint_size=5"],
        ["strategy=random", "evaluation.online=true"],
        ["strategy=entropy"],
        ["strategy=batchbald"],
    ],
)
def test_nan_predictions_are_a_matter_of_the_training(al_bench, tmp_path, words):
    code, _, _ = al_bench("run", *words, *BROKEN)
    assert code == 1
    (path,) = tmp_path.rglob("manifests/seed=0.json")
    manifest = json.loads(path.read_text())
    assert manifest["status"] == "failed"
    assert "The model predicts NaN for" in manifest["error"]
    assert "Strategy" not in manifest["error"]
