"""Where things lie: the repository, and test data that is too large for it.

Tests skip, with a reason, where the data is absent.
"""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"
