"""What the packages themselves read back, where they are installed."""

import math

import pytest

pytestmark = [
    pytest.mark.slow,  # importing one takes seconds
    # Not ours to mend, and an error within a tracker would only end the tracking.
    pytest.mark.filterwarnings("ignore"),
]
RUN = ("strategy=random", "budget.total=40")
EXTRA = 'the package of a tracker is missing: pip install -e ".[{0}]"'


def read_tensorboard(folder):
    pytest.importorskip("tensorboard", reason=EXTRA.format("tensorboard"))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    held = {}
    for path in (folder / "tensorboard").glob("digits/mc_dropout/random/*/seed=*"):
        assert len(list(path.iterdir())) == 1
        events = EventAccumulator(str(path)).Reload()
        texts = {
            name: events.Tensors(f"{name}/text_summary") for name in ("configuration", "status")
        }
        said = {name: text[0].tensor_proto.string_val[0].decode() for name, text in texts.items()}
        assert "| budget.total | 40 |" in said["configuration"]
        held[path.name] = (
            said["status"],
            [(event.step, event.value) for event in events.Scalars("test_accuracy")],
        )
    return held


def read_wandb(folder):
    pytest.importorskip("wandb", reason=EXTRA.format("wandb"))
    import json

    from wandb.proto.wandb_internal_pb2 import Record

    held = {}
    for path in (folder / "wandb").glob("offline-run-*/run-*.wandb"):
        name, curve, status = None, [], None
        for data in log_records(path.read_bytes()):
            record = Record.FromString(data)
            kind = record.WhichOneof("record_type")
            if kind == "run":
                name = record.run.display_name.removeprefix("random ")
                config = {
                    item.key: json.loads(item.value_json) for item in record.run.config.update
                }
                assert config["budget.total"] == 40
                assert record.run.project == "al-bench"
            elif kind == "history":
                items = record.history.item
                point = {
                    item.key or ".".join(item.nested_key): json.loads(item.value_json)
                    for item in items
                }
                curve.append((point["num_labeled"], point["test_accuracy"]))
            elif kind == "summary":
                for item in record.summary.update:
                    if (item.key or ".".join(item.nested_key)) == "status":
                        status = json.loads(item.value_json)
        assert name not in held, "two folders of one trial"
        held[name] = (status, curve)
    return held


def log_records(content):
    """The records of a LevelDB log, blocks of 32 KiB, after the header of wandb."""
    at, parts, block = 7, [], 2**15
    while at + 7 <= len(content):
        if block - at % block < 7:  # too little is left for a header: padding
            at += block - at % block
            continue
        length = int.from_bytes(content[at + 4 : at + 6], "little")
        kind = content[at + 6]  # 1 whole, 2 first, 3 middle, 4 last
        parts.append(content[at + 7 : at + 7 + length])
        at += 7 + length
        if kind in (1, 4):
            yield b"".join(parts)
            parts = []


def read_mlflow(folder):
    pytest.importorskip("mlflow", reason=EXTRA.format("mlflow"))
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("al-bench")
    held = {}
    for run in client.search_runs([experiment.experiment_id]):
        assert run.data.params["budget.total"] == "40"
        assert run.data.tags["al_bench.configuration.strategy_label"] == "random"
        status = {"FINISHED": "done", "KILLED": "interrupted"}[run.info.status]
        history = client.get_metric_history(run.info.run_id, "test_accuracy")
        name = run.info.run_name.removeprefix("random ")
        assert name not in held, "two runs of one trial"
        held[name] = (status, sorted((point.step, point.value) for point in history))
    return held


READ = {"tensorboard": read_tensorboard, "wandb": read_wandb, "mlflow": read_mlflow}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("tracker", READ)
def test_the_package_reads_back_what_is_stored(
    quick_run, curves, tmp_path, monkeypatch, tracker, workers
):
    for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    pytest.importorskip(tracker, reason=EXTRA.format(tracker))
    code, out, err = quick_run(*RUN, f"tracker={tracker}", f"workers={workers}")
    assert code == 0, out + err
    assert "has failed" not in out + err
    check(READ[tracker](tmp_path / "results"), curves(), "done")


@pytest.mark.parametrize("tracker", READ)
def test_a_trial_that_was_stopped_and_goes_on_is_one_tracked_run(
    quick_run, curves, tmp_path, monkeypatch, tracker
):
    pytest.importorskip(tracker, reason=EXTRA.format(tracker))
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    from al_bench.strategies.random import Random

    select = Random.select

    def stop(self, view, batch_size, generator):
        if view.round == 1:
            raise KeyboardInterrupt
        return select(self, view, batch_size, generator)

    with monkeypatch.context() as patch:
        patch.setattr(Random, "select", stop)
        assert quick_run(*RUN, f"tracker={tracker}")[0] == 130
    # The second seed was stopped before its own round was told; its first is there.
    check(READ[tracker](tmp_path / "results"), curves(), "interrupted")
    assert quick_run(*RUN, f"tracker={tracker}")[0] == 0
    check(READ[tracker](tmp_path / "results"), curves(), "done")


def check(held, curves, status):
    assert set(held) == {"seed=0", "seed=1"}
    for name, (ended, points) in held.items():
        curve = curves[curves["seed"] == int(name.removeprefix("seed="))]
        assert ended == status
        assert [step for step, _ in points] == curve["num_labeled"].tolist()
        for (_, value), stored in zip(points, curve["test_accuracy"], strict=True):
            assert math.isclose(value, stored, rel_tol=1e-6)  # event files hold float32
