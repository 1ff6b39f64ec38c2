"""Where test data lies that is too large for the repository. Tests skip, with a reason, where it is absent."""

from __future__ import annotations

from pathlib import Path

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
