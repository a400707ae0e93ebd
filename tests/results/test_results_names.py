"""Names that are markup, formulas, HTML or orders to a terminal: each output shows them as text."""

import base64
import html.parser
import json
import re
from dataclasses import replace

import pandas as pd
import pytest
from fake_trials import ENGINE, IDENTITY, bought, row_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from al_bench import cli
from al_bench.results.identity import safe_name
from al_bench.results.store import Store
from al_bench.text.markdown import escaped
from al_bench.text.visible import in_a_line

MARKUP = (
    "wine[red]",
    "a[/b]",
    r"$\foo$ _{x",
    "x|y",
    "<b>x</b>",
    "=cmd()",
    r"\textbf{x}",
    ":smile:",
    "_hidden",
    "[link=u]z",
)
STEERING = (
    "\x1b[31mred",
    "two\nlines",
    "tab\tbed",
    "\rover",
    "\u202egnp",
    "\x9b2J",
    "\x1b]8;;u\x07l",
    "\u200bzero\u2028",
)
MIXED = ("[red]x|y[/b]", r"$\foo$ _{x", "_=:smile:", "\x1b[31mred\u202e", "two\n\tlines\r")
CONTROL = re.compile(r"[^\n\t -~\xa0-\xac\xae-\u200a\u2010-\u2027\u202f-\u205f\u2070-\ufefe]")


def write(root, names, seeds=2):
    """Results of a data set and a strategy of each name, random beside it."""
    for place, name in enumerate(names):
        for label in ("random", name):
            run = "".join(f"{ord(sign):x}" for sign in f"{place}{label}")[:12].rjust(12, "0")
            identity = replace(
                IDENTITY,
                run_id=run,
                protocol_id=f"{place:012x}",
                task=name,
                dataset=name,
                strategy=label,
                strategy_label=label,
                model="forest",
            )
            for seed in range(seeds):
                with Store(root).claim(identity, seed, ENGINE, "same") as files:
                    for round in range(2):
                        value = 0.5 + 0.1 * round + 0.01 * seed + 0.02 * (label == name) * round
                        files.commit(
                            row_of(round, test_accuracy=value, test_nll=0.5, seconds_fit=1.0),
                            [bought(None, 0, seed)] if round == 0 else [],
                        )
                    files.finish("budget")
    return root


@pytest.fixture
def typed(tmp_path, monkeypatch, capfd):
    """Type a command line: what it prints on both streams."""
    monkeypatch.chdir(tmp_path)

    def run(*words, code=0):
        assert cli.main(list(words)) == code
        out, err = capfd.readouterr()
        return out + err

    return run


@pytest.fixture
def markup(tmp_path, instant_fsync):
    return write(tmp_path / "r", MARKUP[:6], seeds=1)


@pytest.fixture
def steering(tmp_path, instant_fsync):
    return write(tmp_path / "r", STEERING[:4], seeds=1)


@pytest.mark.slow
@pytest.mark.promise("Text is text")
def test_names_are_shown_as_they_are(markup, typed):
    for command in ("status", "compare"):
        printed = typed(command, "r")
        for name in MARKUP[:6]:
            assert name in printed, command


@pytest.mark.slow
@pytest.mark.promise("Text is text")
def test_no_name_steers_the_terminal(steering, typed):
    run = next(steering.glob("*/*/*/*"))
    for words in (["status", "r"], ["compare", "r"], ["info", str(run)]):
        printed = typed(*words)
        assert not CONTROL.search(printed), words
        assert not re.search(r"^\W*(lines|over|red)", printed, re.MULTILINE), words
    for name in STEERING[:4]:
        assert in_a_line(name) in typed("status", "r")


@pytest.mark.promise("Text is text")
@pytest.mark.slow
def test_every_name_is_shown_by_every_command(tmp_path, instant_fsync, typed):
    root = write(tmp_path / "r", MIXED[1:])
    runs = sorted(root.glob("*/*/*/*"))
    commands = [
        ["status", "r", "check=true"],
        ["compare", "r"],
        ["plot", "r", "figure=all", "format=svg"],
    ]
    commands += [
        ["plot", "r", "at=[4]", "format=svg"],
        ["report", "r"],
        ["export", "r", "out=a.csv"],
    ]
    for words in commands:
        printed = typed(*words)
        assert not CONTROL.search(printed), words
        if words[0] in ("status", "compare", "plot") and "figure=all" not in words:
            for name in MIXED[1:]:
                assert in_a_line(name) in printed, (words, name)
    for format in ("csv", "json", "latex", "markdown"):
        assert not CONTROL.search(typed("compare", "r", f"format={format}"))
    assert not CONTROL.search(typed("info", str(runs[0]), str(runs[-1])))
    assert not CONTROL.search(typed("compare", "r", "baseline=\x1b[2J", code=2))


