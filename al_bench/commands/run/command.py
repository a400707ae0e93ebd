"""``al-bench run`` as a command: words are checked, and Hydra's complaints become one line."""

import sys

from al_bench.configuration import own_path, words
from al_bench.configuration.explain import COMPLAINTS, explain


def run(arguments: list[str]) -> int:
    """Run ``al-bench run`` with these words; the exit code."""
    from al_bench.commands.run import job

    request = words.read(arguments)
    own_path.look_beside(request.folder)
    # Manifests hold the command as it was typed; only Hydra's own pages read its arguments here.
    sys.argv = ["al-bench run", *(request.arguments if request.only_shows else arguments)]
    try:
        return job.main(request)
    except COMPLAINTS as error:
        raise explain(error, request.overrides, request.folder) from error
