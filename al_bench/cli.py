"""The command line: finds the command, prints errors in one line, sets the exit code."""

import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Sequence

from al_bench import process
from al_bench.errors import AlBenchError, ConfigError, barred, choose, error_line, overlong, scarce
from al_bench.masking import masked_text, masked_words

# Command: module in al_bench.commands, function, what it does. Modules are imported on use.
COMMANDS = {
    "run": ("run.command", "run", "run an experiment, or with -m a sweep of them"),
    "study": ("study", "study", "measure trained networks, where no curve says it"),
    "plot": ("plot", "plot", "draw learning curves of stored results"),
    "compare": ("compare.command", "compare", "paired statistics against a baseline"),
    "check": ("check", "check", "whether a strategy keeps the contract"),
    "report": ("report", "report", "one self-contained page about results"),
    "transfer": ("transfer", "transfer", "train another model on stored acquisitions"),
    "rerun": ("rerun", "rerun", "repeat a stored trial: does it come out the same?"),
    "export": ("export", "export", "one tidy file, or several folders merged into one"),
    "info": ("info.command", "info", "a stored run in words, or what differs between two"),
    "status": ("status", "status", "what is planned, running, done, failed or stale"),
    "list": ("list", "list_choices", "data sets, models, strategies, … to choose from"),
}


# What is left of a command that was interrupted; of others there is nothing to say.
GOES_ON = ("run", "transfer", "study")  # where it is typed again
_GOES_ON = "finished rounds are kept. Run it again to go on."
INTERRUPTED = {
    "run": _GOES_ON,
    "transfer": _GOES_ON,
    "study": "finished seeds are kept. Run it again to go on.",
    "rerun": "the stored trial is as it was.",
    "plot": "figures whose names were printed are written.",
}

# Commands that write files: what they print beside tells of it.
FOR_SHOW = ("run", "study", "plot", "report", "export", "transfer", "rerun")

VERBOSE = "verbose=true"  # understood by every command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run al-bench with these words (default: the command line's); the exit code.

    0 is success, 1 a failure, 2 bad input, 130 an interruption by Ctrl-C, 75 one by a scheduler's
    SIGTERM or SIGUSR1, or by the SIGHUP of a terminal that is closed, of a command that goes on
    where it is typed again.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    masked_words(words)  # so that what was typed is known in messages
    streams = {"stdout": sys.stdout, "stderr": sys.stderr}
    process.set_up_streams(output_is_for_show=words[:1] in ([name] for name in FOR_SHOW))
    environment, argv, path = dict(os.environ), sys.argv, list(sys.path)
    process.set_up_environment()
    process.set_up_path()
    signals = process.catch_signals(goes_on="".join(words[:1]) in GOES_ON)
    try:
        with process.logged_as_warnings():
            return _answer(words)
    finally:
        process.end_on_signals()
        with contextlib.suppress(OSError, AlBenchError):  # what it meets is told already
            sys.stdout.flush()
        if arguments is not None:  # called from Python, which goes on
            process.stay()
            sys.argv, sys.path[:] = argv, path
            for name, stream in streams.items():
                if stream is None:
                    getattr(sys, name).close()
                setattr(sys, name, stream)
            for number, handler in signals.items():
                signal.signal(number, handler)
            os.environ.clear()
            os.environ.update(environment)


def _answer(words: list[str]) -> int:
    verbose = VERBOSE in words
    try:
        code = _dispatch(words)
        sys.stdout.flush()
        return code
    except AlBenchError as error:
        if process.preempted():  # what the signal has ended beside may be met first
            return _say_stopped(words)
        return _complain(error, error.exit_code, verbose)
    except KeyboardInterrupt:
        return _say_stopped(words)
    except BrokenPipeError:
        return 1  # who read the output has seen enough
    except Exception as error:
        return _complain(error, ConfigError.exit_code if overlong(error) else 1, verbose)


def _say_stopped(words: Sequence[str]) -> int:
    rest = INTERRUPTED.get("".join(words[:1]))
    name = process.preempted()
    by = f" by {name}" if name else ""
    print(f"al-bench: stopped{by}{f'; {rest}' if rest else '.'}", file=sys.stderr)
    return process.GOES_ON if name else process.INTERRUPTED


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("--help", "-h", "help"):
        print(usage())
        return 0
    if "--version" in words:
        from importlib.metadata import version

        print(f"al-bench {version('al-bench')}")
        return 0
    if words[0] not in COMMANDS:
        raise ConfigError(f"There is no command {words[0]!r}.", choose(words[0], COMMANDS))
    try:
        os.getcwd()
    except OSError:
        raise ConfigError("The current folder is gone.", "Type cd and one that is there.") from None
    module, function, _ = COMMANDS[words[0]]
    rest = words[1:] if words[0] == "run" else [word for word in words[1:] if word != VERBOSE]
    code: int = getattr(importlib.import_module(f"al_bench.commands.{module}"), function)(rest)
    return code


def usage() -> str:
    """The page of ``al-bench --help``."""
    lines = ["Usage: al-bench COMMAND [word …] [key=value …]", ""]
    lines += ["Benchmarks of active learning: strategies compared by seed, exactly resumed.", ""]
    lines += [f"  {name:10}{entry[2]}" for name, entry in COMMANDS.items()]
    lines += ["", "al-bench COMMAND --help says more. A first run:", ""]
    lines += ["  al-bench run -m strategy=random,bald,batchbald", "  al-bench plot"]
    return "\n".join(lines)


def _complain(error: Exception, code: int, verbose: bool) -> int:
    if verbose:
        import traceback

        print(masked_text("".join(traceback.format_exception(error))), file=sys.stderr, end="")
    is_ours = isinstance(error, AlBenchError)
    line = str(error) if is_ours else scarce(error) or barred(error) or overlong(error)
    text = line or f"{error_line(error)}. Add verbose=true for more."
    print(f"al-bench: {' '.join(masked_text(text).split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
