"""Commands other than run take words and key=value, and refuse anything else in one line."""

import pytest

from al_bench.configuration.arguments import (
    Command,
    Option,
    listed,
    number,
    one_of,
    switch,
    whole_number,
)
from al_bench.errors import ConfigError

COMMAND = Command(
    "draw",
    "Draws results.",
    (
        Option("metric", "which columns", ["accuracy"], listed(one_of("accuracy", "nll"))),
        Option("level", "confidence", 0.95, number(0.5, 1)),
        Option("rounds", "how many", None, whole_number(1)),
        Option("all", "also the old ones", False, switch),
        Option("out", "a folder"),
    ),
    words="results",
    words_help="folders",
)


def refusal(*arguments, command=COMMAND):
    with pytest.raises(ConfigError) as caught:
        command.parse(arguments)
    return str(caught.value)


def test_words_keep_their_order_and_keys_may_stand_anywhere():
    parsed = COMMAND.parse(["a", "level=0.9", "b", "metric=nll,accuracy", "out=x=y", "all=true"])
    assert parsed.words == ["a", "b"]
    assert parsed["level"] == 0.9
    assert parsed["metric"] == ["nll", "accuracy"]
    assert parsed["out"] == "x=y"
    assert parsed["all"] is True


def test_keys_that_are_not_given_have_their_defaults():
    assert COMMAND.parse([]).values == {
        "metric": ["accuracy"],
        "level": 0.95,
        "rounds": None,
        "all": False,
        "out": None,
        "verbose": False,
    }


def test_a_list_may_stand_in_brackets():
    assert COMMAND.parse(["metric=[nll, accuracy]"])["metric"] == ["nll", "accuracy"]


def test_a_folder_named_like_a_key_is_written_as_a_path():
    assert COMMAND.parse(["./seed=3", "runs/lr=0.1"]).words == ["./seed=3", "runs/lr=0.1"]


def test_an_unknown_key_names_its_neighbours():
    assert refusal("metrics=nll") == ("al-bench draw has no key 'metrics'. Did you mean 'metric'?")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("metric=nl", "metric must be a known name, got 'nl'. Did you mean 'nll'?"),
        ("level=high", "level must be a number, got 'high'."),
        ("level=2", "level must be a number from 0.5 to 1, got '2'."),
        ("level=nan", "level must be a number from 0.5 to 1, got 'nan'."),
        ("rounds=0", "rounds must be a whole number from 1, got '0'."),
        ("rounds=1e3", "rounds must be a whole number from 1, got '1e3'."),
        ("all=yes", "all must be a known name, got 'yes'. Valid: false, true."),
        ("out=", "out needs a value, got ''."),
    ],
)
def test_a_bad_value_is_named_with_what_is_valid(argument, message):
    assert refusal(argument).startswith(message)


def test_a_key_given_twice_is_refused():
    assert refusal("level=0.9", "level=0.95").startswith("level is given twice: 0.9 and 0.95.")


@pytest.mark.parametrize("flag", ["--metric", "--metric=nll", "-metric"])
def test_a_flag_is_answered_with_the_key_to_type(flag):
    assert refusal(flag).endswith("options are written key=value. Write metric=…")


def test_words_are_counted_and_chosen():
    kinds = Command("list", "Lists.", words="what", choices=("models", "datasets"), max_words=1)
    assert kinds.parse(["models"]).words == ["models"]
    assert refusal("model", command=kinds).endswith("Did you mean 'models'?")
    assert "one word too many" in refusal("models", "datasets", command=kinds)
    assert "one word too many" in refusal("models", command=Command("status", "Says."))


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_shows_every_key_with_its_default_and_stops(flag, capsys):
    assert COMMAND.parse(["nonsense=1", flag]) is None
    page = capsys.readouterr().out
    assert page.startswith("Usage: al-bench draw [results …] [key=value …]\n")
    assert "  metric=   which columns (default: accuracy)\n" in page
    assert "  all=      also the old ones (default: false)\n" in page
    assert "  out=      a folder\n" in page
    assert "  verbose=  show tracebacks (default: false)\n" in page
