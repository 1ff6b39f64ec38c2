"""A heavy step that does nothing, for tests of where steps run: `python -m chimp_assets_tests.support.pod_step ENDING`.

Belongs here: the ways in which a step may end. Does not belong here: work.
"""

import sys
import time

from chimp_assets.pipes_session import pipes_session


def main() -> int:
    """Ends as it is told: done, silent (without its last word), wait (never)."""
    ending = sys.argv[1]
    with pipes_session() as session:
        session.say("at work")
        session.made("tracks", "site-0001", {"videos": 2})
        while ending == "wait":
            time.sleep(0.05)
        if ending == "fail":
            return 3
        if ending == "done":
            session.done({"model_id": 7, "config": {"side": 48}}, plot=b"\x89PNG")
    return 0


if __name__ == "__main__":
    sys.exit(main())
