"""Sweeps in stages on trials that are made up: what is launched, when, and what is decided."""

import json
from dataclasses import replace

import pytest
from fake_trials import ENGINE, IDENTITY, ROUNDS, row_of

from al_bench import cli
from al_bench.configuration.until_decided import Design
from al_bench.errors import ConfigError
from al_bench.results import parquet, sweeps
from al_bench.results.history import TrialPaths
from al_bench.results.schema import CURVE, table
from al_bench.running.staging import Stages
from al_bench.stats import sequential


class Launcher:
    """Runs jobs as Hydra would, but for the training: accuracies are given.

    Args:
        results: The folder.
        gains: Strategy to what it gains over a seed's own level, or a function of the seed; None
            refuses the job.
    """

    def __init__(self, results, gains):
        self.results = results
        self.gains = gains
        self.launched = []

    def run(self, jobs, design, sweep="0", most=99):
        folder = self.results / ".sweeps" / sweep
        stages = Stages(jobs, design, folder)
        number = 0
        while batch := stages.next():
            self.launched.append([word for words in batch for word in [self.short(words)]])
            for words in batch:
                self.job(folder / str(number), words)
                number += 1
            if (most := most - 1) == 0:
                return None  # killed
        return json.loads((folder / "decisions.json").read_text())["arms"]

    @staticmethod
    def short(words):
        chosen = {key: value for key, _, value in (word.partition("=") for word in words)}
        seeds = json.loads(chosen["seeds"])
        name = chosen.get("strategy", chosen.get("selection")) + chosen.get("budget.batch_size", "")
        return f"{name} {seeds[0]}-{seeds[-1]}"

    def job(self, folder, words):
        chosen = {key: value for key, _, value in (word.partition("=") for word in words)}
        name = chosen.get("strategy") or chosen["selection"]
        gain = self.gains[name]
        if gain is None:
            sweeps.write_job(folder, words, {}, "budget.total is too much.")
            return
        run_id = name + chosen.get("budget.batch_size", "")
        identity = replace(
            IDENTITY,
            run_id=run_id,
            strategy=name,
            strategy_label=name,
        )
        seeds = json.loads(chosen["seeds"])
        sweeps.write_job(folder, words, {identity.folder: seeds})
        for seed in seeds:
            by = gain(seed) if callable(gain) else gain
            columns = sampled if "selection" in chosen else (lambda _: {})
            self.trial(TrialPaths(self.results / identity.folder, seed), identity, by, columns)

    @staticmethod
    def trial(paths, identity, by, columns):
        for folder in paths.folders:
            folder.mkdir(parents=True, exist_ok=True)
        status = {**identity.columns, "status": "failed" if by is None else "done"}
        paths.manifest.write_text(json.dumps(status))
        if by is None:
            return
        levels = [0.5 + 0.001 * (paths.seed % 7) + 0.1 * round for round in range(ROUNDS)]
        gains = [0.0, *[by * (1 + paths.seed % 3)] * (ROUNDS - 1)]
        same = {**identity.columns, **ENGINE, "seed": paths.seed}
        rows = [
            {**same, **row_of(round, test_accuracy=level + gain), **columns(round)}
            for round, (level, gain) in enumerate(zip(levels, gains, strict=True))
        ]
        paths.curve.write_bytes(parquet.encode(table(rows, CURVE), {}))


def sampled(round):
    """Columns of active sampling: its training points are as many all the time."""
    return {
        "setting": "sampling",
        "num_labeled": 900,
        "num_queried": 900,
        "total_steps": 10 * round,
    }


@pytest.fixture(autouse=True)
def few_flips(monkeypatch):
    """Ten seeds exactly, of more a thousand flips: the test itself is tested elsewhere."""
    monkeypatch.setattr(sequential, "EXACT_SEEDS", 10)
    monkeypatch.setattr(sequential, "PATHS", 1_000)


@pytest.fixture
def launcher(tmp_path):
    return lambda **gains: Launcher(tmp_path / "results", gains)


def jobs(*strategies, more=()):
    return [[f"strategy={name}", *more, "seeds=until_decided"] for name in strategies]


DESIGN = Design("random")


def noise(seed):
    return 0.01 * (-1) ** seed


