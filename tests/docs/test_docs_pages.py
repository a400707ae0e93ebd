"""Pages name what is there: every link leads somewhere, every key is explained."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from al_bench.configuration.schema import RunConfig
from al_bench.seeding import STREAMS

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def headings(page):
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    kept = (re.sub(r"[^\w\s-]", "", title.lower()) for title in titles)
    return {title.strip().replace(" ", "-") for title in kept}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_relative_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    for link in links:
        if link.startswith(("http://", "https://")):
            continue
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}"
        assert target.is_relative_to(ROOT)
        if heading:
            assert heading in headings(target), f"{page.name} links to {link}"


def test_every_key_of_the_configuration_is_explained():
    page = (ROOT / "docs" / "configuration.md").read_text()
    explained = set(re.findall(r"^\| `(\w+)", page, re.MULTILINE))
    typed = set(OmegaConf.load(ROOT / "conf" / "config.yaml")) - {"defaults", "hydra"}
    assert explained == typed | set(RunConfig.__dataclass_fields__) | {"experiment"}
    assert {f"streams.{name}" for name in STREAMS} <= set(re.findall(r"`(streams\.\w+)`", page))


def test_the_defaults_on_the_page_are_those_of_the_configuration():
    page = (ROOT / "docs" / "configuration.md").read_text()
    config = OmegaConf.load(ROOT / "conf" / "config.yaml")
    shown = dict(re.findall(r"^\| `(\w+)=(\w+)` \|", page, re.MULTILINE))
    assert len(shown) >= 10
    for key, value in shown.items():
        default = config[key]
        said = "null" if default is None else str(default)
        assert value == (said.lower() if isinstance(default, bool) else said), key


def test_every_kind_of_list_on_the_page_is_one():
    from al_bench.commands.list import KINDS

    page = (ROOT / "docs" / "configuration.md").read_text()
    assert set(re.findall(r"`al-bench list ([a-z]+)`", page)) <= set(KINDS)


def test_the_overview_has_a_line_for_every_page():
    linked = set(re.findall(r"\]\(([\w.]+\.md)\)", (ROOT / "docs" / "README.md").read_text()))
    assert linked == {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}


def test_what_contributors_are_told_to_type_is_there():
    page = (ROOT / "CONTRIBUTING.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)", page)) <= targets
    paths = re.findall(r"`((?:al_bench|conf|tests|scripts|results)/[^`]*?/?)`", page)
    paths += re.findall(r"(?:python|pytest) ((?:scripts|tests)/[\w./]+)", page)
    for path in paths:
        assert "NAME" in path or (ROOT / path).exists(), path


def test_the_forge_and_the_hooks_run_what_make_and_the_script_run():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repo["repo"] for repo in hooks] == ["local"]
    assert [hook["entry"] for hook in hooks[0]["hooks"]] == ["make lint"]
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    assert [step.get("run") for step in jobs["ci"]["steps"]][-1] == ".ci/run"
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o100


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for key, of in (("title", "name"), ("version", "version"), ("license", "license")):
        assert citation[key] == project[of]
    assert all(entry["authors"] and entry["title"] for entry in citation["references"])
