"""Figures, tables and pages of active sampling, beside labels that were bought or alone."""

import html
import re

import fake_sampling
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from al_bench import cli
from al_bench.plots import figures
from al_bench.plots.figures import Options

SPEEDS = {"uniform": 1.0, "rho_loss": 2.0}


@pytest.fixture(scope="module")
def frame():
    """Two protocols, so that there are ranks."""
    parts = [
        fake_sampling.arms(range(2), SPEEDS, rounds=6, protocol=key, dataset=name)
        for key, name in (("p0", "digits"), ("p1", "mnist"))
    ]
    rows = pd.concat(parts, ignore_index=True)
    for name, values in (("count", [0, 60]), ("confidence", [0.0, 0.9]), ("accuracy", [0.0, 0.8])):
        rows[f"test_calibration_{name}"] = [values] * len(rows)
    return rows.assign(test_ece=0.1, test_nll=1 - rows["test_accuracy"])


@pytest.fixture(scope="module")
def results(frame, tmp_path_factory):
    return fake_sampling.store(frame, tmp_path_factory.mktemp("sampling") / "results")


def draw(name, rows, **options):
    reasons = []
    told = Options(baseline="uniform", explain=reasons.append, **options)
    return figures.find(name)(rows, told), reasons


def texts(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(figures.available()))
def test_every_figure_speaks_of_steps(name, frame):
    drawn, reasons = draw(name, frame, reach=(0.4,))
    assert bool(drawn) != bool(reasons)
    of_labels_or_other_sets = ("audit", "contact_sheet", "pool_map", "uncertainty")
    assert drawn or name in of_labels_or_other_sets  # neither of which these results have
    for figure in drawn.values():
        said = texts(figure)
        assert not [text for text in said if "label" in text.replace("wrong labels", "")]
        if name in ("curves", "difference", "labels_to_target", "selected", "calibration"):
            assert "Number of steps" in said


@pytest.mark.slow
def test_selected_draws_the_shares_over_steps(frame):
    drawn, _ = draw("selected", frame[frame["protocol_id"] == "p0"])
    [figure] = drawn.values()
    panels = {axes.get_title(): axes for axes in figure.axes}
    assert list(panels) == ["wrong labels", "already predicted right", "trained on before"]
    lines = {line.get_label(): line for line in panels["wrong labels"].get_lines()}
    assert lines["uniform"].get_xdata().tolist() == [10, 20, 30, 40, 50, 60]
    assert lines["uniform"].get_ydata().tolist() == pytest.approx([10.05] * 6)  # mean of two seeds
    assert lines["rho_loss"].get_ydata().tolist() == pytest.approx([2.05] * 6)
    seen = {line.get_label(): line for line in panels["trained on before"].get_lines()}
    expected = [100 * (1 - 0.9**round) for round in range(1, 7)]
    assert seen["rho_loss"].get_ydata().tolist() == pytest.approx(expected)
    assert figure.get_axes()[0].get_ylabel() == "Points chosen (%)"


@pytest.mark.slow
def test_points_out_of_place_are_drawn_where_there_are_any(frame):
    rows = frame[frame["protocol_id"] == "p0"]
    rows = rows.assign(selected_outside=rows["selected_wrong"])
    [figure] = draw("selected", rows)[0].values()
    assert [axes.get_title() for axes in figure.axes][2] == "out of place"


def test_where_labels_were_bought_nothing_was_selected(make_frame):
    drawn, [reason] = draw("selected", make_frame("random", [0], range(3)))
    assert not drawn
    assert "what steps were taken on" in reason


def test_uniform_is_as_grey_as_random():
    from al_bench.plots import style

    grey = style.assign(["random", "bald"])["random"]
    looks = style.assign(["uniform", "loss", "uniform · small_cnn", "uniformity"])
    assert looks["uniform"] == grey
    assert looks["uniform · small_cnn"].color == grey.color
    assert looks["uniformity"].color != grey.color
    assert style.order(["loss", "entropy", "uniform"]) == ["uniform", "entropy", "loss"]


@pytest.mark.slow
def test_compare_says_steps_and_speed_ups(results, capsys):
    assert cli.main(["compare", str(results / "digits"), "reach=0.4"]) == 0
    out = re.sub(r"\s+", " ", capsys.readouterr().out)
    for words in ("less uniform", "0 to 60 steps", "steps saved", "steps to 40 %",
                  "Speed-up over uniform", "as published", "in time"):  # fmt: skip
        assert words in out
    assert "label" not in out


