"""A command line of al-bench that gives its processes all the time they need to stop.

Else what does not stop within seconds is ended, which on a busy machine is what a test asks about.
"""

import sys

_SCRIPT = """
import sys
from al_bench import process
from al_bench.cli import main
from al_bench.running import workers
process._SECONDS_TO_STOP = workers.SECONDS_TO_STOP = 600.0
sys.exit(main(sys.argv[1:]))
"""
PATIENT = (sys.executable, "-c", _SCRIPT)
