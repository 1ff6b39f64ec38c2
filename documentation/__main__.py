"""`python -m documentation`: writes the pages of docs/reference from the code. `--check` only says which are stale."""

from __future__ import annotations

import sys
from pathlib import Path

from documentation import commands, graph, http, settings

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference"
PAGES = {"settings.md": settings.page, "commands.md": commands.page, "http.md": http.page, "graph.md": graph.page}


def main() -> int:
    """Writes what has changed; returns the exit code."""
    stale = []
    for name, page in PAGES.items():
        file, text = REFERENCE / name, page()
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                file.write_text(text, encoding="utf-8")
    verb = "is stale" if "--check" in sys.argv else "was written"
    sys.stdout.write("".join(f"docs/reference/{name} {verb}.\n" for name in stale) or "docs/reference is current.\n")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
