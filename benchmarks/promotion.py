"""Push to promotion: median and 99th percentile over 200 runs by webhook, and by polling at three intervals.

    python benchmarks/promotion.py [FILE.csv]

Takes about twenty minutes: Kargo asks one registry at most 20 times a second, and a push costs some six requests,
so more than a few repositories at once would measure that limit. Promotions do nothing; what is measured is the way
to them. Every mode is printed when it is through.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pandas as pd

from kargo_lab.experiments import waterfall

INTERVALS_SECONDS = (3.0, 6.0, 9.0)
LANES, PUSHES = 4, 50


def main(arguments: list[str]) -> int:
    """Measure, print the summary, and keep the rows where a file is named."""
    logging.disable(logging.WARNING)
    found = []
    for modes in ((), *((interval,) for interval in INTERVALS_SECONDS)):
        measured = waterfall.measure(
            intervals_seconds=modes, webhook=not modes, lanes=LANES, pushes=PUSHES, commits=False
        )
        found.append(measured.rows)
        sys.stdout.write(measured.summary().round(3).to_string(index=False) + "\n" + measured.made["command"] + "\n")
        sys.stdout.flush()
        if arguments:
            pd.concat(found).to_csv(Path(arguments[0]), index=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
