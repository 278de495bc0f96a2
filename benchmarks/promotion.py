"""Push to promotion: median and 99th percentile over 200 runs by webhook, and by polling at three intervals.

    python benchmarks/promotion.py [FILE.csv]

Takes about ten minutes; Promotions do nothing, so that what is measured is the way to them.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from kargo_lab.experiments import waterfall


def main(arguments: list[str]) -> int:
    """Measure, print the summary, and keep the rows where a file is named."""
    logging.disable(logging.WARNING)
    measured = waterfall.measure()
    sys.stdout.write(measured.summary().round(3).to_string(index=False) + "\n")
    for name, value in measured.made.items():
        sys.stdout.write(f"{name}: {value}\n")
    if arguments:
        measured.rows.to_csv(Path(arguments[0]), index=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
