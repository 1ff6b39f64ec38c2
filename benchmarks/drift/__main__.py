"""The command: `python -m benchmarks.drift`."""

from __future__ import annotations

import sys

from benchmarks.drift import main

if __name__ == "__main__":
    sys.exit(main())
