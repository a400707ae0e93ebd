"""Stand-ins for the packages of trackers: they remember what they are told, by tracked run."""

import sys
from collections import defaultdict
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace


class Remembered:
    """What a tracker's package holds of one tracked run."""

    def __init__(self):
        self.parameters = {}
        self.curves = defaultdict(list)  # metric: (step, value) a round
        self.status = None


def fake_tensorboard(monkeypatch):
    held = defaultdict(Remembered)

    class SummaryWriter:
        def __init__(self, folder):
            strategy, _, seed = folder.split("/")[-3:]
            self.run = held[f"{strategy} {seed}"]

        def add_text(self, name, text):
            if name == "configuration":
                rows = [line.strip("| ").split(" | ") for line in text.splitlines()[2:]]
                self.run.parameters = dict(rows)
            elif name == "status":
                self.run.status = text

        def add_scalar(self, name, value, step):
            self.run.curves[name].append((step, value))

        def flush(self): ...

        def close(self): ...

    install(monkeypatch, "tensorboard")
    install(monkeypatch, "torch.utils.tensorboard", SummaryWriter=SummaryWriter)
    return held


def fake_wandb(monkeypatch):
    held = defaultdict(Remembered)

    class Run:
        def __init__(self, name, config):
            self.run = held[name]
            self.run.parameters = {key: str(value) for key, value in config.items()}
            self.summary = {}

        def define_metric(self, name, step_metric):
            assert (name, step_metric) == ("*", "num_labeled")

        def log(self, values):
            for name, value in values.items():
                self.run.curves[name].append((values["num_labeled"], value))

        def finish(self, exit_code):
            self.run.status = self.summary["status"]
            assert (exit_code == 0) == (self.run.status == "done")

    def init(*, name, config, mode, reinit, **known):
        assert (mode, reinit) == ("offline", "create_new")
        assert set(known) == {"project", "dir", "id", "group", "settings"}
        return Run(name, config)

    install(monkeypatch, "wandb", init=init, Settings=SimpleNamespace)
    return held


def fake_mlflow(monkeypatch):
    held = defaultdict(Remembered)
    words = {"FINISHED": "done", "FAILED": "failed", "KILLED": "interrupted"}

    class MlflowClient:
        def __init__(self, uri):
            assert uri.startswith("sqlite:///")
            assert uri.endswith("/results/mlflow.db")

        def get_experiment_by_name(self, name):
            return None

        def create_experiment(self, name):
            return "1"

        def search_runs(self, experiments, text):
            return []

        def create_run(self, experiment, run_name, tags):
            return SimpleNamespace(info=SimpleNamespace(run_id=run_name))

        def log_batch(self, run_id, metrics=(), params=()):
            run = held[run_id]
            run.parameters |= dict(params)
            for name, value, _, step in metrics:
                run.curves[name].append((step, value))

        def set_terminated(self, run_id, status):
            held[run_id].status = words[status]

    def entity(*values):
        return values

    install(monkeypatch, "mlflow", MlflowClient=MlflowClient)
    install(monkeypatch, "mlflow.entities", Param=entity, Metric=entity)
    install(monkeypatch, "mlflow.exceptions", MlflowException=RuntimeError)
    return held


def install(monkeypatch, name, **content):
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    vars(module).update(content)
    monkeypatch.setitem(sys.modules, name, module)


FAKES = {"tensorboard": fake_tensorboard, "wandb": fake_wandb, "mlflow": fake_mlflow}
