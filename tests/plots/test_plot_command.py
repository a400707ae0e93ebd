"""al-bench plot writes the figures that are asked for, and refuses others in one line."""

import os
import subprocess
import sys

import pandas as pd
import pytest

from al_bench import cli
from al_bench.commands import plot as command
from al_bench.commands.plot import plot
from al_bench.errors import AlBenchError, ConfigError, ResultsError

PNG = "format=png"  # the quickest to write


@pytest.fixture
def results(make_frame, store):
    return store(
        pd.concat([make_frame("random", range(3), range(5)), make_frame("bald", [0], range(5))])
    )


def refusal(*arguments, kind=ConfigError):
    with pytest.raises(kind) as caught:
        plot([str(argument) for argument in arguments])
    return str(caught.value)


def test_figures_are_written_and_named_and_the_numbers_printed(results, capsys):
    assert plot([str(results)]) == 0
    printed = capsys.readouterr()
    paths = [results / "plots" / f"curves_test_accuracy.{ending}" for ending in ("png", "pdf")]
    assert printed.out.splitlines()[:2] == [str(path) for path in paths]
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    assert paths[1].read_bytes().startswith(b"%PDF")
    rows = [line.split("│") for line in printed.out.splitlines() if "│" in line]
    cells = [[cell.strip() for cell in row[1:-1]] for row in rows]
    # means of 0.90, 0.91 and 0.92, with 4.303 standard errors of 0.01 / sqrt(3) to either side
    assert ["random", "3", "10 to 50", "91.00 ± 2.48", "71.00 ± 2.48", "50"] in cells
    assert ["bald", "1", "10 to 50", "90.00", "70.00", "50"] in cells
    assert "digits · full · mc_dropout · small: Test accuracy (%)" in printed.out
    assert printed.err == (
        "warning: the strategies have different seeds (bald: 0; random: 0, 1, 2): means are not "
        "over the same ones; al-bench compare pairs them.\n"
    )


@pytest.mark.slow
def test_a_damaged_curve_among_good_ones_is_named_and_skipped(results, caplog):
    curve = sorted(results.rglob("seed=1.parquet"))[0]
    curve.write_bytes(curve.read_bytes()[:50])
    assert cli.main(["plot", str(results), PNG]) == 0
    assert str(curve) in caplog.text


@pytest.mark.slow
def test_nothing_is_said_of_equal_seeds(make_frame, store, capsys):
    frame = pd.concat([make_frame(label, [0, 3], range(2)) for label in ("random", "bald")])
    plot([str(store(frame)), PNG])
    assert capsys.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.parametrize("part", ["", "curves", "curves/seed=1.parquet"])
