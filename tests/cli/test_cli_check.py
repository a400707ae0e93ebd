"""``al-bench check``, as a user types it."""

import re

import pytest

OWN = """
from dataclasses import dataclass
import torch
from al_bench.strategies.base import Selection
from al_bench.strategies.rules import top

@dataclass(frozen=True)
class Own:
    shift: int = 0
    needs = frozenset()

    def select(self, view, batch_size, generator):
        positions = top(torch.zeros(len(view)), batch_size, generator) + self.shift
        return Selection(positions, torch.full((batch_size,), torch.nan, dtype=torch.float64))

@dataclass(frozen=True)
class Broken:
    needs = frozenset()

    def select(self, view, batch_size, generator):
        return view.no_such_thing()
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "my_module_for_check.py").write_text(OWN)
    folder = tmp_path / "mine" / "strategy"
    folder.mkdir(parents=True)
    for name, more in (("own", "shift: 0\n"), ("broken", "")):
        target = f"_target_: my_module_for_check.{name.title()}\n"
        (folder / f"{name}.yaml").write_text(f"# Mine\n{target}{more}")


@pytest.mark.slow
def test_a_line_a_property_and_code_0_for_a_sound_strategy(al_bench):
    code, out, _ = al_bench("check", "strategy=margin", "strategy/rule=power")
    assert code == 0
    head, *lines, tally = out.splitlines()
    assert head == "margin(rule=power): al_bench.strategies.pointwise.Pointwise, needs nothing"
    assert len(lines) >= 12
    assert all(re.match("(pass|skip)  [A-Z]", line) for line in lines)
    assert " 0 not kept" in tally


@pytest.mark.slow
def test_a_users_class_is_found_and_its_faults_are_told(al_bench, own):
    code, out, _ = al_bench("check", "--config-dir", "mine", "strategy=own")
    assert code == 0, out
    code, out, _ = al_bench("check", "--config-dir=mine", "strategy=own", "strategy.shift=1")
    assert code == 1
    assert re.search(r"FAIL  B distinct positions .*: ordinary, B=12: positions \[.*\] of 12", out)


@pytest.mark.slow
def test_an_error_in_the_strategy_is_a_failure_with_its_place(al_bench, own):
    code, out, err = al_bench("check", "--config-dir", "mine", "strategy=broken")
    assert code == 1
    assert "Traceback" not in out + err
    assert "AttributeError" in out
    assert "(my_module_for_check.py:" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "al-bench check strategy=bald"),
        (["strategy=bold"], "Did you mean 'bald'"),
        (["strategy=replay"], "Add strategy.run="),
        (["strategy=subsample", "strategy.size=0"], "strategy.size"),
        (["strategy=subsample", "strategy@strategy.of=bold"], "Did you mean 'bald'"),
        (["strategy=bald", "--config-dir", "nowhere"], "no folder nowhere"),
        (["-m", "strategy=bald,entropy"], "one strategy at a time"),
        (["strategy=bald,entropy"], "one strategy at a time. Type the command once for each."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_refused_in_one_line(al_bench, words, said):
    code, out, err = al_bench("check", *words)
    assert code == 2
    assert out == ""
    assert err.startswith("al-bench: ")
    assert err.count("\n") == 1
    assert said in err


def test_help_is_a_page(al_bench):
    code, out, _ = al_bench("check", "--help")
    assert code == 0
    assert out.startswith("Usage: al-bench check")
