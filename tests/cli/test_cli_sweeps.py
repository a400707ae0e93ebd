"""Which jobs a command line means: sweeps in words, in presets, in swept presets."""

import json
import re
import sys

import pytest

PRESET = """# @package _global_
# two strategies
seeds: 1
budget:
  total: 40
  batch_size: {batch_size}
hydra:
  mode: MULTIRUN
  sweeper:
    params:
      strategy: {strategies}
"""


@pytest.fixture
def presets(tmp_path):
    """Presets small and large, sweeps of two strategies each, and plain, which is none."""
    folder = tmp_path / "mine" / "experiment"
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(PRESET.format(batch_size=5, strategies="random,margin"))
    (folder / "large.yaml").write_text(PRESET.format(batch_size=10, strategies="random,entropy"))
    (folder / "plain.yaml").write_text("# @package _global_\nseeds: 1\nbudget:\n  total: 60\n")
    return folder


@pytest.fixture
def dry(al_bench):
    """The jobs of a command line as (strategy, labels at the end, labels a round)."""

    def jobs(*words):
        code, out, err = al_bench("run", *words, "dry_run=true")
        assert (code, err) == (0, "")
        said = r"run +(.*?) on .*\n(?:.*\n)*?labels +\d+ to (\d+) in batches of (\d+)"
        return [(name, int(end), int(size)) for name, end, size in re.findall(said, out)]

    return jobs


SMALL = [("random", 40, 5), ("margin", 40, 5)]
LARGE = [("random", 40, 10), ("entropy", 40, 10)]


@pytest.mark.slow
def test_each_swept_preset_brings_its_own_sweep(presets, dry, tmp_path):
    own = ("--config-dir", "mine")
    assert dry(*own, "-m", "experiment=small,large") == SMALL + LARGE
    assert dry(*own, "-m", "experiment=small,plain") == [*SMALL, ("bald", 60, 10)]
    assert dry(*own, "-m", "experiment=large,large") == LARGE  # equal jobs are one
    assert dry(*own, "experiment=small") == SMALL  # which asks for a sweep by itself
    assert dry(*own, "experiment=small", "strategy=bald") == [("bald", 40, 5)]  # typed comes first
    swept = dry(*own, "-m", "experiment=small,large", "budget.total=30,50")
    assert sorted(swept) == sorted(
        (name, end, size) for name, _, size in SMALL + LARGE for end in (30, 50)
    )
    assert dry(*own, "-m", "experiment=small,large", "strategy=bald,margin") == [
        (name, 40, size) for size in (5, 10) for name in ("bald", "margin")
    ]
    (presets / "own.yaml").write_text(
        PRESET.format(batch_size=5, strategies="powerbald,softmaxbald")
    )
    beta = dry(*own, "experiment=own", "strategy.rule.beta=4")  # a key of what the preset sweeps
    assert [name for name, *_ in beta] == ["powerbald(beta=4)", "softmaxbald(beta=4)"]
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [[], ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]])
def test_the_jobs_of_swept_presets_are_planned_run_and_told(
    presets, quick_run, al_bench, curves, tmp_path, launcher
):
    words = ["budget.total=30", "seeds=1", *launcher]
    code, out, _ = quick_run("--config-dir", "mine", "-m", "experiment=small,large", *words)
    assert code == 0
    (plan,) = tmp_path.glob("results/.sweeps/*/plan.json")
    assert len(json.loads(plan.read_text())["jobs"]) == 4
    assert "4 jobs, 4 done" in out
    rows = curves()
    assert set(rows["strategy_label"]) == {"random", "margin", "entropy"}
    assert rows["run_id"].nunique() == 4
    assert "4 done\n" in al_bench("status")[1]


SHARED = [
    (["strategy=powerbald,softmaxbald", "strategy.rule.beta=4"], ["beta=4"] * 2),
    (["strategy=typiclust,probcover", "strategy/space=inputs"], ["space=inputs"] * 2),
    (["strategy=typiclust,probcover", "strategy.space.normalize=false"], ["normalize=false"] * 2),
    (["model=deep_ensemble,mc_dropout", "model/network=mlp"], ["(mlp)"] * 2),
]


@pytest.mark.slow
@pytest.mark.parametrize(("words", "said"), SHARED)
def test_a_key_goes_to_the_choices_of_each_job(al_bench, words, said):
    code, out, err = al_bench("run", "-m", *words, "dry_run=true")
    assert (code, err) == (0, "")
    titles = [line for line in out.splitlines() if line.startswith("run ")]
    assert len(titles) == len(said)
    assert all(part in title for part, title in zip(said, titles, strict=True))


