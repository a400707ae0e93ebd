"""One's own code is found to the end, as it was imported, and nobody else's is."""

import importlib
import linecache
import os
import sys
import types
from pathlib import Path

import pytest
from hypothesis import given

from al_bench.configuration.targets import locate, module_of
from al_bench.errors import AlBenchError, ConfigError
from al_bench.results import imported
from al_bench.results.own_code import own_code, require_unedited
from al_bench.strategies.random import Random


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes files of one's own into a folder that is imported from; forgets them at the end."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(imported, "_sources", {})
    specs = {name: spec for name, spec in imported._specs.items() if name in sys.modules}
    monkeypatch.setattr(imported, "_specs", specs)  # without modules that other tests have left
    before = set(sys.modules)

    def write(**files):
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__in__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        importlib.invalidate_caches()
        return tmp_path

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def hashes(target):
    return own_code([locate(target), module_of(target)]).hashes


def forget(*names):
    for name in [one for one in sys.modules if one.split(".")[0] in names]:
        del sys.modules[name]
    imported._sources.clear()


def test_what_a_module_imports_is_followed_wherever_the_import_stands(own):
    own(
        mine="import torch\nimport helper_a as a\nclass Own: pass\n"
        "def later():\n    from helper_b import thing\n",
        helper_a="if True:\n    import helper_c\nelse:\n    import helper_d.inner\n",
        helper_b="thing = 1\n",
        helper_c="import mine\nimport importlib\nimportlib.import_module('helper_e')\n",
        helper_d__in____init__="",
        helper_d__in__inner="x = 1\n",
        helper_e="",
        unrelated="",
    )
    assert set(hashes("mine.Own")) == {
        *("mine", "helper_a", "helper_b", "helper_c", "helper_d", "helper_d.inner", "helper_e")
    }


@pytest.mark.slow
def test_packages_relative_imports_and_classes_passed_on_are_followed(own):
    own(
        package__in____init__="from ._made import Own\n",
        package__in___made="from . import sub\nfrom .sub.deep import *\nclass Own: pass\n",
        package__in__sub__in____init__="",
        package__in__sub__in__deep="from ..other import x\n",
        package__in__other="x = 1\n",
        package__in__unused="",
        spaces__in__inside="from package import Own as Base\nclass Own(Base): pass\n",
    )
    inner = {"package", "package._made", "package.sub", "package.sub.deep", "package.other"}
    assert set(hashes("package.Own")) == inner
    # a folder without __init__ is a package without code
    assert set(hashes("spaces.inside.Own")) == {"spaces.inside", *inner}


@pytest.mark.slow
def test_functions_partials_and_bases_have_a_home_too(own):
    own(
        scores="from functools import partial\nfrom base import score\nhalf = partial(score, 2)\n"
        "passed_on = score\n",
        base="def score(a, b): return a\nclass Base: pass\n",
        derived="import base\nclass Own(base.Base): pass\n",
    )
    assert set(hashes("scores.half")) == {"scores", "base"}
    assert set(hashes("scores.passed_on")) == {"scores", "base"}
    assert set(hashes("derived.Own")) == {"derived", "base"}


def test_packages_are_told_by_name_and_others_code_is_not_ones_own(own):
    own(mine="import hypothesis, json\nfrom torch import nn\nclass Own: pass\n")
    found = own_code([locate("mine.Own")])
    assert set(found.hashes) == {"mine"}
    assert found.packages == {"hypothesis", "torch"}
    assert own_code([Random, given, dict, len, Path]).hashes == {}


@pytest.mark.slow
def test_links_are_followed_to_tell_whose_a_file_is(own, tmp_path):
    folder = own(elsewhere__in__linked="import x_of_linked\nclass Own: pass\n", x_of_linked="")
    site = folder / "lib" / "site-packages"
    site.mkdir(parents=True)
    (site / "installed_one.py").write_text("class Own: pass\n")
    os.symlink(folder / "elsewhere", folder / "link")
    os.symlink(site / "installed_one.py", folder / "installed_one.py")
    assert set(hashes("link.linked.Own")) == {"link.linked", "x_of_linked"}
    assert hashes("installed_one.Own") == {}