def test_figures_of_a_single_run_are_not_put_into_its_folder(
    results, tmp_path, monkeypatch, part, capsys
):
    [run] = results.rglob("p0-random")
    before = sorted(run.rglob("*"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    plot([str(run / part), PNG])
    assert sorted(run.rglob("*")) == before
    assert (tmp_path / "here" / "plots" / "curves_test_accuracy.png").exists()


@pytest.mark.slow
def test_a_control_that_sees_labels_is_marked_in_figure_and_table(make_frame, store, capsys):
    controls = make_frame("oracle", [0, 1], range(3))
    controls["label_access"] = True
    random = make_frame("random", [0, 1], range(3)).assign(label_access=False)
    results = store(pd.concat([controls, random]))
    plot([str(results), "format=svg"])
    printed = capsys.readouterr()
    assert "oracle (sees labels)" in printed.out
    assert "random (sees labels)" not in printed.out
    drawn = (results / "plots" / "curves_test_accuracy.svg").read_text()
    assert "oracle (sees labels)" in drawn
    assert printed.err == ""


@pytest.mark.slow
def test_at_prints_medians_and_quartiles_over_seeds(make_frame, store, capsys):
    values = {0: 0.5, 1: 0.6, 2: 0.8}
    frame = make_frame("random", range(3), range(3), lambda s, r: values[s])
    late = make_frame("bald", range(3), range(3))
    results = store(pd.concat([frame, late[(late["seed"] == 0) | (late["round"] < 2)]]))
    plot([str(results), "at=[10,30]", PNG])
    rows = [line.split("│") for line in capsys.readouterr().out.splitlines() if "│" in line]
    cells = [[cell.strip() for cell in row[1:-1]] for row in rows]
    assert ["random", "3", "60.00 [55.00, 70.00]", "60.00 [55.00, 70.00]"] in cells
    assert ["bald", "3", "51.00 [50.50, 51.50]", "70.00 [70.00, 70.00] (1 of 3)"] in cells


@pytest.mark.slow
def test_at_refuses_a_count_that_nobody_has(results):
    message = refusal(results, "at=33")
    assert message == "No curve has a round at 33 labels. The nearest are 30 and 40."
    assert "at must be a whole number" in refusal(results, "at=many")


def test_results_in_the_current_folder_are_drawn_by_default(results, monkeypatch, capsys):
    monkeypatch.chdir(results.parent)
    assert plot([PNG]) == 0
    assert capsys.readouterr().out.startswith(os.path.join("results", "plots"))
    assert (results / "plots" / "curves_test_accuracy.png").exists()


@pytest.mark.slow
def test_several_folders_are_drawn_together(make_frame, store, tmp_path, capsys):
    first = store(make_frame("random", range(2), range(2)), "first")
    second = store(make_frame("bald", range(2), range(2)), "second")
    assert plot([str(first), str(second), f"out={tmp_path / 'figures'}", PNG]) == 0
    assert (tmp_path / "figures" / "curves_test_accuracy.png").exists()
    assert not (first / "plots").exists()
    out = capsys.readouterr().out
    assert "random" in out
    assert "bald" in out


@pytest.mark.slow
@pytest.mark.parametrize(
    "ending", ["pdf", *(pytest.param(one, marks=pytest.mark.slow) for one in ("svg", "png"))]
)
def test_drawing_again_gives_the_same_file(results, ending, capsys):
    contents = []
    for _ in range(2):
        plot([str(results), f"format={ending}"])
        [path] = (results / "plots").iterdir()
        contents.append(path.read_bytes())
    assert path.name == f"curves_test_accuracy.{ending}"
    assert contents[0] == contents[1]


@pytest.mark.slow
def test_several_metrics_are_drawn_and_a_loss_is_best_when_low(make_frame, store, capsys):
    frame = pd.concat(
        [
            make_frame("random", [0, 1], range(2)).assign(test_nll=0.5),
            make_frame("bald", [0, 1], range(2)).assign(test_nll=0.25),
        ]
    )
    results = store(frame)
    assert plot([str(results), "metric=test_nll,test_accuracy", "figure=curves", PNG]) == 0
    out = capsys.readouterr().out
    assert len(list((results / "plots").iterdir())) == 2
    numbers = out[out.index("Test NLL (nats)") : out.index("Test accuracy")]
    assert numbers.index("bald") < numbers.index("random")
    assert "0.250 ± 0.000" in numbers


@pytest.mark.slow
def test_reach_says_which_labels_are_looked_for(results, capsys):
    plot([str(results), "reach=0.7,0.915", PNG])
    out = capsys.readouterr().out
    assert "labels to 70 %" in out
    assert "labels to 91.5 %" in out
    assert "more (2 of 3 never)" in out
    assert "never" in out


@pytest.mark.slow
def test_missing_rounds_are_named_once_whatever_is_drawn(make_frame, store, capsys):
    frame = make_frame("random", range(3), range(4)).assign(test_nll=0.5)
    results = store(frame[(frame["seed"] != 1) | (frame["round"] < 2)])
    plot([str(results), "metric=test_accuracy,test_nll", PNG])
    assert capsys.readouterr().err.splitlines() == [
        "warning: random: nothing from seed 1 at 30, 40 labels, where other seeds are."
    ]


@pytest.mark.slow
def test_a_damaged_file_is_named_and_the_rest_drawn(results, caplog, capsys):
    [victim] = results.rglob("p0-random/curves/seed=1.parquet")
    victim.write_bytes(victim.read_bytes()[:100])
    assert plot([str(results), PNG]) == 0
    assert str(victim) in caplog.text
    assert "random" in capsys.readouterr().out


@pytest.mark.slow
def test_an_unknown_metric_names_its_neighbours(results):
    assert refusal(results, "metric=test_acuracy").endswith("Did you mean 'test_accuracy'?")


@pytest.mark.slow
def test_a_metric_that_these_results_lack_is_refused_before_anything_is_written(results):
    message = refusal(results, "metric=test_accuracy,seconds_fit")
    assert message == (
        "These results have no values of a metric 'seconds_fit'. Valid: num_queried, "
        "num_validation, steps, test_accuracy."
    )
    assert not (results / "plots").exists()


def test_an_unknown_figure_or_key_names_its_neighbours(results):
    assert refusal(results, "figure=curve").endswith("Did you mean 'curves'?")
    assert "Valid: all, audit, " in refusal(results, "figure=foo")
    assert refusal(results, "metrics=test_nll").endswith("Did you mean 'metric'?")
    assert "there is no module 'no'" in refusal(results, "figure=no.such.module")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reach=90"], "reach must lie between 0 and 1 for test_accuracy, got 90."),
        (["metric=steps", "reach=10"], "steps is neither to be raised nor lowered"),
    ],
)
def test_a_threshold_that_does_not_fit_is_refused(results, arguments, message):
    assert message in refusal(results, *arguments)