@pytest.mark.slow
def test_a_key_of_a_pool_goes_to_every_swept_pool(al_bench):
    words = ("pool=[subset,imbalance],[subset,label_noise]", "pool.subset.size=500")
    code, out, err = al_bench("run", "-m", *words, "seeds=1", "dry_run=true")
    assert (code, err) == (0, "")
    assert out.count("pool 500") == 1  # imbalance makes it smaller
    assert out.count("\nrun ") + out.startswith("run ") == 2


def test_a_key_that_some_choices_lack_names_them_before_any_work(al_bench, tmp_path):
    words = ("-m", "strategy=powerbald,bald,random", "strategy.rule.beta=4")
    code, out, err = al_bench("run", *words)
    assert (code, out) == (2, "")
    assert err.startswith(
        "al-bench: strategy=bald, strategy=random: There is no key 'strategy.rule.beta'."
    )
    assert err.count("\n") == 1
    assert not (tmp_path / "results").exists()


BAD = [
    ({"experiment": "small,large"}, "A preset sweeps over presets, experiment=small,large."),
    ({"strategy": ["random", "bald"]}, "For a run each: -m strategy=random,bald."),
    ({"stratgy": "random,bald"}, "There is no key 'stratgy'. Did you mean 'strategy'"),
    ({"results": "a,b"}, "results=a,b: a sweep has one results folder."),
]


@pytest.mark.slow
@pytest.mark.parametrize(("params", "said"), BAD)
def test_what_a_preset_sweeps_is_checked_like_what_is_typed(presets, al_bench, params, said):
    lines = [
        "# @package _global_",
        f"hydra: {json.dumps({'mode': 'MULTIRUN', 'sweeper': {'params': params}})}",
    ]
    (presets / "bad.yaml").write_text("\n".join(lines))
    code, out, err = al_bench("run", "--config-dir", "mine", "experiment=bad")
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.slow
def test_a_key_that_choices_of_presets_lack_names_them(presets, al_bench):
    words = ("experiment=small,large", "strategy.num_samples=3")
    code, out, err = al_bench("run", "--config-dir", "mine", "-m", *words)
    assert (code, out) == (2, "")
    assert "strategy=random" in err
    assert "There is no key 'strategy.num_samples'." in err


@pytest.mark.slow
def test_a_preset_with_a_sweep_needs_m_unless_it_asks_for_one(presets, al_bench):
    text = (presets / "small.yaml").read_text().replace("  mode: MULTIRUN\n", "")
    (presets / "quiet.yaml").write_text(text)
    code, _, err = al_bench("run", "--config-dir", "mine", "experiment=quiet")
    assert code == 2
    assert "is a sweep of its own, strategy=random,margin. Add -m." in err


@pytest.mark.slow
def test_jobs_that_differ_in_what_a_sweep_has_one_of_are_refused(presets, al_bench):
    with (presets / "large.yaml").open("a") as file:
        file.write("results: elsewhere\n")
    code, _, err = al_bench("run", "--config-dir", "mine", "-m", "experiment=small,large")
    assert code == 2
    assert "differ in results, of which a sweep has one." in err


@pytest.fixture
def own_class(tmp_path, monkeypatch):
    """A class of the user's own, without a file of configuration."""
    (tmp_path / "own_class.py").write_text(
        "from dataclasses import dataclass\n"
        "from al_bench.strategies.random import Random\n"
        "@dataclass(frozen=True)\n"
        "class Mine(Random):\n"
        "    power: float = 1.0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "own_class.Mine"
    sys.modules.pop("own_class", None)


@pytest.mark.slow
def test_a_parameter_that_some_classes_lack_names_them_before_any_work(
    al_bench, own_class, tmp_path
):
    words = ("-m", f"strategy={own_class},random", "+strategy.power=2")
    code, out, err = al_bench("run", *words)
    assert (code, out) == (2, "")
    assert err.startswith("al-bench: strategy=random: strategy has no parameter 'power'.")
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_a_failure_stops_a_sweep_when_asked(al_bench):
    words = ("strategy=bald", "model=deterministic,mc_dropout,deep_ensemble", "on_error=stop")
    code, out, _ = al_bench("run", "-m", *words)
    assert code == 1
    assert "3 jobs, 2 planned, 1 failed\n" in out
    for model in ("mc_dropout", "deep_ensemble"):
        said = f"planned: strategy=bald model={model}: not run: job 0 failed, and on_error=stop"
        assert said in out
    assert al_bench("status")[1].endswith("2 planned, 1 failed\n")


@pytest.mark.slow
def test_jobs_that_could_not_begin_are_told_apart_by_what_differs(al_bench):
    words = ("strategy=random", "budget.init_size=10", "budget.total=7000,5000")
    code, out, _ = al_bench("run", "-m", *words)
    assert code == 1
    for total in (7000, 5000):
        said = f"failed: strategy=random budget.total={total}: Seed 0: budget.total={total} is more"
        assert said in out
        assert said in al_bench("status")[1]


FLAKY = """from al_bench.strategies.random import Random


class Flaky(Random):
    def select(self, view, batch_size, generator):
        raise RuntimeError("not today")
"""


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [[], ["hydra/launcher=joblib", "hydra.launcher.n_jobs=1"]])
def test_a_failed_trial_stops_a_sweep_and_is_counted_once(
    quick_run, al_bench, tmp_path, launcher, monkeypatch
):
    (tmp_path / "flaky_class.py").write_text(FLAKY)
    monkeypatch.syspath_prepend(tmp_path)
    words = ("-m", "strategy=flaky_class.Flaky,random,margin", "seeds=1", *launcher)
    code, out, _ = quick_run(*words, "on_error=stop")
    assert code == 1
    assert "3 jobs, 2 planned, 1 failed\n" in out
    assert al_bench("status")[1].endswith("2 planned, 1 failed\n")
    _, out, _ = quick_run(*words, "on_error=continue")
    assert "3 jobs, 2 done, 1 failed\n" in out
    assert al_bench("status")[1].endswith("2 done, 1 failed\n")


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ("on_error=stop",), ("-m", "together=false")])
def test_a_run_whose_folder_cannot_be_written_has_failed(quick_run, al_bench, tmp_path, words):
    place = tmp_path / "results" / "digits" / "mc_dropout" / "random"
    place.parent.mkdir(parents=True)
    place.write_text("no folder")
    asked = ("strategy=random", "seeds=1", *words)
    assert quick_run(*asked)[0] == 1
    said = "a file stands where a folder is needed"
    code, out, _ = al_bench("status")
    assert code == 0
    assert "1 failed" in out
    assert said in out
    assert "planned" not in out
    place.unlink()
    assert quick_run(*asked)[0] == 0
    assert "1 done" in al_bench("status")[1]
    assert "failed" not in al_bench("status")[1]


