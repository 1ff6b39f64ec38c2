"""A sender that dies at one step, as kill -9 does it: python -m chimp_assets_tests.monitoring.sending STEP."""

import os
import signal
import sys
from typing import Any

from chimp_assets.home import Home
from chimp_assets.monitoring.messages import telling as messages

STEPS = {"before the claim": "claim_next", "before sending": "_message", "before the note": "_note"}


def _die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(step: str) -> None:
    """Tells, and dies at the step; at an unknown one somebody else does it."""
    if step in STEPS:
        assert hasattr(messages, STEPS[step])
        setattr(messages, STEPS[step], _die)
    messages.tell(Home.open())


if __name__ == "__main__":
    main(sys.argv[1])
