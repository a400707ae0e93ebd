"""What the figures beside learning curves draw."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from al_bench.plots import figures
from al_bench.plots.figures import Options
from al_bench.results import parquet, schema

TIMES = {"seconds_fit": 10.0, "seconds_score": 3.0, "seconds_select": 2.0}
BINS = {
    "test_calibration_count": [0, 40, 60],
    "test_calibration_confidence": [np.nan, 0.5, 0.9],
    "test_calibration_accuracy": [np.nan, 0.4, 0.8],
}


def draw(name, frame, **options):
    """The figures, and the reasons told where there are none."""
    reasons = []
    return figures.find(name)(frame, Options(explain=reasons.append, **options)), reasons


def only(found):
    drawn, _ = found
    assert len(drawn) == 1
    return next(iter(drawn.values()))


def lines(axes):
    return {line.get_label(): np.asarray(line.get_ydata()).tolist() for line in axes.get_lines()}


def legend_texts(figure):
    return [text.get_text().replace("\n", " ") for text in figure.legends[0].get_texts()]


@pytest.fixture
def arms(make_frame):
    """Two strategies, three seeds: entropy is 2, 4 and 6 points above random."""

    def make(**names):
        def better(seed, round):
            return 0.5 + 0.1 * round + (0.02 * (seed + 1) if round else 0)

        def plain(seed, round):
            return 0.5 + 0.1 * round

        rows = [
            make_frame("random", range(3), range(5), plain, **names),
            make_frame("entropy", range(3), range(5), better, **names),
        ]
        return pd.concat(rows, ignore_index=True)

    return make


@pytest.fixture
def two_protocols(arms):
    return pd.concat([arms(), arms(protocol_id="p1", dataset="mnist")], ignore_index=True)


@pytest.mark.slow
def test_differences_are_drawn_in_points_around_the_baseline(arms):
    figure = only(draw("difference", arms()))
    [axes] = figure.axes
    assert lines(axes)["entropy"] == pytest.approx([0, 4, 4, 4, 4])
    assert axes.get_ylabel() == "Δ test accuracy (points)"
    assert legend_texts(figure) == ["random (baseline)", "entropy (n = 3)"]
    edges = [line for line in axes.get_lines() if line.get_label() == "_edge"]
    assert edges[0].get_ydata()[0] == edges[1].get_ydata()[0] == 0  # round 0 is shared
    assert edges[0].get_ydata()[1] < 0 < edges[1].get_ydata()[1]


@pytest.mark.slow
def test_the_difference_of_one_seed_is_a_line_without_a_band(arms):
    frame = arms()
    [axes] = only(draw("difference", frame[frame["seed"] == 1])).axes
    assert lines(axes)["entropy"] == pytest.approx([0, 4, 4, 4, 4])
    assert np.isnan(lines(axes)["_edge"]).all()


@pytest.mark.parametrize("name", ["difference", "ranks", "profile"])
def test_without_the_baseline_nothing_is_compared(arms, name):
    found, reasons = draw(name, arms(), baseline="oracle")
    assert found == {}
    assert reasons == ["there is no baseline oracle; name one with baseline=…"]


def test_what_needs_no_baseline_is_drawn_without_one(arms):
    for name, more in (("penalties", {}), ("labels_to_target", {"reach": [0.7]})):
        found, reasons = draw(name, arms(), baseline="oracle", **more)
        assert len(found) == 1
        assert reasons == []


LONG = "my_strategy.FarthestFromMean(power=3)"


@pytest.fixture
def long_names(make_frame):
    """Seven arms with long names in four protocols, whose titles are long too."""
    rows = []
    for number in range(4):
        key = {
            "protocol_id": f"p{number}",
            "dataset": "a_data_set_of_my_own" * (1 + number % 2),
            "model": f"my_models.Posterior(samples={number})",
        }
        labels = ["random", *(f"{LONG[:-1]}, seed={n})" for n in range(6))]
        rows += [make_frame(label, range(3), range(4), **key) for label in labels]
    return pd.concat(rows, ignore_index=True)


def outside(figure):
    """Words that leave the figure by more than two pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).draw()
    box = figure.bbox
    texts = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible())
    texts = [text for text in texts if re.search("[a-z]", text.get_text())]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    return [
        text
        for text, own in boxes
        if own.x0 < -2 or own.y0 < -2 or own.x1 > box.width + 2 or own.y1 > box.height + 2
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("curves", {}),
        ("difference", {}),
        ("labels_to_target", {"reach": [0.6, 0.7, 0.8]}),
        ("penalties", {}),
        ("ranks", {}),
        ("profile", {}),
    ],
)
def test_long_names_stay_inside_and_leave_room_to_what_is_drawn(long_names, name, more):
    found, _ = draw(name, long_names, **more)
    assert found
    for figure in found.values():
        assert outside(figure) == []
        for axes in figure.axes:
            width, height = axes.get_window_extent().size / figure.dpi
            assert min(width, height) > 0.2
            assert axes.get_window_extent().width > 0.25 * figure.bbox.width / 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["curves", "difference"])
