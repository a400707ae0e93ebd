"""Where al-bench's own configuration lies."""

from pathlib import Path

from al_bench.errors import ConfigError


def config_dir() -> Path:
    """The folder that holds ``config.yaml``, in a wheel as in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "config.yaml").exists():
            return folder
    raise ConfigError("al-bench's own conf folder is missing.", "Reinstall al-bench.")
