"""``al-bench run`` as a command: Hydra's own complaints become one line."""

import os
import re
import sys

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from al_bench.config import RunConfig
from al_bench.config_dir import config_dir
from al_bench.errors import ConfigError, choose


def run(arguments: list[str]) -> int:
    """Run ``al-bench run`` with these words; the exit code."""
    from al_bench import job

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises instead of printing and exiting
    sys.argv = ["al-bench run", *arguments]
    try:
        return job.main()
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error) from error


def explain(error: Exception) -> ConfigError:
    """What Hydra said as one line with near names."""
    text = " ".join(str(part) for part in (error, error.__cause__) if part)
    flat = " ".join(text.split())
    if found := re.search(r"Could not find '([\w/]+)/([^'/]*)'", text):
        group, choice = found[1], found[2]
        options = re.search(r"Available options in '[^']*':\s*((?:\n?\s*\S+)+?)(?:\n\S|$)", text)
        valid = options[1].split() if options else options_of(group)
        return ConfigError(f"There is no {group}={choice}.", choose(choice, valid))
    if found := re.search(r"(?:Key|key) '([^']+)' (?:is )?not in", flat):
        full = re.search(r"full_key: (\S+)", flat)
        return _no_key(full[1] if full else found[1])
    if found := re.search(r"Could not override '([^']+)'", flat):
        return _no_key(found[1])
    if found := re.search(r"Value '(.*?)' (?:of type '\w+' )?could not be converted to (\w+)", flat):
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


def options_of(group: str) -> list[str]:
    """Choices of a group in al-bench's own configuration."""
    return sorted(path.stem for path in (config_dir() / group).glob("*.yaml"))