def test_equal_values_have_an_axis_of_a_point_at_least(make_frame, name):
    frame = pd.concat(
        [make_frame(label, [0], [0, 1], lambda s, r: 1 / 3) for label in ("random", "bald")]
    )
    axes = only(draw(name, frame)).axes[0]
    low, high = axes.get_ylim()
    assert 1 <= high - low < 2
    axes.figure.draw_without_rendering()
    assert axes.yaxis.get_offset_text().get_text() == ""


def test_one_seed_has_no_penalties(arms):
    frame = arms()
    cells, totals = only(draw("penalties", frame[frame["seed"] == 0])).axes
    assert {text.get_text() for axes in (cells, totals) for text in axes.texts} == {"–"}


@pytest.mark.slow
def test_labels_to_a_target_show_median_quartiles_and_who_never_gets_there(arms):
    figure = only(draw("labels_to_target", arms(), reach=(0.93,)))
    [axes] = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["random", "entropy"]
    dots = [line for line in axes.get_lines() if line.get_markersize() == 5]
    medians = [line.get_xdata().tolist() for line in dots if line.get_marker() not in "|"]
    assert medians == [[50]]  # entropy's; random never gets there
    assert [text.get_text() for text in axes.texts] == ["3 of 3 never", "1 of 3 never"]
    assert axes.get_title().replace("\n", " · ").endswith("to 93 %")


@pytest.mark.slow
@pytest.mark.parametrize("target", [0.6, 0.79])
def test_the_axis_of_labels_shows_where_something_happens(make_frame, target):
    """Rounds at 10 to 410 labels; two of them matter, and no marker is cut at the axis."""
    parts = [
        make_frame("random", range(3), range(41), lambda seed, round: 0.5 + 0.1 * (round >= 3)),
        make_frame("bald", range(3), range(41), lambda seed, round: 0.5 + 0.3 * (round >= 2)),
    ]
    figure = only(draw("labels_to_target", pd.concat(parts), reach=(target,)))
    [axes] = figure.axes
    low, high = axes.get_xlim()
    assert low < 30 - 2
    if target == 0.6:  # both get there
        assert 40 + 2 < high < 120
    else:  # random lies beyond the budget
        assert high > 410


@pytest.mark.slow
def test_targets_nobody_reaches_are_shown_only_where_asked_for(make_frame):
    frame = make_frame("random", [0, 1], range(3))
    found, [reason] = draw("labels_to_target", frame)
    assert found == {}
    assert reason.endswith("name other values with reach=…")
    assert draw("labels_to_target", frame, reach=(0.99,))[0]


def test_labels_to_a_value_are_not_counted_in_one_round(arms):
    frame = arms()
    frame = frame[frame["round"] == 0].assign(budget="full")
    found, [reason] = draw("labels_to_target", frame, reach=(0.1,))
    assert not found
    assert reason.endswith("one round is all that the budgets buy, so there are no curves.")


@pytest.mark.slow
def test_the_penalty_matrix_adds_up_its_columns(two_protocols):
    rows = two_protocols
    # entropy is 2, 4 and 6 points better, t = 3.46: not significant; make it so
    better = (rows["strategy_label"] == "entropy") & (rows["round"] > 0)
    rows.loc[better, "test_accuracy"] += 0.2
    cells, totals = only(draw("penalties", rows)).axes
    assert [text.get_text() for text in cells.get_yticklabels()] == ["entropy", "random"]
    matrix = cells.get_images()[0].get_array()
    assert matrix[0, 1] == pytest.approx(1.6)  # four of five rounds, twice
    assert matrix[1, 0] == 0
    assert totals.get_images()[0].get_array()[0].tolist() == pytest.approx([0, 1.6])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:mine.* ends at 10 labels")
def test_arms_that_a_protocol_lacks_have_a_star_and_pairs_that_never_met_a_dash(arms):
    other = arms(protocol_id="p1", dataset="mnist").replace({"strategy_label": {"entropy": "bald"}})
    failed = other[(other["strategy_label"] == "bald") & (other["round"] == 0)]
    failed = failed.assign(strategy_label="mine", run_id="p1-mine")
    rows = pd.concat([arms(), other, failed], ignore_index=True)
    cells, totals = only(draw("penalties", rows)).axes
    starred = {"random", "entropy *", "bald *"}  # and without what failed
    assert {text.get_text() for text in cells.get_yticklabels()} == starred
    assert [text.get_text() for text in cells.texts].count("–") == 2
    assert totals.figure.get_supxlabel().startswith("* not in every protocol")
    figure = only(draw("ranks", rows))
    assert starred <= {text.get_text() for text in figure.axes[0].get_yticklabels()}
    assert "* not in every protocol" in figure.get_supxlabel()
    figure = only(draw("profile", rows))
    assert starred <= set(legend_texts(figure))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:mine.* ends at 10 labels")
