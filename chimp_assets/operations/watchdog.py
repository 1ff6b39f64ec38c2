"""Ends the processes of a `chimp up` whose own process is gone.

`python -m chimp_assets.operations.watchdog UP_ID GRACE_S` is started by the supervisor.

Its standard input is a pipe that the supervisor holds open. However that process ends (kill -9 too) the kernel closes
the pipe; then everything with its mark is asked to end, and killed after the grace. It leaves by itself when nothing is
left. Belongs here: waiting for that. Does not belong here: finding and ending (`processes`).
"""

from __future__ import annotations

import signal
import sys

from chimp_assets.operations import processes


def main() -> int:
    """Wait for the end of the supervisor, then end what it started."""
    up_id, grace_s = sys.argv[1], float(sys.argv[2])
    for ending in ("SIGINT", "SIGTERM", "SIGHUP"):  # meant for the supervisor, which closes the pipe
        if hasattr(signal, ending):
            signal.signal(getattr(signal, ending), signal.SIG_IGN)
    while sys.stdin.buffer.read(1):
        pass
    processes.end(lambda: processes.marked(up_id), grace_s)
    return 0


if __name__ == "__main__":
    sys.exit(main())
