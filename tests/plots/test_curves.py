"""Learning curves draw means and intervals of the rows that they are given."""

import sys

import numpy as np
import pandas as pd
import pytest

from al_bench.plots.curves import draw
from al_bench.plots.figures import Options


def only(figures):
    assert len(figures) == 1
    return next(iter(figures.values()))


def lines(axes):
    """Curve by strategy: (label counts, values), gaps as NaN."""
    return {
        line.get_label(): (np.asarray(line.get_xdata()), np.asarray(line.get_ydata()))
        for line in axes.get_lines()
    }


def legend_texts(figure):
    return [text.get_text().replace("\n", " ") for text in figure.legends[0].get_texts()]


@pytest.fixture
def two_strategies(make_frame):
    return pd.concat([make_frame("random", range(3), range(3)), make_frame("bald", [0], range(3))])


@pytest.mark.slow
def test_a_curve_shows_the_mean_in_percent_over_labels(two_strategies):
    axes = only(draw(two_strategies, Options())).axes[0]
    x, y = lines(axes)["random"]
    assert x.tolist() == [10, 20, 30]
    assert y.tolist() == pytest.approx([51, 61, 71])
    assert axes.get_xlabel() == "Number of labels"
    assert axes.get_ylabel() == "Test accuracy (%)"
    assert axes.get_title() == "digits · full · mc_dropout · small"


@pytest.mark.slow
def test_the_legend_counts_the_seeds(two_strategies):
    assert legend_texts(only(draw(two_strategies, Options()))) == ["random (n = 3)", "bald (n = 1)"]


@pytest.mark.slow
def test_bands_span_the_interval_over_seeds(two_strategies):
    axes = only(draw(two_strategies, Options())).axes[0]
    drawn = [band.get_paths()[0].vertices[:, 1] for band in axes.collections if band.get_paths()]
    band = drawn[0]
    half = 4.302653 / 3**0.5
    assert (band.min(), band.max()) == pytest.approx((51 - half, 71 + half))


@pytest.mark.slow
def test_a_curve_stops_where_a_round_is_missing_for_all_seeds(make_frame):
    frame = make_frame("random", range(3), [0, 1, 3, 5, 6])
    with pytest.warns(UserWarning, match="rounds 2, 4 missing for every seed"):
        axes = only(draw(frame, Options())).axes[0]
    x, y = lines(axes)["random"]
    np.testing.assert_array_equal(x, [10, 20, np.nan, 40, np.nan, 60, 70])
    np.testing.assert_array_equal(np.isnan(y), np.isnan(x))
    # A point without neighbours is marked, and its interval is a line.
    assert 3 in axes.get_lines()[0].get_markevery()
    [segment] = axes.collections[-1].get_segments()
    assert segment[:, 0].tolist() == [40, 40]
    assert segment[0, 1] < 81 < segment[1, 1]


@pytest.mark.slow
def test_seeds_that_differ_in_length_are_counted_in_the_legend(make_frame):
    frame = make_frame("random", range(4), range(4))
    frame = frame[(frame["seed"] != 2) | (frame["round"] < 2)]
    with pytest.warns(UserWarning, match="nothing from seed 2 at 30, 40 labels"):
        figure = only(draw(frame, Options()))
    assert legend_texts(figure) == ["random (n = 3 to 4)"]


@pytest.mark.slow
def test_the_order_of_rows_changes_nothing(two_strategies):
    shuffled = two_strategies.sample(frac=1, random_state=0)
    before, after = only(draw(two_strategies, Options())), only(draw(shuffled, Options()))
    assert legend_texts(before) == legend_texts(after)
    for label, curve in lines(before.axes[0]).items():
        np.testing.assert_array_equal(lines(after.axes[0])[label], curve)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4, 5])
def test_every_protocol_has_a_panel_of_its_own(make_frame, count):
    names = [{"protocol_id": f"p{n}", "pool": f"pool{n}"} for n in range(count)]
    frame = pd.concat([make_frame("random", [0, 1], range(2), **name) for name in names])
    figure = only(draw(frame, Options()))
    titles = [axes.get_title().replace("\n", " · ") for axes in figure.axes]
    assert titles == [f"digits · pool{n} · mc_dropout · small" for n in range(count)]
    assert legend_texts(figure) == ["random (n = 2)"]