@pytest.mark.slow
def test_a_class_is_a_choice_without_a_file(quick_run, al_bench, curves, own_class):
    words = ("strategy=own_class.Mine", "+strategy.power=2", "seeds=1")
    code, out, err = quick_run(*words, "strategy@init_strategy=own_class.Mine")
    assert (code, err) == (0, "")
    rows = curves()
    assert set(rows["strategy"]) == {"own_class.Mine"}
    assert set(rows["strategy_label"]) == {"own_class.Mine(power=2)"}
    assert set(rows["init_strategy"]) == {"own_class.Mine"}
    code, out, _ = al_bench("check", "strategy=own_class.Mine", "+strategy.power=2")
    assert code == 0
    assert out.startswith("own_class.Mine(power=2): own_class.Mine, needs nothing")
    code, _, err = al_bench("run", "-m", "strategy=own_class.Mine,random", "+strategy.powr=2")
    assert code == 2
    assert "strategy has no parameter 'powr'." in err
    code, _, err = al_bench("run", "strategy=own_class.Mine", "strategy.power=2")
    assert "There is no key 'strategy.power'. Write +strategy.power=2" in err


@pytest.mark.slow
def test_a_class_is_a_choice_for_a_parallel_sweep(quick_run, own_class):
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    words = ("-m", f"strategy={own_class},random", "seeds=1", *launcher)
    code, out, _ = quick_run(*words)
    assert code == 0
    assert "2 jobs, 2 done\n" in out


HEARS = """from pathlib import Path


class Hears:
    def __init__(self, name):
        self.name = name

    def write(self, event):
        with Path("heard.txt").open("a") as file:
            file.write(f"{self.name} {event}\\n")

    def on_multirun_start(self, config, **about):
        self.write(f"start {config.hydra.mode.name}")

    def on_job_start(self, config, **about):
        self.write(f"job {config.hydra.job.num}")

    def on_job_end(self, job_return, **about):
        self.write(f"end {job_return.return_value}")
        raise OSError("no more")

    def on_multirun_end(self, **about):
        self.write("over")
"""


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [[], ["hydra/launcher=joblib", "hydra.launcher.n_jobs=1"]])
def test_callbacks_hear_of_a_sweep_and_of_its_jobs(quick_run, tmp_path, launcher):
    (tmp_path / "hears.py").write_text(HEARS)
    words = [f"+hydra.callbacks.{name}={{_target_:hears.Hears,name:{name}}}" for name in "ab"]
    with pytest.warns(UserWarning, match=r"Hears.on_job_end raised OSError: no more"):
        code, _, _ = quick_run("-m", "strategy=random", "seeds=1", *words, *launcher)
    assert code == 0
    job = ["a job 0", "b job 0", "b end 0", "a end 0"]
    expected = ["a start MULTIRUN", "b start MULTIRUN", *job, "b over", "a over"]
    assert (tmp_path / "heard.txt").read_text().splitlines() == expected
