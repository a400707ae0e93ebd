"""``al-bench report``: one self-contained page about stored results."""

from collections.abc import Sequence
from pathlib import Path

from al_bench.configuration.arguments import Command, Option, file_or_folder, listed, number, text
from al_bench.errors import ConfigError
from al_bench.report.publishing import PUBLISH
from al_bench.results import outputs
from al_bench.text.terminal import warnings_as_lines

COMMAND = Command(
    name="report",
    summary="Writes one HTML file with verdicts, tables, figures and caveats, fit to be sent.",
    options=(
        Option("out", "file to write", "report.html", file_or_folder),
        Option("title", "heading of the page (default: what is compared)"),
        Option(
            "baseline",
            "arm that the others are compared with (default: random; of selections uniform)",
        ),
        Option("metric", "column to compare", "test_accuracy"),
        Option(
            "reach",
            "values of the metric, 0.9 for 90 %: how many labels, or steps, do they take",
            read=listed(number()),
        ),
        PUBLISH,
    ),
    words="results",
    words_help="folders of results, whole, in part or copied (default: results)",
)


def report(arguments: Sequence[str]) -> int:
    """Write the report that the arguments ask for and print its path; 0.

    Raises:
        ConfigError: There is no such key, folder, metric or baseline.
        ResultsError: There is nothing to read, or the file cannot be written.
    """
    parsed = COMMAND.parse(_words(arguments))
    if parsed is None:
        return 0
    out = Path(parsed["out"])
    if out.is_dir():
        raise ConfigError(f"out={out} is a folder.", f"Use out={out / 'report.html'}.")
    if out.suffix not in (".html", ".htm"):
        hint = f"Use out={out.with_suffix('.html')}."
        raise ConfigError(f"A report is HTML, not {out.name}.", hint)
    from al_bench.report.content import collect

    with warnings_as_lines():
        content = collect(
            [Path(word) for word in parsed.words or ["results"]],
            metric=parsed["metric"],
            baseline=parsed["baseline"],
            reach=parsed["reach"] or (),
            title=parsed["title"],
            publish=parsed["publish"],
        )
    page = _page(content).encode(errors="backslashreplace")
    with outputs.written(out) as stream:
        stream.write(page)
    print(out)
    return 0


def _words(arguments: Sequence[str]) -> list[str]:
    """``-o FILE`` is ``out=FILE``."""
    words = list(arguments)
    if words[-1:] == ["-o"]:
        raise ConfigError("-o needs a file.", "Add report.html.")
    if "-o" in words:
        place = words.index("-o")
        words[place : place + 2] = [f"out={text(words[place + 1])}"]
    return words


def _page(content: object) -> str:
    from importlib.metadata import version
    from importlib.resources import files

    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(
        files("al_bench.report").joinpath("page.html").read_text("utf-8")
    )
    return template.render(content=content, version=version("al-bench"))