@pytest.mark.slow
def test_panels_of_one_data_set_share_their_y_axis(make_frame):
    def low(seed, round):
        return 0.1 + 0.01 * round

    frame = pd.concat(
        [
            make_frame("random", [0, 1], range(2), protocol_id="a", pool="one"),
            make_frame("random", [0, 1], range(2), low, protocol_id="b", pool="two"),
            make_frame("random", [0, 1], range(2), low, protocol_id="c", dataset="mnist"),
        ]
    )
    first, second, other = (axes.get_ylim() for axes in only(draw(frame, Options())).axes)
    assert first == second
    assert first[0] < 10 < 61 < first[1]
    assert other[1] < 15


@pytest.mark.slow
def test_many_panels_go_to_several_figures(make_frame):
    names = [{"protocol_id": f"p{n:02}", "pool": f"pool{n:02}"} for n in range(14)]
    frame = pd.concat([make_frame("random", [0], range(2), **name) for name in names])
    figures = draw(frame, Options())
    assert list(figures) == ["curves_test_accuracy", "curves_test_accuracy_2"]
    assert [len(figure.axes) for figure in figures.values()] == [12, 2]


@pytest.mark.slow
def test_a_strategy_looks_the_same_in_every_panel_and_figure(make_frame):
    frame = pd.concat(
        [
            make_frame("bald", [0], range(2), protocol_id="a", pool="one"),
            make_frame("mine", [0], range(2), protocol_id="a", pool="one"),
            make_frame("mine", [0], range(2), protocol_id="b", pool="two"),
        ]
    ).assign(test_nll=1.0)
    looks = {
        (line.get_color(), line.get_marker())
        for metric in ("test_accuracy", "test_nll")
        for axes in only(draw(frame, Options(metric))).axes
        for line in axes.get_lines()
        if line.get_label() == "mine"
    }
    assert len(looks) == 1


def test_two_seeds_far_apart_do_not_flatten_the_means(make_frame):
    frame = make_frame("random", [0, 1], range(3), lambda s, r: 0.5 + 0.02 * r + 0.2 * s)
    low, high = only(draw(frame, Options())).axes[0].get_ylim()
    assert low > 50
    assert high < 75


@pytest.mark.slow
def test_the_wide_bands_of_two_seeds_are_pale(make_frame):
    opacity = {}
    for seeds in (2, 3):
        axes = only(draw(make_frame("random", range(seeds), range(3)), Options())).axes[0]
        opacity[seeds] = max(band.get_alpha() for band in axes.collections if band.get_paths())
    assert opacity[2] < 0.1 < opacity[3]


def test_the_y_axis_ends_where_accuracy_does(make_frame):
    frame = make_frame("random", [0, 1, 2], range(3), lambda s, r: [0.2, 0.9, 1.0][r])
    assert 100 < only(draw(frame, Options())).axes[0].get_ylim()[1] < 103


def test_equal_values_have_an_axis_all_the_same(make_frame):
    frame = make_frame("random", [0, 1], range(3), lambda s, r: 0.0)
    low, high = only(draw(frame, Options())).axes[0].get_ylim()
    assert low < 0 < high


def test_a_single_round_is_a_point_with_its_interval(make_frame):
    axes = only(draw(make_frame("random", range(3), [0]), Options())).axes[0]
    assert len(axes.collections[-1].get_segments()) == 1


@pytest.mark.slow
def test_points_that_no_line_joins_show_their_whole_intervals(make_frame):
    values = [0.30, 0.50, 0.70]
    frame = make_frame("random", range(3), [0], lambda seed, _: values[seed])
    axes = only(draw(frame, Options())).axes[0]
    half = 4.302653 * 20 / np.sqrt(3)  # Student's t of two degrees of freedom, in points
    low, high = axes.get_ylim()
    assert low < max(50 - half, 0.0) < min(50 + half, 100.0) < high
    many = make_frame("random", range(3), range(3), lambda seed, _: values[seed])
    low, high = only(draw(many, Options())).axes[0].get_ylim()
    assert 50 - half < low < high < 50 + half


@pytest.mark.slow
def test_long_labels_fit_into_one_column(make_frame, tmp_path):
    labels = ["bald(rule=power, beta=4)", "batchbald(num_samples=20, joint=sampled)", "random"]
    frame = pd.concat([make_frame(label, [0, 1], range(2)) for label in labels])
    figure = only(draw(frame, Options()))
    figure.savefig(tmp_path / "figure.png")
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1
    assert box.y0 >= 0


def test_drawing_leaves_pyplot_alone(two_strategies):
    draw(two_strategies, Options())
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()
