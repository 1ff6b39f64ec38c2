"""A heavy step that does nothing, for tests of where steps run: `python -m chimp_assets_tests.support.azureml.step`.

Belongs here: the ways in which a step may end. Does not belong here: work.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path


def main() -> None:
    """Waits for a file if one is named, then ends as it is told."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--gate", type=Path, help="it goes on when this file is there")
    parser.add_argument("--ending", default="done", choices=["done", "silent", "mute", "error"])
    asked = parser.parse_args()
    if asked.ending == "mute":  # nothing that reports is even opened
        _wait(asked.gate)
        return
    from chimp_assets.pipes_session import pipes_session

    with pipes_session() as session:
        session.say(f"at work in {Path.cwd()}")
        _wait(asked.gate)
        if asked.ending == "error":
            raise ValueError("the step of the test fails")
        if asked.ending == "done":
            session.done({"model_id": 7, "folder": str(Path.cwd())})


def _wait(gate: Path | None) -> None:
    while gate is not None and not gate.exists():
        time.sleep(0.02)


if __name__ == "__main__":
    main()
