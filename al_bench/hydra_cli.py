"""``al-bench run`` as a command: Hydra's own complaints become one line."""

import os
import re
import sys

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from al_bench.config import RunConfig
from al_bench.config_dir import config_dir
from al_bench.errors import ConfigError, choose
from al_bench.listing import KINDS, choices


def run(arguments: list[str]) -> int:
    """Run ``al-bench run`` with these words; the exit code."""
    from al_bench import job

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises instead of printing and exiting
    # Flags first: argparse takes no keys on both sides of one.
    keys = [word for word in arguments if "=" in word and not word.startswith("-")]
    sys.argv = ["al-bench run", *(word for word in arguments if word not in keys), *keys]
    try:
        return job.main()
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error) from error


def explain(error: Exception) -> ConfigError:
    """What Hydra said as one line with near names."""
    text = " ".join(str(part) for part in (error, error.__cause__) if part)
    flat = " ".join(text.split())
    if found := re.search(r"Could not find '([^']+)'", text):
        return _no_choice(found[1], text)
    if found := re.search(r"(?:Key|key) '([^']+)' (?:is )?not in", flat):
        full = re.search(r"full_key: (\S+)", flat)
        return _no_key(full[1] if full else found[1])
    if found := re.search(r"Could not override '([^']+)'", flat):
        return _no_key(found[1])
    if found := re.search(
        r"Value '(.*?)' (?:of type '\w+' )?could not be converted to (\w+)", flat
    ):
        full = re.search(r"full_key: (\S+)", flat)
        kind = {"Integer": "a whole number", "Boolean": "true or false"}.get(found[2], found[2])
        return ConfigError(f"{full[1] if full else 'The value'} must be {kind}, got {found[1]!r}.")
    if "mismatched input" in flat or "extraneous input" in flat or "token recognition" in flat:
        return ConfigError(f"{flat.split(' See https')[0]}.", "Quote values with special signs.")
    return ConfigError(flat.split(" See https")[0])


def _no_key(key: str) -> ConfigError:
    head, _, _ = key.partition(".")
    known = [name for name in RunConfig.__dataclass_fields__]
    if head in known:
        return ConfigError(f"There is no key {key!r}.", f"See al-bench run --cfg job -p {head}.")
    groups = [path.name for path in config_dir().iterdir() if path.is_dir()]
    return ConfigError(f"There is no key {key!r}.", choose(head, {*known, *groups} - {"hydra"}))


def _no_choice(path: str, text: str) -> ConfigError:
    groups = [group for group in KINDS.values() if path.startswith(f"{group}/")]
    group = max(groups, key=len, default=path.rpartition("/")[0])
    listed = re.search(r"Available options in '[^']*':\s*(.*)", text, re.DOTALL)
    valid = {name for name, _ in choices(group, [config_dir()])}
    if group == "hydra/launcher":
        return ConfigError(
            f"There is no {group}={path.rpartition('/')[2]} here.",
            'The joblib launcher comes with pip install "al-bench[joblib]".',
        )
    if listed and group != "experiment":  # a user's own folder has more
        valid |= {word for word in listed[1].split("Config search path")[0].split() if word}
    choice = path.removeprefix(f"{group}/")
    return ConfigError(f"There is no {group}={choice}.", choose(choice, valid))
