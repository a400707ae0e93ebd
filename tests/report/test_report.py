"""``al-bench report``: one page, in words, that a browser shows without overflow."""

import html.parser
import json
import re
import shutil
import subprocess

import pytest

from al_bench import cli
from al_bench.report import content
from al_bench.running import notebook


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two strategies of two seeds, one of them with a name that must be escaped."""
    folder = tmp_path_factory.mktemp("report") / "results"
    for name in ("random", "entropy"):
        notebook.run(
            "training.max_epochs=1",
            "training.epoch_size=64",
            "model.num_samples=2",
            "model/network=mlp",  # the quickest
            "model.network.hidden=[16]",
            "budget.total=40",
            "seeds=2",
            f"strategy={name}",
            f"results={folder}",
        )
    return folder


@pytest.fixture(scope="module")
def page(results, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "report.html"
    words = ["report", str(results), "-o", str(out), "reach=0.2", "title=A <b> & C"]
    assert cli.main(words) == 0
    return out


class Outline(html.parser.HTMLParser):
    """Headings, ids, links and tags of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.levels, self.ids, self.links, self.images = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if tag == "a":
            self.links.append(given["href"])
        if tag == "img":
            self.images.append(given)


@pytest.mark.slow
def test_the_page_needs_nothing_from_elsewhere(page):
    text = page.read_text()
    outline = Outline(text)
    assert not {"script", "link", "iframe"} & set(outline.tags)
    assert not re.findall(r"(?:src|href)=\"(?!#|data:)", text)
    assert "url(" not in text
    assert all(image["src"].startswith("data:image/svg+xml;base64,") for image in outline.images)
    assert outline.images


def test_headings_links_and_names_are_in_order(page):
    outline = Outline(page.read_text())
    assert outline.levels[0] == 1
    assert outline.levels.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(outline.levels, outline.levels[1:], strict=False))
    assert len(set(outline.ids)) == len(outline.ids)
    assert {link[1:] for link in outline.links} <= set(outline.ids)
    assert all(image["alt"] for image in outline.images)
    assert outline.tags.count("caption") == outline.tags.count("table")


def test_what_is_said_is_what_was_run(page):
    text = page.read_text()
    assert "A &lt;b&gt; &amp; C" in text
    assert "random is the baseline" in text
    assert re.search(r"entropy (is|cannot be distinguished)", text)
    assert "<h3>Commands</h3>" in text
    assert "_target_: al_bench" in text
    assert "cores" in text
    assert "Only 2 seeds" in text


@pytest.mark.slow
def test_failed_trials_are_caveats(results, tmp_path):
    words = ["training.learning_rate=1e30", "strategy=margin", "seeds=1", "budget.total=30"]
    folder = tmp_path / "results"
    shutil.copytree(results, folder)
    code = cli.main(["run", *words, f"results={folder}"])
    assert code == 1
    assert cli.main(["report", str(folder), f"out={tmp_path / 'r.html'}"]) == 0
    assert "margin, seed 0 failed" in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nowhere"], 2, "There is no results folder nowhere"),
        (["{results}", "out=r.pdf"], 2, "A report is HTML, not r.pdf. Use out=r.html."),
        (["{results}", "out=."], 2, "out=. is a folder. Use out=report.html."),
        (["{results}", "-o"], 2, "-o needs a file. Add report.html."),
        (["{results}", "reach=2"], 2, "reach must lie between 0 and 1"),
        (["{results}", "baseline=bald"], 2, "There is no baseline 'bald'"),
        (["{results}", "metric=nothing"], 2, "no values of a metric 'nothing'"),
        pytest.param(
            *(["{results}/digits/mc_dropout/random", "out=/dev/null/x.html"], 1, "Cannot write"),
            marks=pytest.mark.slow,  # draws the figures first
        ),
    ],
)
def test_wrong_input_is_one_line(results, words, code, message, capsys):
    assert cli.main(["report", *(word.format(results=results) for word in words)]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
MEASURE = """<script>
addEventListener("load", () => {
  const wide = [...document.querySelectorAll("body *")].filter(
    e => !e.closest(".scroll, pre") && e.getBoundingClientRect().right > innerWidth + 1);
  const broken = [...document.images].filter(i => !i.complete || i.naturalWidth === 0);
  parent.postMessage(`width ${innerWidth} page ${document.documentElement.scrollWidth} `
    + `wide ${wide.length} broken ${broken.length}`, "*");
});
</script>"""
FRAME = """<!DOCTYPE html><title>nothing</title>
<script>addEventListener("message", event => { document.title = event.data; });</script>
<iframe src="page.html" style="width: {width}px; height: 900px; border: 0"></iframe>"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [380, 1400])
def test_a_browser_shows_it_without_overflow(page, width, tmp_path):
    (tmp_path / "frame.html").write_text(FRAME.replace("{width}", str(width)))
    measured = tmp_path / "page.html"
    measured.write_text(page.read_text().replace("</body>", f"{MEASURE}</body>"))
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1600,1200",
        "--virtual-time-budget=5000",
        "--dump-dom",
        (tmp_path / "frame.html").as_uri(),
    ]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    found = re.search(r"<title>width (\d+) page (\d+) wide (\d+) broken (\d+)</title>", dom)
    assert found is not None
    inner, whole, wide, broken = map(int, found.groups())
    assert inner == width
    assert whole <= width
    assert wide == broken == 0


@pytest.mark.slow
def test_the_manifests_of_copies_that_are_not_used_are_no_part_of_a_report(
    results, tmp_path, monkeypatch
):
    monkeypatch.setattr(content, "_pictures", lambda *_: ())
    other = shutil.copytree(results, tmp_path / "copy")
    for path in other.rglob("manifests/seed=*.json"):
        told = json.loads(path.read_text())
        path.write_text(json.dumps(told | {"versions": {"python": "2.7"}, "status": "failed"}))
    alone, both = (
        content.collect(folders, "test_accuracy", "random", (), "x")
        for folders in ([results], [results, other])
    )
    assert both.versions == alone.versions
    assert both.hardware == alone.hardware
    assert both.caveats == alone.caveats
