"""Pages of help, lists of choices and shown configurations say what is there."""

import re
import subprocess
import sys

import pytest

from al_bench.configuration.choices import KINDS, choices, costs
from al_bench.configuration.config_dir import config_dir


@pytest.mark.slow
def test_help_and_list_import_nothing_heavy():
    code = (
        "import sys; from al_bench.cli import main; main(['--help']); main(['list']);"
        "heavy = {'torch', 'pandas', 'hydra', 'matplotlib', 'numpy', 'rich'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_choice_has_an_introduction(kind):
    lines = choices(KINDS[kind], [config_dir()])
    assert lines
    assert all(said for _, said in lines), lines


AMOUNT = r"~?\d+(\.\d+)? (s|min|h|days?)"


@pytest.mark.parametrize(("name", "said"), costs([config_dir()]).items())
def test_every_preset_says_what_it_costs(name, said):
    form = rf"({AMOUNT} on|out of reach of) two cores, {AMOUNT} on an H100"
    assert re.fullmatch(form, said), f"{name}: write '# cost: 2 h on two cores, ~3 min on an H100'"


def test_list_shows_what_presets_cost_and_nothing_where_one_does_not_say(al_bench, tmp_path):
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "own.yaml").write_text("# My own figure\nseeds: 2\n")
    code, out, _ = al_bench("list", "experiments", "config_dir=mine")
    assert code == 0
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in out.splitlines()}
    cnn = "45 min on two cores, ~15 min on an H100 +al-bench run experiment=dynamical/cnn_500 "
    assert re.match(cnn, lines["dynamical/cnn_500"])
    assert lines["own"] == "My own figure"


def test_list_shows_a_users_own_choices(al_bench, tmp_path):
    (tmp_path / "mine" / "strategy").mkdir(parents=True)
    (tmp_path / "mine" / "strategy" / "own.yaml").write_text("# My own idea\n_target_: own.Own\n")
    code, out, _ = al_bench("list", "strategies", "config_dir=mine")
    assert code == 0
    assert "own" in out
    assert "My own idea" in out


@pytest.mark.parametrize("words", [["--config-dir", "mine"], ["--config-dir=mine"]])
def test_list_takes_the_flag_of_run(al_bench, tmp_path, words):
    (tmp_path / "mine" / "strategy" / "score").mkdir(parents=True)
    (tmp_path / "mine" / "strategy" / "score" / "own.yaml").write_text("# My own score\n")
    code, out, _ = al_bench("list", *words, "scores")
    assert code == 0
    assert "My own score" in out


@pytest.mark.parametrize(
    "words", [["config_dir=nope"], ["--config-dir", "nope"], ["--config-dir"], ["config_dir="]]
)
def test_list_refuses_a_folder_that_is_not_there(al_bench, words):
    code, out, err = al_bench("list", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "config_dir" in err


def test_list_knows_every_group_of_choices():
    conf = config_dir()
    groups = {path.parent.relative_to(conf).as_posix() for path in conf.rglob("*/*.yaml")}
    groups = {name for name in groups if not name.startswith(("hydra", "experiment"))}
    assert groups == set(KINDS.values()) - {"experiment"}


@pytest.mark.slow
def test_run_help_points_to_the_list(al_bench, capfd):
    with pytest.raises(SystemExit) as stopped:
        al_bench("run", "--help")
    assert stopped.value.code in (0, None)
    assert "al-bench list" in capfd.readouterr().out


def test_status_of_a_folder_that_is_not_there(al_bench):
    code, _, err = al_bench("status")
    assert code == 2
    assert "al-bench run" in err
