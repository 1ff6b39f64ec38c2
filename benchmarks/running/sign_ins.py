"""Row S: sixty people sign in at once, on a real server. Does everybody else notice?

`python -m benchmarks.running.sign_ins [PEOPLE]` prints what the others waited for, who got in, and the peak of memory.

Belongs here: a server in its own process, people in threads, and who looks at `/healthz` and at a page meanwhile.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.support.harness import Row, cores, show
from chimp_assets.database.people.users import add_user
from chimp_assets.home import init_home
from chimp_assets.web.auth.accounts import set_password

PEOPLE = 60
LONGEST_S = 1.0
MOST_BYTES = 600 * 1024 * 1024
PASSWORD = "a grove of twelve old figs"


def measure(people: int = PEOPLE) -> Iterator[Row]:
    """Two lines: what others waited for, and the peak of memory."""
    with tempfile.TemporaryDirectory() as folder:
        home = init_home(Path(folder) / "home")
        for n in range(people):
            add_user(home.database, f"person {n}", "identifier")
            set_password(home.database, f"person {n}", PASSWORD)
        home.database.dispose()
        with _server(home.settings.home) as (address, pid):
            waits, codes, all_in_s = _rush(address, people)
            peak = _peak_bytes(pid)
    said = ", ".join(f"{n} x {code}" for code, n in sorted(codes.items()))
    longest = max(waits)
    what = f"{people} sign-ins at once ({said}; all in after {all_in_s:.1f} s): longest wait of {len(waits)} others"
    met = longest < LONGEST_S
    yield Row("S", what, longest, "s", {}, {}, f"< {LONGEST_S:.0f} s", met, 1, 0.0, cores())
    mib = peak / 2**20
    yield Row("S", "peak memory of the server", mib, "MiB", {}, {}, "< 600 MiB", peak < MOST_BYTES, 1, 0.0, cores())


def _rush(address: str, people: int) -> tuple[list[float], Counter[int], float]:
    """Seconds that others waited for an answer; codes of the first attempts; seconds until everybody was in."""
    codes: list[int] = []
    waits: list[float] = []
    done = threading.Event()
    gate = threading.Barrier(people + 2)

    def sign_in(n: int) -> None:
        with httpx2.Client(base_url=address, headers={"Origin": address}, timeout=120) as client:
            gate.wait()
            for attempt in range(200):
                answer = client.post("/api/sign-in", json={"name": f"person {n}", "password": PASSWORD})
                if attempt == 0:
                    codes.append(answer.status_code)
                if answer.status_code == 200:
                    return
                time.sleep(float(answer.headers.get("retry-after", 1)))

    def look() -> None:
        with httpx2.Client(base_url=address, timeout=120) as client:
            gate.wait()
            while not done.is_set():
                for path in ("/healthz", "/sign-in"):
                    began = time.perf_counter()
                    client.get(path)
                    waits.append(time.perf_counter() - began)
                time.sleep(0.02)

    threads = [threading.Thread(target=sign_in, args=(n,)) for n in range(people)]
    looking = threading.Thread(target=look)
    for thread in (*threads, looking):
        thread.start()
    gate.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    all_in_s = time.perf_counter() - began
    done.set()
    looking.join()
    return waits, Counter(codes), all_in_s


@contextmanager
def _server(home: Path) -> Iterator[tuple[str, int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    arguments = [sys.executable, "-m", "chimp_assets.web.serve", str(port)]
    environment: dict[str, Any] = {**os.environ, "CHIMP_HOME": str(home)}
    server = subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with suppress(httpx2.TransportError):
                if httpx2.get(f"{address}/healthz").status_code == 200:
                    break
            time.sleep(0.1)
        yield address, server.pid
    finally:
        server.terminate()
        server.wait(timeout=30)


def _peak_bytes(pid: int) -> int:
    """The most memory that a process had so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", type=int, nargs="?", default=PEOPLE, help="how many sign in at once")
    show(measure(parser.parse_args().people))


if __name__ == "__main__":
    main()