@pytest.mark.slow
def test_published_tables_have_steps_saved_and_the_speed_up(results, capsys):
    assert cli.main(["compare", str(results / "digits"), "format=markdown"]) == 0
    head, _, base, rho = capsys.readouterr().out.strip().splitlines()[2:]
    cells = [cell.strip() for cell in head.split("|")[1:-1]]
    assert cells[-2:] == ["steps saved", "speed-up"]
    assert base.count("|") == rho.count("|") == len(cells) + 1
    assert re.search(r"\| \d\.\d\d \[\d\.\d\d, \d\.\d\d\] \|$", rho)
    assert cli.main(["compare", str(results / "digits"), "format=latex"]) == 0
    assert r"\begin{tabular}{lrrrrrlrr}" in capsys.readouterr().out


@pytest.mark.slow
def test_plot_counts_steps_in_its_tables_and_errors(results, capsys, tmp_path):
    words = ["plot", str(results / "digits"), f"out={tmp_path}", "format=png", "at=30"]
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    for text in ("selection", "0 to 60", "at 30 steps"):
        assert text in out
    assert cli.main([*words[:-1], "at=33"]) == 2
    assert "No curve has a round at 33 steps. The nearest are 30 and 40." in capsys.readouterr().err


@pytest.mark.slow
def test_the_two_kinds_are_drawn_apart(frame, make_frame, tmp_path, capsys):
    bought = make_frame("random", [0, 1], range(3), protocol_id="l0")
    rows = pd.concat([bought, frame[frame["protocol_id"] == "p0"]], ignore_index=True)
    folder = fake_sampling.store(rows, tmp_path / "results")
    out = tmp_path / "plots"
    words = ["plot", str(folder), f"out={out}", "format=png", "figure=curves,difference"]
    assert cli.main(words) == 0
    assert {path.stem for path in out.iterdir()} == {
        "curves_test_accuracy",
        "curves_test_accuracy_steps",
        "difference_test_accuracy_steps",
    }
    printed = capsys.readouterr().out
    assert "labels to 90 %" not in printed
    assert ("strategy" in printed, "selection" in printed) == (True, True)
    chosen = ["metric=selected_wrong", "figure=curves", f"out={tmp_path / 'more'}"]
    assert cli.main([*words[:2], "format=png", *chosen]) == 0
    assert [path.stem for path in (tmp_path / "more").iterdir()] == ["curves_selected_wrong_steps"]


def report(folder, out):
    assert cli.main(["report", str(folder), f"out={out}", "reach=0.4"]) == 0
    page = re.sub(r"<style>.*?</style>", "", out.read_text(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


@pytest.mark.slow
def test_the_report_of_sampling_speaks_of_steps(results, tmp_path):
    said = report(results, tmp_path / "report.html")
    for words in (
        "Active sampling: selections compared",
        "on average from 0 to 60 steps",
        "steps saved",
        "Its speed-up to uniform's best value is",
        "as published",
        "training points 1007",
        "holdout points 500",
        "Steps it takes to reach given values",
        "What the steps were taken on",
        "seeds share splits, the candidates of each step and initial weights.",
    ):
        assert words in said
    assert "label" not in said
    assert "initial set" not in said


@pytest.mark.slow
def test_the_report_of_both_kinds_has_words_for_each(frame, make_frame, tmp_path):
    bought = [
        make_frame(name, [0, 1], range(3), lambda s, r, x=x: 0.3 + x * r, protocol_id="l0")
        for name, x in (("random", 0.1), ("bald", 0.2))
    ]
    rows = pd.concat([*bought, frame[frame["protocol_id"] == "p0"]], ignore_index=True)
    said = report(fake_sampling.store(rows, tmp_path / "results"), tmp_path / "report.html")
    assert "labels saved" in said
    assert "steps saved" in said
    assert "Active learning: strategies compared, and active sampling" in said


@pytest.mark.slow
def test_an_arm_that_never_gets_there_is_told_so(frame):
    from al_bench.report.words import verdicts
    from al_bench.stats.comparison import compare

    rows = frame[frame["protocol_id"] == "p0"]
    slow = rows[rows["strategy"] == "uniform"].assign(
        strategy="loss", strategy_label="loss", run_id="p0-loss"
    )
    slow["test_accuracy"] = np.minimum(slow["test_accuracy"], 0.3)
    result = compare(pd.concat([rows, slow], ignore_index=True))
    said = verdicts(result.protocols[0], result.measure)[-1]
    assert said.endswith("On 2 of 2 seeds it never has uniform's best value.")