def test_folders_without_results_say_what_to_type(tmp_path):
    assert "al-bench run" in refusal(tmp_path, kind=ResultsError)
    assert "al-bench run" in refusal(tmp_path / "nowhere")


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_refused(results, tmp_path):
    (tmp_path / "file").write_text("")
    for below in (tmp_path / "file", tmp_path / "file" / "below"):
        message = refusal(results, f"out={below}")
        assert message.startswith(f"out must be a folder, and {tmp_path / 'file'} is a file")
        assert message.endswith("name another folder.")
    assert "Cannot write" in refusal(results, "out=/proc/nowhere", kind=ResultsError)


@pytest.mark.slow
def test_a_figure_of_ones_own_is_a_module_with_draw(results, tmp_path, monkeypatch, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "nothing.py").write_text("def draw(frame, options):\n    return {}\n")
    (tmp_path / "mine" / "rows.py").write_text(
        "from matplotlib.figure import Figure\n"
        "def draw(frame, options):\n"
        "    figure = Figure()\n"
        "    figure.suptitle(f'{len(frame)} rows of {options.metric}')\n"
        "    options.explain('the other data set is not here.')\n"
        "    return {'rows': figure}\n"
    )
    (tmp_path / "mine" / "several.py").write_text(
        "from mine.rows import draw\n"
        "number = 3\n"
        "def wrong(frame, options):\n    return {'wrong': 3}\n"
        "def leaving(frame, options):\n    raise SystemExit\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for words in ("mine.rows,mine.nothing", "mine.several.draw,mine.nothing"):
        assert plot([str(results), f"figure={words}", PNG]) == 0
    printed = capsys.readouterr()
    assert {path.name for path in (results / "plots").iterdir()} == {"rows.png"}
    for name, said, kind in (
        ("number", "figure=mine.several.number is no figure", ConfigError),
        ("drew", "mine.several has no 'drew'. Did you mean 'mine.several.draw'?", ConfigError),
        ("wrong", "figures by file name, got a dict of int", AlBenchError),
        ("leaving", "figure=mine.several.leaving must not end the process", AlBenchError),
    ):
        assert said in refusal(results, f"figure=mine.several.{name}", kind=kind)
    assert "mine.nothing has nothing to show for test_accuracy." in printed.err
    assert "mine.rows does not show all: the other data set is not here.\n" in printed.err


@pytest.mark.slow
def test_an_interrupted_plot_names_what_is_written_and_claims_no_more(
    results, tmp_path, monkeypatch, capsys
):
    (tmp_path / "stopping").mkdir()
    (tmp_path / "stopping" / "here.py").write_text(
        "def draw(frame, options):\n    raise KeyboardInterrupt\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert cli.main(["plot", str(results), "figure=curves,stopping.here", PNG]) == 130
    out, err = capsys.readouterr()
    assert out.splitlines() == [str(results / "plots" / "curves_test_accuracy.png")]
    assert err.endswith("al-bench: stopped; figures whose names were printed are written.\n")


def test_help_lists_the_keys(capsys):
    assert plot(["--help"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("Usage: al-bench plot [results …] [key=value …]")
    for option in command.COMMAND.options:
        assert f"  {option.name}=" in page


@pytest.mark.slow
def test_plotting_needs_neither_torch_nor_pyplot(results):
    script = (
        "import sys; from al_bench.commands.plot import plot; "
        f"plot([{str(results)!r}, {PNG!r}]); "
        "print({'torch', 'matplotlib.pyplot'} & set(sys.modules))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert answer.stdout.splitlines()[-1] == "set()"


@pytest.mark.slow
def test_curves_are_drawn_by_default_and_everything_on_request(results, capsys):
    plot([str(results), "figure=all", "reach=0.8", PNG])
    printed = capsys.readouterr()
    names = {path.name.removesuffix("_test_accuracy.png") for path in (results / "plots").iterdir()}
    assert names == {"curves", "difference", "labels_to_target", "penalties"}
    reasons = [line for line in printed.err.splitlines() if "has nothing to show" in line]
    assert {line.split(" ")[0] for line in reasons} == {
        "audit", "calibration", "contact_sheet", "pool_map", "profile", "ranks", "selected", "time",
        "uncertainty",
    }  # fmt: skip
    assert all(line.endswith((".", "…")) for line in reasons)


@pytest.mark.slow
def test_any_strategy_can_be_the_baseline_but_it_must_be_there(results, capsys):
    plot([str(results), "figure=difference", "baseline=bald", PNG])
    assert (results / "plots" / "difference_test_accuracy.png").exists()
    assert refusal(results, "baseline=badl").endswith("Did you mean 'bald'?")


@pytest.mark.slow
def test_a_figure_without_a_metric_is_written_once(make_frame, store, capsys):
    frame = make_frame("random", [0, 1], range(2)).assign(test_nll=0.5, test_ece=0.1)
    for name, value in (("count", [10]), ("confidence", [0.5]), ("accuracy", [0.5])):
        frame[f"test_calibration_{name}"] = [value] * len(frame)
    plot([str(store(frame)), "figure=calibration", "metric=test_accuracy,test_nll", PNG])
    assert capsys.readouterr().out.count("calibration.png") == 1