@pytest.mark.slow
def test_an_edit_anywhere_below_is_another_hash_and_a_comment_is_not(own):
    own(mine="import helper\nclass Own: pass\n", helper="x = 1\n")
    before = hashes("mine.Own")
    forget("mine", "helper")
    own(helper='"""Says."""\nx = 1  # one\n')
    assert hashes("mine.Own") == before
    forget("mine", "helper")
    own(helper="x = 2\n")
    after = hashes("mine.Own")
    assert after["mine"] == before["mine"]
    assert after["helper"] != before["helper"]


def test_what_was_imported_is_hashed_though_the_file_was_edited_since(own):
    own(mine="class Own: x = 1\n")
    before = hashes("mine.Own")
    own(mine="class Own: x = 2\n")
    assert hashes("mine.Own") == before
    importlib.reload(sys.modules["mine"])
    assert hashes("mine.Own") != before


@pytest.mark.parametrize("writes_bytecode", [True, False])
def test_a_file_edited_before_anyone_had_read_it_is_refused(own, monkeypatch, writes_bytecode):
    monkeypatch.setattr(sys, "dont_write_bytecode", not writes_bytecode)
    folder = own(mine="class Own:\n    def f(self): return 1\n")
    importlib.import_module("mine")
    (folder / "mine.py").write_text("class Own:\n    def f(self): return 2 + 3\n")
    with pytest.raises(ConfigError, match=r"mine\.py was edited after this process had imported"):
        hashes("mine.Own")
    forget("mine")
    assert hashes("mine.Own")


def test_a_module_imported_before_and_not_edited_is_hashed(own):
    own(mine="class Own:\n    def f(self): return 1\n")
    importlib.import_module("mine")
    assert set(hashes("mine.Own")) == {"mine"}


def test_a_module_edited_between_its_hash_and_its_import_is_noticed(own):
    folder = own(mine="class Own:\n    def f(self): import late\n", late="x = 1\n")
    before = hashes("mine.Own")
    assert set(before) == {"mine", "late"}
    require_unedited(before)
    (folder / "late.py").write_text("x = 2\n")
    require_unedited(before)
    importlib.import_module("late")
    for _ in range(2):  # every trial of this process is told
        with pytest.raises(AlBenchError, match="late was edited while the sweep ran"):
            require_unedited(before)


def cell(module, number, text):
    """Run a notebook's cell: what it defines has its source in linecache alone."""
    name = f"<ipython-input-{number}-abc>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    exec(compile(text, name, "exec"), module.__dict__)


@pytest.fixture
def notebook():
    module = types.ModuleType("notebook_of_mine")
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]
    for name in [name for name in linecache.cache if name.startswith("<ipython-input-")]:
        del linecache.cache[name]


OWN = "@tagged\nclass Own:\n    power = {}\n    def f(self): return helper(self, scale)\n"


def test_a_notebooks_class_is_hashed_by_its_definition_and_what_that_uses(own, notebook):
    own(used_by_cell="def helper(a, b): pass\n")

    def found(power=1, scale=2, tag=3, more=""):
        first = (
            f"from used_by_cell import helper\ndef tagged(c): return c or {tag}\nscale = {scale}"
        )
        cell(notebook, 1, f"{first}\nunrelated = {scale}{tag}\n")
        cell(notebook, 2, OWN.format(power) + more)
        return hashes("notebook_of_mine.Own")

    names = {"notebook_of_mine.Own", "notebook_of_mine.tagged", "used_by_cell"}
    before = found()
    assert set(before) == names
    assert found(more="seeds = 4\n") == before
    for changed in (found(power=2), found(scale=3), found(tag=4)):
        assert changed != before
        assert set(changed) == names
    assert found() == before
    notebook.Own.power = 7
    assert hashes("notebook_of_mine.Own") != before


def test_a_class_without_functions_is_found_among_the_cells(notebook):
    cell(notebook, 1, "class Base:\n    def f(self): pass\n")
    cell(notebook, 2, "class Own(Base):\n    power = 1\n")
    assert set(hashes("notebook_of_mine.Own")) == {"notebook_of_mine.Own", "notebook_of_mine.Base"}


def test_a_class_whose_source_is_nowhere_is_refused_with_a_hint(notebook):
    exec("class Own:\n    def f(self): pass\n", notebook.__dict__)
    with pytest.raises(
        ConfigError, match=r"source of notebook_of_mine\.Own cannot be found"
    ) as told:
        hashes("notebook_of_mine.Own")
    assert "Write it into a file" in told.value.hint