@pytest.mark.slow
def test_decided_arms_get_no_more_seeds_and_the_baseline_as_long_as_one_is_open(launcher, capsys):
    made = launcher(random=0.0, good=0.02, bad=-0.02, same=noise)
    decided = made.run(jobs("random", "good", "bad", "same"), DESIGN)
    assert made.launched == [
        ["random 0-4", "good 0-4", "bad 0-4", "same 0-4"],
        ["random 5-9", "good 5-9", "bad 5-9", "same 5-9"],
        ["random 10-14", "same 10-14"],
        ["random 15-19", "same 15-19"],
    ]
    verdicts = {entry["arm"]: (entry["verdict"], entry["seeds"]) for entry in decided}
    assert verdicts == {"good": ("better", 10), "bad": ("worse", 10), "same": (None, 20)}
    out = capsys.readouterr().out
    assert "looks after 5, 10, 15, 20 seeds. With fewer than 9 seeds one of 3 arms cannot" in out
    assert "so the first decisions can fall after 10." in out
    assert "Look 2 of 4, after 10 seeds" in out
    assert "good is better than random, 10 seeds." in out
    assert "same is not decided, 20 seeds." in out
    assert "at 5 % over all looks and arms" in out


@pytest.mark.slow
def test_selections_are_arms_and_their_areas_are_over_steps(launcher, capsys):
    made = launcher(uniform=0.0, rho_loss=0.02)
    words = [
        [f"selection={name}", "seeds=until_decided", *more]
        for name, *more in (["uniform"], ["rho_loss", "selection.rule.beta=4"])
    ]
    [decided] = made.run(words, Design("uniform"))
    assert (decided["arm"], decided["verdict"], decided["seeds"]) == (
        "rho_loss, rule.beta=4",
        "better",
        10,
    )
    assert "rho_loss, rule.beta=4 is better than uniform, 10 seeds." in capsys.readouterr().out


@pytest.mark.slow
def test_a_comparison_afterwards_tells_of_the_rule(launcher, capsys):
    made = launcher(random=0.0, good=0.02, same=noise)
    made.run(jobs("random", "good", "same"), DESIGN)
    capsys.readouterr()
    runs = made.results / IDENTITY.dataset
    for where in (made.results, runs, runs / IDENTITY.model):
        assert cli.main(["compare", str(where)]) == 0
        out = capsys.readouterr().out
        assert "looks after 5, 10, 15, 20: good better (10 seeds), same not decided (20 seed" in out


def test_records_of_decisions_that_make_no_sense_are_named_and_left_out(tmp_path):
    folder = tmp_path / ".sweeps"
    for name, text in (("0", "[]"), ("1", '{"arms": 3}'), ("2", '{"arms": [3, {}]}'), ("3", "{")):
        (folder / name).mkdir(parents=True)
        (folder / name / sweeps.DECISIONS).write_text(text)
    with pytest.warns(UserWarning, match=r"\d/decisions\.json is left out: ") as told:
        assert sweeps.read_decisions([tmp_path]) == []
    assert len(told) == 4
    for name in "0123":
        (folder / name / sweeps.DECISIONS).unlink()
    entry = {"arm": "bald", "baseline": "random", "run_id": "1", "seeds": 5}
    for name in "45":
        (folder / name).mkdir()
    sweeps.write_decisions(folder / "4", [5], [entry | {"verdict": None}])
    sweeps.write_decisions(folder / "5", [5, 10], [entry | {"verdict": "better"}])
    (found,) = sweeps.read_decisions([tmp_path, tmp_path / "digits"])
    assert found == entry | {"verdict": "better", "looks": [5, 10]}


@pytest.mark.slow
def test_it_ends_with_the_last_open_arm(launcher):
    made = launcher(random=0.0, good=0.02)
    made.run(jobs("random", "good"), DESIGN)
    assert [stage[0] for stage in made.launched] == ["random 0-4", "random 5-9"]


@pytest.mark.slow
def test_the_same_command_goes_on_where_it_was_stopped(launcher):
    made = launcher(random=0.0, good=0.02, same=noise)
    assert made.run(jobs("random", "good", "same"), DESIGN, most=3) is None
    made.launched.clear()
    again = made.run(jobs("random", "good", "same"), DESIGN, sweep="1")
    # Only the first stage is looked through again, to learn which runs these are.
    assert [stage[0] for stage in made.launched] == ["random 0-4", "random 15-19"]
    assert made.launched[1] == ["random 15-19", "same 15-19"]
    once = launcher(random=0.0, good=0.02, same=noise)
    once.results = made.results.with_name("once")
    assert once.run(jobs("random", "good", "same"), DESIGN) == again


@pytest.mark.slow
def test_arms_are_compared_where_the_other_keys_are_equal(launcher, capsys):
    made = launcher(random=0.0, good=0.02)
    words = [
        *jobs("random", "good", more=["budget.batch_size=1"]),
        *jobs("random", "good", more=["budget.batch_size=5"]),
    ]
    decided = made.run(words, DESIGN)
    assert [entry["run_id"] for entry in decided] == ["good1", "good5"]
    assert {entry["verdict"] for entry in decided} == {"better"}
    assert "Look 1 of 4, after 5 seeds · budget.batch_size=5" in capsys.readouterr().out


