"""`python -m deploy.check`: every checker, and whether it would find a fault. Exit code 1 if anything is wrong.

Does not belong here: a checker.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from deploy.check import mutations
from deploy.check.faults import Fault
from deploy.check.policies import policy_faults

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Runs everything and prints a line for each checker."""
    wrong = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for checker, faults_to_find in mutations.FOUND_BY.items():
            began = time.monotonic()
            faults = [*checker(ROOT), *mutations.missed(checker, ROOT, folder)]
            wrong += _say(checker.__name__, faults, len(faults_to_find), time.monotonic() - began)
        began = time.monotonic()
        broken = mutations.copy(ROOT, folder / "policies")
        for mutation in mutations.FOUND_BY_POLICY:
            mutations.apply(broken, mutation)
        faults, found = policy_faults(ROOT, broken)
        faults += [
            Fault("mutation", mutation.file, f"checkov does not find {mutation.what}")
            for mutation in mutations.FOUND_BY_POLICY
            if not mutations.is_found(mutation, found)
        ]
        wrong += _say("policy_faults", faults, len(mutations.FOUND_BY_POLICY), time.monotonic() - began)
    return 1 if wrong else 0


def _say(name: str, faults: list[Fault], n: int, seconds: float) -> int:
    print(f"{name:18} {len(faults)} faults; finds {n} that were made for it ({seconds:.0f} s)")  # noqa: T201
    for fault in faults:
        print(f"  {fault}", file=sys.stderr)  # noqa: T201
    return len(faults)


if __name__ == "__main__":
    sys.exit(main())
