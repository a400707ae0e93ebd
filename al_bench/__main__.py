"""``python -m al_bench`` is the command line, as ``al-bench`` is."""

import os
import sys

# Python puts the current folder first, where any file would hide an installed module of its name.
try:
    if not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:
        del sys.path[0]
except OSError:  # it is gone
    pass

from al_bench.cli import main

sys.exit(main())
