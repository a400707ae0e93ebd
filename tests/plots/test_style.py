"""Figures have one style, and equal figures give equal bytes."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al_bench.plots import style

LETTERS = "abrndom_=()·@ ,0é$\\{\u202e"  # a few: tables of all that Unicode has take a second
WELL_KNOWN = ["bald", "batchbald", "powerbald", "entropy", "margin", "least_confidence"]


@pytest.mark.slow
@settings(max_examples=30)
@given(st.lists(st.text(LETTERS, min_size=1, max_size=20), max_size=40, unique=True))
def test_no_two_strategies_look_alike(labels):
    styles = style.assign(labels)
    looks = {(look.color, look.marker, look.linestyle) for look in styles.values()}
    assert len(looks) == len(labels)


@pytest.mark.parametrize("count", [1, 3, 8])
def test_colors_differ_as_long_as_there_are_enough(count):
    labels = [f"strategy_{n}" for n in range(count)]
    colors = {look.color for look in style.assign([*labels, "random"]).values()}
    assert len(colors) == count + 1


def test_strategies_met_most_often_look_the_same_in_any_company():
    alone = {label: style.assign([label])[label] for label in WELL_KNOWN}
    for size in range(2, len(WELL_KNOWN) + 1):
        for company in itertools.combinations(WELL_KNOWN, size):
            assert style.assign(company) == {label: alone[label] for label in company}


def test_variants_with_parameters_do_not_change_the_plain_strategy():
    variants = [f"bald(beta={beta})" for beta in range(20)]
    assert style.assign(["bald", *variants])["bald"] == style.assign(["bald"])["bald"]


def test_the_order_of_labels_changes_nothing():
    labels = [*WELL_KNOWN, "mine", "bald(beta=4)", "random"]
    expected = style.assign(labels)
    random.Random(0).shuffle(labels)
    assert style.assign(labels) == expected


def test_random_is_grey_and_first_in_the_legend():
    red, green, blue = (style.assign(["random"])["random"].color[i : i + 2] for i in (1, 3, 5))
    assert red == green == blue
    assert style.order(["bald", "random", "a"]) == ["random", "a", "bald"]
    assert style.order(["power(β=16)", "power(β=2)"]) == ["power(β=2)", "power(β=16)"]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ((0.05, 2.0), ["0.1", "1"]),
        ((0.5, 200.0), ["1", "10", "100"]),
        ((1e-6, 2.0), ["1e-06", "1e-05", "1e-04", "1e-03", "1e-02", "1e-01", "1e+00"]),
    ],
)
def test_labels_of_a_logarithmic_axis_are_of_one_form(limits, said):
    import io

    from matplotlib.figure import Figure

    with style.look():
        axes = Figure().add_subplot()
        axes.set_xscale("log")
        axes.set_xlim(*limits)
        style.write(axes.figure, io.BytesIO(), "png")
        labels = [label.get_text() for label in axes.get_xticklabels(which="major")]
    shown = [label.replace("\N{MINUS SIGN}", "-") for label in labels if label]
    assert [label for label in shown if limits[0] <= float(label) <= limits[1]] == said


def test_the_look_leaves_no_trace_in_matplotlib():
    import matplotlib

    before = dict(matplotlib.rcParams)
    with style.look():
        assert matplotlib.rcParams["pdf.fonttype"] == 42
    assert dict(matplotlib.rcParams) == before
