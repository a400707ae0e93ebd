"""``python -m al_bench``."""

import sys

from al_bench.cli import main

sys.exit(main())