def test_a_strategy_that_ended_at_once_has_no_difference(arms):
    first = arms().query("round == 0 and strategy_label == 'entropy'")
    failed = first.assign(strategy_label="mine", run_id="mine")
    figure = only(draw("difference", pd.concat([arms(), failed])))
    assert legend_texts(figure) == ["random (baseline)", "entropy (n = 3)"]


@pytest.mark.slow
def test_ranks_and_profiles_are_over_several_protocols(two_protocols, arms):
    axes = only(draw("ranks", two_protocols)).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["entropy", "random"]
    assert axes.get_lines()[1].get_xdata()[0] == 1
    [axes] = only(draw("profile", two_protocols)).axes
    curves = lines(axes)
    assert curves["entropy"][0] == 100
    assert curves["entropy"][-1] == 0
    assert all(a >= b for a, b in zip(curves["entropy"], curves["random"], strict=True))
    for name in ("ranks", "profile"):
        found, [reason] = draw(name, arms())
        assert found == {}
        assert "two data sets or models" in reason


@pytest.mark.slow
def test_time_is_drawn_with_its_phases(arms):
    figure = only(draw("time", arms().assign(**TIMES)))
    curves, bars = figure.axes
    line = next(line for line in curves.get_lines() if line.get_label() == "random")
    assert line.get_xdata().tolist() == [10, 25, 40, 55, 70]
    assert line.get_ydata().tolist() == pytest.approx([50, 60, 70, 80, 90])
    widths = {group.get_label(): group[0].get_width() for group in bars.containers}
    assert widths == {"fit": 50, "score": 15, "select": 10}
    assert curves.get_xlabel() == "Time since the beginning (s)"


@pytest.mark.slow
def test_calibration_shows_bins_and_both_curves(arms):
    frame = arms().assign(test_ece=0.1, test_nll=1.0)
    for name, value in BINS.items():
        frame[name] = [value] * len(frame)
    bins, ece, nll = only(draw("calibration", frame)).axes
    assert lines(bins)["entropy"] == pytest.approx([40, 80])
    assert lines(ece)["random"] == pytest.approx([10] * 5)
    assert lines(nll)["random"] == pytest.approx([1] * 5)
    assert bins.get_xlabel() == "Confidence at 50 labels (%)"
    assert bins.get_title(loc="left") == "digits · full · mc_dropout · small"  # of all three
    assert [axes.get_title() for axes in (bins, ece, nll)] == [""] * 3


def test_what_was_not_stored_is_not_drawn(arms):
    assert draw("time", arms()) == ({}, ["no times are stored."])
    assert draw("calibration", arms()) == ({}, ["no calibration is stored."])
    for name in ("audit", "contact_sheet", "pool_map"):
        assert draw(name, arms()) == ({}, ["no acquisitions are stored beside these curves."])


@pytest.mark.slow
def test_a_single_strategy_has_no_one_to_be_compared_with(make_frame):
    frame = make_frame("random", range(3), range(3))
    assert draw("difference", frame) == ({}, ["nothing shares a seed with random."])
    assert draw("penalties", frame) == ({}, ["it takes two strategies."])


@pytest.mark.slow
def test_missing_rounds_leave_the_other_seeds(arms):
    frame = arms()
    frame = frame[(frame["seed"] != 2) | (frame["round"] < 3)]
    with pytest.warns(UserWarning, match="nothing from seed 2"):
        figure = only(draw("difference", frame))
    assert lines(figure.axes[0])["entropy"] == pytest.approx([0, 3, 3, 3, 3])
    assert legend_texts(figure)[1] == "entropy (n = 2)"


@pytest.mark.slow
def test_all_labels_are_a_dotted_line_in_learning_curves(arms, make_frame):
    top = make_frame(
        "random", [0, 1], [0], lambda s, r: 0.97, protocol_id="f", budget="full", num_labeled=900
    )
    figure = only(draw("curves", pd.concat([arms(), top])))
    [axes] = figure.axes
    assert lines(axes)["all labels"] == pytest.approx([97, 97])
    assert axes.get_ylim()[1] > 97
    assert legend_texts(figure)[-1] == "all labels"
    assert only(draw("curves", top)).axes  # alone it is a result like any other


