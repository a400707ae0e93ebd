"""I-diagrams have the regions that there are, and what is written in each is its value."""

import itertools
import re
import sys
from pathlib import Path

import pytest
import torch
from pool_views import log_probs

from al_bench.information.entropies import mutual_information
from al_bench.information.predictive import epig, jepig

ROOT = Path(__file__).parents[2]
NAMES = ("bald", "epig", "jepig")
VARIABLES = ("Ω", "Y", "Y1", "Y2")  # axes of the table


@pytest.fixture
def drawing(monkeypatch):
    """The script's module, importable as when it is run."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "scripts"), *sys.path])
    import draw_information_diagrams

    return draw_information_diagrams


@pytest.fixture(params=range(5))
def case(request):
    """Predictions of a point and of two targets, and the entropy of any of the variables."""
    seed = request.param
    predicted = log_probs(3, 4, 3, seed, scale=1.5).double().log_softmax(dim=-1)
    point, first, second = predicted.exp()  # (K, C)
    table = torch.einsum("ka,kb,kc->kabc", point, first, second) / 4

    def entropy(variables):
        summed = [axis for axis, name in enumerate(VARIABLES) if name not in variables]
        left = table.sum(dim=summed) if summed else table
        return float(torch.special.entr(left).sum())

    return predicted[:1], predicted[1:], entropy


def measure(entropy, inside, outside):
    """Of what lies in all of some sets of variables and in none of others, by inclusion."""
    outer = set().union(*outside)
    return sum(
        (-1) ** (count + 1) * entropy(outer.union(*chosen))
        for count in range(len(inside) + 1)
        for chosen in itertools.combinations(inside, count)
    )


def variables(words):
    """Those that a part of a formula names, inputs left out."""
    words = words.replace("Y*_2, …, Y*_T", "Y2").replace("Y*_1, …, Y*_T", "Y1, Y2")
    words = words.replace("Y*_1", "Y1").replace("Y*", "Y1")
    return {word for word in map(str.strip, words.split(",")) if word not in ("x", "x*")}


def value(formula, entropy, everything):
    """Of H[A | B] or I[A; B | C]."""
    kind, told, given = re.match(r"([HI])\[([^|\]]+)(?:\|([^\]]+))?\]", formula).groups()
    parts = [variables(part) for part in told.split(";")]
    known = variables(given or "x")
    if known == {"rest"}:
        known = everything - parts[0]
    first, second = (*parts, parts[0])[:2]
    assert (kind == "I") == (len(parts) == 2)
    if kind == "H":
        return entropy(first | known) - entropy(known)
    both = entropy(first | second | known)
    return entropy(first | known) + entropy(second | known) - both - entropy(known)


@pytest.mark.parametrize("name", NAMES)
def test_circles_make_the_regions_that_are_told_and_no_others(drawing, name):
    diagram = drawing.DIAGRAMS[name]
    steps = [i / 25 for i in range(-60, 61)]
    found = {diagram.inside((x, y)) for x in steps for y in steps} - {frozenset()}
    assert found == {region.inside for region in diagram.regions}
    for region in diagram.regions:
        assert diagram.inside(region.at) == region.inside


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_what_the_definitions_give(drawing, case, name):
    _, _, entropy = case
    diagram = drawing.DIAGRAMS[name]
    circles = {key: set(circle.variables) for key, circle in diagram.circles.items()}
    everything = set().union(*circles.values())
    assert entropy(set()) == pytest.approx(0, abs=1e-12)
    for key, circle in diagram.circles.items():
        assert value(circle.name, entropy, everything) == pytest.approx(entropy(circles[key]))
    formulas = {region.inside: region.formula for region in diagram.regions}
    for count in range(1, len(circles) + 1):
        for inside in map(frozenset, itertools.combinations(circles, count)):
            sets = [circles[key] for key in inside]
            area = measure(entropy, sets, [circles[key] for key in circles if key not in inside])
            if inside in formulas:
                assert area == pytest.approx(value(formulas[inside], entropy, everything), abs=1e-9)
                assert area > -1e-9
            else:
                assert area == pytest.approx(0, abs=1e-9)


def test_what_is_shaded_is_what_strategies_maximize(drawing, case):
    point, targets, entropy = case
    expected = {
        "bald": [mutual_information(point)],
        "epig": [epig(point, targets[:1])],
        "jepig": [jepig(point, targets), epig(point, targets[:1])],
    }
    for name, diagram in drawing.DIAGRAMS.items():
        overlaps = [[diagram.circles[key].variables for key in pair] for pair in diagram.shaded]
        areas = [measure(entropy, overlap, []) for overlap in overlaps]
        assert areas == pytest.approx([float(one) for one in expected[name]], abs=2e-6)


@pytest.mark.slow
def test_the_pictures_are_drawn_and_on_the_page(drawing, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["draw", "--out", str(tmp_path)])
    drawing.main()
    page = (ROOT / "docs" / "information.md").read_text(encoding="utf-8")
    for name in NAMES:
        file = f"information_{name}.png"
        assert (tmp_path / file).stat().st_size > 10_000
        assert (drawing.FOLDER / file).is_file()
        assert f"(figures/{file})" in page
