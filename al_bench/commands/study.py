"""``al-bench study``: what trained networks are like, where no learning curve says it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from al_bench.configuration.config_dir import config_dir
from al_bench.errors import ConfigError
from al_bench.text.terminal import print_table, warnings_as_lines, wide_console
from al_bench.text.visible import in_a_line

if TYPE_CHECKING:
    from al_bench.configuration.composing import Composed
    from al_bench.configuration.words import Words
    from al_bench.running.prepare import Prepared

FORMATS = ("png", "pdf")


def study(arguments: Sequence[str]) -> int:
    """Measure what the arguments ask for, seed by seed; print it as a table and draw it.

    Returns:
        0 when every seed is done, else 1.

    Raises:
        ConfigError, DataError: There is no such study or key, or they do not go together.
        ResultsError: Rows cannot be read, or the figure cannot be written.
    """
    arguments = list(arguments)
    if not arguments or any(word in ("--help", "-h") for word in arguments):
        print(_help())
        return 0
    if "=" not in arguments[0] and not arguments[0].startswith(("-", "~", "+")):
        arguments[0] = f"study={arguments[0]}"
    from al_bench.commands.run import command
    from al_bench.configuration import own_path, words

    request = words.read(arguments, "study")
    if request.only_shows:  # the configuration, a completion
        return command.run(arguments)
    if request.multirun or words.sweeps(request.overrides):
        raise ConfigError(
            "A study has one value of each key.", "Type the command once for each value."
        )
    own_path.look_beside(request.folder)
    return _study(_composed(request))


def _composed(request: "Words") -> "Composed":
    from al_bench.configuration.composing import compose
    from al_bench.configuration.explain import COMPLAINTS, explain

    try:
        composed = compose(request.overrides, request.folder, is_study=True)
    except COMPLAINTS as error:
        raise explain(error, request.overrides, request.folder) from error
    if composed.is_sweep:
        raise ConfigError(
            "The preset that is chosen is a sweep, and a study is none.",
            "Choose one that is for this study: see al-bench list experiments.",
        )
    return composed


def _study(composed: "Composed") -> int:
    from al_bench.commands.run.together import execute_shown, title_of
    from al_bench.errors import within
    from al_bench.results.manifest import DONE
    from al_bench.running import dry_run, progress
    from al_bench.running.execution import assignments
    from al_bench.running.prepare import prepare
    from al_bench.running.remaining import remaining_of

    progress.set_up_logging()
    with within("A class of this study"):
        prepared = prepare(composed)
    if composed.config.dry_run:
        print(dry_run.describe(prepared), flush=True)
        return 0
    for note in prepared.notes:
        print(f"note: {in_a_line(note)}", file=sys.stderr)
    remaining = remaining_of([prepared])
    outcomes = execute_shown(assignments(prepared), remaining, title_of(prepared, ""), {})
    done = [outcome.key.seed for outcome in outcomes if outcome.status == DONE]
    if done:
        with warnings_as_lines():
            _show(prepared, done)
    print(f"results: {prepared.results / prepared.run.identity.folder}")
    return 0 if len(done) == len(outcomes) else 1


def _show(prepared: "Prepared", seeds: Sequence[int]) -> None:
    """Print the table of these seeds, and write their figure."""
    from al_bench.plots import style
    from al_bench.plots.figures import save
    from al_bench.results import studies
    from al_bench.studies.base import StudyRun

    run = prepared.run
    assert isinstance(run, StudyRun)
    rows = studies.read(prepared.folder, seeds, run.study.columns).to_pandas()
    print_table(wide_console(), run.study.table(rows))
    with style.look():
        figure = run.study.draw(rows)
    name = f"{run.identity.strategy}_{run.identity.run_id}"
    for path in save({name: figure}, Path(prepared.results) / "plots", FORMATS):
        print(path, flush=True)


def _help() -> str:
    from al_bench.configuration.choices import choices

    found = choices("study", [config_dir()])
    width = max(len(name) for name, _ in found)
    return "\n".join(
        [
            "Usage: al-bench study NAME [key=value …]",
            "",
            "Trains networks as al-bench run does and measures them, seed by seed; prints a table",
            "with 95 % intervals over seeds and draws a figure. Finished seeds are not measured",
            "again.",
            "",
            *(f"  {name:<{width}}  {introduction}" for name, introduction in found),
            "",
            "Keys are those of al-bench run, such as dataset=, model/network=, training=, seeds=,",
            "workers=, results= and dry_run=true; budget.init_size= is the number of labels. Those",
            "of a study begin with study. and are listed by al-bench study NAME --cfg job, which",
            "shows the whole configuration. --config-dir FOLDER adds configuration of your own.",
            "Rows are in results/studies/NAME, the figure is in results/plots.",
        ]
    )