@pytest.fixture
def acquired(arms, store):
    """Results with acquisitions of ten points a round; the folder and the curves."""
    frame = arms()
    root = store(frame)
    for path in sorted(root.rglob("curves/seed=*.parquet")):
        run, seed = path.parent.parent.name, int(path.stem.removeprefix("seed="))
        shift = 25 if run.endswith("entropy") else 0
        rows = [
            {
                "run_id": run,
                "seed": seed,
                "round": None if round < 0 else round,
                "rank": rank,
                "index": index,
                "source_index": index // 2 if shift else index,
                "label": index % 4,
                "true_label": index % 4,
                "origin": "digits",
            }
            for round in range(-1, 4)
            for rank in range(10)
            for index in [rank + 10 * (round + 1) + (shift if round >= 0 else 0)]
        ]
        folder = path.parent.parent / "acquisitions"
        folder.mkdir(exist_ok=True)
        table = schema.table(rows, schema.ACQUISITIONS)
        (folder / path.name).write_bytes(parquet.encode(table, {}))
    return root, frame


@pytest.mark.slow
def test_the_audit_draws_classes_overlap_and_flaws(acquired):
    root, frame = acquired
    found, reasons = draw("audit", frame, folders=[root])
    assert list(found) == ["audit_classes", "audit_overlap", "audit_flaws"]
    assert reasons == []
    axes = found["audit_classes"].axes[0]
    heat = axes.collections[0].get_array()
    assert heat.shape == (4, 5)
    assert axes.get_yticks().tolist() == [0, 1, 2, 3]
    assert np.abs(heat[:, -1]).max() < 0.1  # random buys all classes alike
    random, entropy = found["audit_overlap"].axes
    # random buys from 10 on, entropy from 35 on: after 40 points 15 of 65 are shared
    assert lines(random)["entropy"] == pytest.approx([0, 0, 100 * 5 / 55, 100 * 15 / 65])
    assert lines(entropy)["random"] == lines(random)["entropy"]
    [axes] = found["audit_flaws"].axes
    assert lines(axes)["random"] == [0, 0, 0, 0]
    assert lines(axes)["entropy"][0] == pytest.approx(40)  # 35 to 44: four of them are second
    assert axes.get_title() == "copies of points bought before"


@pytest.mark.slow
def test_figures_of_inputs_say_what_they_lack(acquired):
    root, frame = acquired
    for name in ("contact_sheet", "pool_map"):
        found, [reason] = draw(name, frame, folders=[root])
        assert found == {}
        assert reason == "there is no config.yaml beside these runs."


def histograms(low, high, own, other):
    return json.dumps(
        {
            "entropy": {"low": 0.0, "high": 2.0, "counts": {"digits": [8, 2], "noise": [1, 3]}},
            "log_density": {"low": low, "high": high, "counts": {"digits": own, "noise": other}},
        }
    )


def test_uncertainty_is_the_share_of_each_test_set_in_the_mean_over_seeds(arms):
    frame = arms()
    last = frame["round"] == 4
    frame["ood_histograms"] = "{}"
    frame.loc[last, "ood_histograms"] = [
        histograms(-2.0 * seed, 2.0, [0, 10], [5, 5]) for seed in frame.loc[last, "seed"]
    ]
    frame.loc[(frame["seed"] == 0) & last, "ood_histograms"] = "[3"  # left out
    figure = only(draw("uncertainty", frame))
    assert [axes.get_xlabel() for axes in figure.axes] == [
        *("Entropy (nats)", "Log density (nats)"),
        *("Entropy (nats)", "Log density (nats)"),
    ]
    assert legend_texts(figure) == ["digits (its own test set)", "noise"]
    entropy, log_density, *_ = figure.axes
    assert set(np.round(lines(entropy)["digits"], 6)) == {0.8, 0.2}
    assert set(np.round(lines(entropy)["noise"], 6)) == {0.25, 0.75}
    for name in ("digits", "noise"):
        (line,) = [one for one in log_density.get_lines() if one.get_label() == name]
        x, y = (np.asarray(values) for values in (line.get_xdata(), line.get_ydata()))
        assert (x[0], x[-1]) == (-4.0, 2.0)
        assert np.trapezoid(y, x) == pytest.approx(1.0, abs=0.02)


@pytest.mark.slow
def test_uncertainty_has_nothing_to_show_where_nothing_fits(arms):
    nothing = ({}, ["no evaluation.ood is stored."])
    assert draw("uncertainty", arms()) == nothing
    for odd in ("", "[" * 9999, "3", '{"entropy": 3}', histograms(2, 1, [1], [1])[:30],
                '{"entropy": {"low": 0, "high": 1, "counts": {"a": [-1]}}}',
                '{"entropy": {"low": 1, "high": 1, "counts": {"a": [1]}}}'):  # fmt: skip
        assert draw("uncertainty", arms().assign(ood_histograms=odd)) == nothing