class Elements(html.parser.HTMLParser):
    """What a page is made of, and its texts."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.said, self.pictures = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, tuple(sorted(name for name, _ in attributes))))
        self.pictures += [value for name, value in attributes if name == "src"]

    def handle_data(self, data):
        self.said.append(data)


@pytest.mark.promise("Text is text")
@pytest.mark.slow
def test_a_report_holds_names_as_text_alone(tmp_path, instant_fsync, typed):
    names = ("<b>x</b>", '"><script>a', "{{ 7*7 }}<!--", "\x1b[1m\u202e\n$\\foo$")
    pages = []
    for root, used in (("plain", [f"name{place}" for place in range(len(names))]), ("odd", names)):
        write(tmp_path / root, used)
        typed("report", root, f"out={root}.html", f"title={used[0]}")
        pages.append((tmp_path / f"{root}.html").read_text())
    plain, odd = map(Elements, pages)
    assert [tag for tag, _ in plain.tags] == [tag for tag, _ in odd.tags]
    said = "".join(odd.said)
    for name in names:
        assert in_a_line(name) in said
    assert not CONTROL.search(pages[1])
    for picture in odd.pictures:
        drawn = base64.b64decode(picture.partition(",")[2]).decode()
        assert "<script" not in drawn
        assert not CONTROL.search(drawn)


@pytest.mark.promise("Text is text")
@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_pictures_write_names_and_no_formulas(tmp_path, instant_fsync, typed):
    from xml.etree import ElementTree

    write(tmp_path / "r", MIXED)
    typed(
        "plot",
        "r",
        "format=[svg,pdf]",
        "figure=[curves,difference,labels_to_target,time]",
        "reach=0.55",
    )
    said = ""
    for path in sorted((tmp_path / "r" / "plots").glob("*.svg")):
        said += "\n".join(ElementTree.parse(path).getroot().itertext())
        assert not CONTROL.search(path.read_text())
    for name in MIXED:
        assert in_a_line(name) in said, name
    assert {path.parent.name for path in tmp_path.rglob("*.svg")} == {"plots"}


@pytest.mark.slow
@pytest.mark.promise("Text is text")
def test_cells_that_a_spreadsheet_would_compute_get_a_quote(tmp_path, instant_fsync, typed):
    write(tmp_path / "r", ("=cmd()", "a=b"), seeds=1)
    typed("export", "r", "out=a.csv")
    typed("export", "r", "out=a.parquet")
    written, kept = pd.read_csv(tmp_path / "a.csv"), pd.read_parquet(tmp_path / "a.parquet")
    assert set(written["dataset"]) == {"'=cmd()", "a=b"}
    assert set(kept["dataset"]) == {"=cmd()", "a=b"}
    assert written["test_accuracy"].tolist() == kept["test_accuracy"].tolist()
    assert "'=cmd()" in typed("compare", "r", "format=csv")


def test_negative_numbers_are_numbers_in_csv():
    from al_bench.text.spreadsheet import without_formulas

    frame = pd.DataFrame({"text": ["-1", "@a", "a-", None], "number": [-1.0, 2, 3, 4]})
    frame["list"] = [[-1], [2], [3], None]
    changed = without_formulas(frame)
    assert changed["text"].tolist()[:3] == ["'-1", "'@a", "a-"]
    pd.testing.assert_frame_equal(changed[["number", "list"]], frame[["number", "list"]])


@pytest.mark.parametrize(
    ("name", "tex", "markdown"),
    [
        ("[red]", "{}[red]", r"\[red\]"),
        (r"$\foo$", r"\$\textbackslash{}foo\$", r"&#36;\\foo&#36;"),
        ("x|y", "x$|$y", "x&#124;y"),
        ("<b>&x", r"$<$b$>$\&x", "&#60;b&#62;&#38;x"),
        (r"\textbf{x}", r"\textbackslash{}textbf\{x\}", r"\\textbf{x}"),
        ("a^~%#_", r"a\textasciicircum{}\textasciitilde{}\%\#\_", r"a&#94;&#126;%\#\_"),
        ("a--b", "a-{}-b", "a--b"),
        (":smile:", ":smile:", "&#58;smile:"),
        ("http://a", "http://a", "http&#58;//a"),
        ("[a](b)*c`", "{}[a](b)*c" + r"\textasciigrave{}", r"\[a\](b)\*c\`"),
        ("a\nb\x1b", r"a\textbackslash{}nb\textbackslash{}x1b", r"a\\nb\\x1b"),
        ("least_confidence", r"least\_confidence", "least_confidence"),
    ],
)  # fmt: skip
def test_names_in_papers_and_pages(name, tex, markdown):
    from al_bench.commands.compare.publish import _tex

    assert _tex(name) == tex
    assert escaped(name) == markdown


@pytest.mark.slow
@settings(max_examples=30, derandomize=True)
@given(st.text(alphabet=st.characters(codec=None), max_size=8))
def test_whatever_a_name_is_the_terminal_gets_no_orders(name):
    import io

    from al_bench.process import _Stream
    from al_bench.text.console import Console, Table
    from al_bench.text.terminal import print_table

    stream, errors = io.StringIO(), io.StringIO()
    table = Table(name, caption=name)
    table.add_column(name)
    table.add_row(name)
    console = Console(stream, width=200)
    print_table(console, table)
    console.print(name, style="red")
    print(name, file=_Stream("stderr", errors, for_show=True))
    steering = re.compile(
        "[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069]"
    )
    assert not steering.search(stream.getvalue())
    assert not steering.search(errors.getvalue().removeprefix("\r"))
    assert in_a_line(name).strip() in stream.getvalue()


@pytest.mark.slow
@settings(max_examples=20, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(min_size=1, max_size=8))
def test_whatever_a_name_is_a_page_has_no_element_more(name):
    from al_bench.commands.report import _page
    from al_bench.report.content import Content, Picture, Section, Table

    def page(text):
        table = Table(text, (text, text), ((text, text),))
        section = Section(text, (text,), (table,), table, (text,), text)
        pictures = (Picture(text, "data:,", False),)
        content = Content(
            text, (text,), (section,), (table,), (text,), pictures, pictures, (text,), table, table
        )
        return Elements(_page(content))

    found, usual = page(name), page("name")
    assert [tag for tag, _ in found.tags] == [tag for tag, _ in usual.tags]
    given = {attribute for _, names in found.tags for attribute in names}
    assert given <= {attribute for _, names in usual.tags for attribute in names}


def test_only_one_module_makes_consoles_and_tables():
    from pathlib import Path

    import al_bench

    package = Path(al_bench.__file__).parent
    made = re.compile(r"from rich\.(console|table|markup) |import rich\.|parse_math=True")
    found = {path.name for path in package.rglob("*.py") if made.search(path.read_text())}
    assert found <= {"console.py", "figures.py"}
    assert "safe" not in (package / "report" / "page.html").read_text()


@pytest.mark.slow
@pytest.mark.promise("Nothing outside the folder is read or written")
def test_figures_stay_in_their_folder_and_have_no_formulas(tmp_path):
    from matplotlib.figure import Figure

    from al_bench.plots import style
    from al_bench.plots.figures import save

    with style.look():
        figure = Figure((2, 2))
        axes = figure.subplots()
        axes.plot([1, 1000], [0, 1])
        axes.set_xscale("log")
        axes.set_title(r"$\foo$")
    names = ("../a/b\0", "..", "𝒳" * 40)
    paths = list(save(dict.fromkeys(names, figure), tmp_path / "plots", ["svg"]))
    assert {path.parent for path in paths} == {tmp_path / "plots"}
    assert len(safe_name("𝒳" * 90).encode()) == 240
    drawn = paths[0].read_text()
    assert ">100<" in drawn
    assert r">$\foo$<" in drawn


def test_a_bar_of_a_library_begins_its_line_anew():
    import io

    from al_bench.process import _Stream

    written = {name: io.StringIO() for name in ("stdout", "stderr")}
    for name, stream in written.items():
        _Stream(name, stream, for_show=True).write("\r50 %\r\x1b[A")
    assert written["stderr"].getvalue() == r"\r50 %\r\x1b[A".replace(r"\r50", "\r50")
    assert written["stdout"].getvalue() == r"\r50 %\r\x1b[A"


@pytest.mark.promise("Text is text")
def test_advice_to_load_a_file_unsafely_is_not_passed_on(tmp_path, instant_fsync, typed):
    import io

    import torch

    from al_bench.errors import error_line

    file = io.BytesIO()
    torch.save(re.compile("a"), file)
    file.seek(0)
    with pytest.raises(Exception, match="weights_only") as raised:
        torch.load(file, weights_only=True)
    assert "weights_only" not in error_line(raised.value)
    assert "it holds objects" in error_line(raised.value)
    write(tmp_path / "r", ("a",), seeds=1)
    manifest = next((tmp_path / "r").glob("*/*/a/*/manifests/*.json"))
    failed = {"status": "failed", "error_type": "UnpicklingError\x1b", "failed_round": 0}
    failed["error"] = f"\x1b[1m{raised.value} [/red]"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | failed))
    printed = typed("status", "r")
    assert "weights_only" not in printed
    assert r"UnpicklingError\x1b: it holds objects" in printed