@pytest.mark.slow
def test_what_is_refused_or_fails_stops_no_other_arm(launcher, capsys):
    made = launcher(
        random=0.0,
        good=lambda seed: None if seed == 2 else 0.02,
        refused=None,
        failing=lambda seed: None,
    )
    decided = made.run(jobs("random", "good", "refused", "failing"), DESIGN)
    verdicts = {entry["arm"]: (entry["verdict"], entry["seeds"]) for entry in decided}
    assert verdicts == {"good": ("better", 9), "refused": (None, 0), "failing": (None, 0)}
    assert made.launched[1] == ["random 5-9", "good 5-9"]
    out = capsys.readouterr().out
    assert "refused is not decided, 0 seeds: budget.total is too much." in out
    assert "failing is not decided, 0 seeds: no seed of 0 to 4 is done." in out


@pytest.mark.slow
def test_curves_without_an_area_end_it(launcher, capsys, monkeypatch):
    made = launcher(random=0.0, good=0.02)
    monkeypatch.setitem(globals(), "ROUNDS", 1)
    made.run(jobs("random", "good"), DESIGN)
    assert len(made.launched) == 1
    assert "0 seeds: no seed of it makes a pair with random." in capsys.readouterr().out


def test_without_a_baseline_that_runs_it_ends_after_the_first_stage(launcher, capsys):
    made = launcher(random=None, good=0.02)
    made.run(jobs("random", "good"), DESIGN)
    assert len(made.launched) == 1
    said = "good is not decided, 0 seeds: random: budget.total is too much."
    assert said in capsys.readouterr().out


@pytest.mark.slow
def test_every_stage_is_in_the_plan_once_it_is_known(launcher):
    made = launcher(random=0.0, good=0.02)
    made.run(jobs("random", "good"), DESIGN)
    planned = sweeps.read_plan(made.results / ".sweeps" / "0")
    assert [job.overrides for job in planned] == [
        ("strategy=random", "seeds=[0,1,2,3,4]"),
        ("strategy=good", "seeds=[0,1,2,3,4]"),
        ("strategy=random", "seeds=[5,6,7,8,9]"),
        ("strategy=good", "seeds=[5,6,7,8,9]"),
    ]


def test_arms_are_named_by_what_differs(launcher, tmp_path):
    words = [
        ["strategy=random", "strategy@init_strategy=typiclust"],
        ["strategy=bald", "strategy/rule=power", "strategy@init_strategy=typiclust"],
        ["strategy=bald", "strategy/rule=top", "strategy@init_strategy=typiclust"],
    ]
    stages = Stages(words, DESIGN, tmp_path / "results" / ".sweeps" / "0")
    (group,) = stages._groups
    assert [arm.name for arm in group.others] == ["bald, rule=power", "bald, rule=top"]


def test_a_dry_run_is_one_stage_of_all_seeds(tmp_path, capsys):
    stages = Stages(jobs("random", "bald"), DESIGN, tmp_path / ".sweeps" / "0", dry_run=True)
    assert stages.next() == [["strategy=random", "seeds=20"], ["strategy=bald", "seeds=20"]]
    assert stages.next() == []
    assert "looks after 5, 10, 15, 20 seeds" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "design", "message"),
    [
        (jobs("bald", "entropy"), {}, "baseline=random is not among the strategies"),
        (jobs("randm", "entropy"), {}, "baseline=random is not .* Did you mean 'randm'"),
        ([["budget.batch_size=1"], ["budget.batch_size=5"]], {}, "strategy=random,bald"),
        (jobs("random"), {}, "There is no arm beside baseline=random"),
        (jobs("random", "bald"), {"max_seeds": 5}, "max_seeds=5 can decide nothing"),
        (
            [*jobs("random", "bald", more=["a=1"]), *jobs("bald", more=["a=2"])],
            {},
            "not among the strategies of the sweep with a=2",
        ),
    ],
)
def test_a_sweep_that_cannot_be_decided_is_refused(words, design, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        Stages(words, Design("random", **design), tmp_path / ".sweeps" / "0")


def test_numbers_of_looks_are_checked():
    assert Design("random", 12, 5).looks == [5, 10, 12]
    assert Design("random", 10, 5).looks == [5, 10]
    for wrong, message in (
        ({"max_seeds": 0}, "max_seeds must be a whole number from 1"),
        ({"look_every": -1}, "look_every must be a whole number from 1"),
        ({"max_seeds": 10, "look_every": 11}, "look_every=11 is more than max_seeds=10"),
    ):
        with pytest.raises(ConfigError, match=message):
            Design("random", **wrong)
