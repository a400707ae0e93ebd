"""Pages name what is there: every link leads somewhere, every key is explained."""

import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from al_bench.configuration.schema import RunConfig
from al_bench.seeding import STREAMS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def headings(page):
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    kept = (re.sub(r"[^\w\s-]", "", title.lower()) for title in titles)
    return {title.strip().replace(" ", "-") for title in kept}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
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
