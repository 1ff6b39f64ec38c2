"""A folder for temporary files of a training on one node, shared by the processes of that node.

Belongs here: its name, which processes find it, removing it, also after a predecessor that was killed. Does not belong
here: what is written into it (`embedding.crop_file`), what must outlive the node (`checkpoints`).

The folder lies in TMPDIR. Its name says which machine, which boot and which process made it, so that whoever comes
next can tell a folder in use from one left behind, also where several machines share one TMPDIR.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chimp_assets.vision.learning.ranks import ALONE, Ranks
from chimp_assets.vision.models.checkpoint import ModelError

PREFIX = "chimp-training-"
WAIT_S = 600.0
"""For the first process of the same node, which was started in the same moment."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@contextmanager
def node_folder(name: str, ranks: Ranks = ALONE) -> Iterator[Path]:
    """A folder of this node; its first process makes it, the others wait until it is there; it is gone at the end.

    name: of the training, without `/`. Folders of killed processes of this machine are removed first. Raises
    ModelError if the first process of the node makes none within WAIT_S.
    """
    of_job = f"{name}-{os.environ.get('MASTER_PORT', '0') if ranks.world > 1 else 0}-{ranks.rank - ranks.local}"
    if ranks.local:
        yield _found(of_job)
        return
    remove_abandoned()
    folder = Path(tempfile.gettempdir()) / f"{PREFIX}{_machine()}-{os.getpid()}-{of_job}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned() -> None:
    """Remove folders of processes of this machine that no longer run."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        host, _, rest = path.name.removeprefix(PREFIX).partition("-")
        boot, _, rest = rest.partition("-")
        process = rest.partition("-")[0]
        if host != _host() or not process.isdigit():
            continue
        # A new process has made nothing yet: its number on the folder is that of a predecessor, as in containers.
        if boot != _boot() or int(process) == os.getpid() or not is_alive(int(process)):
            shutil.rmtree(path, ignore_errors=True)


def is_alive(process: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def maker_of(folder: Path) -> int:
    """The process that made a folder."""
    return int(folder.name.removeprefix(PREFIX).split("-")[2])


def _found(of_job: str) -> Path:
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}{_machine()}-*-{of_job}"):
            if is_alive(maker_of(path)):
                return path
        time.sleep(0.2)
    raise ModelError(
        f"The first process of this node has made no folder in {tempfile.gettempdir()} for {WAIT_S:g} s.",
        "See what that process says (LOCAL_RANK 0), and give all processes of a node the same TMPDIR.",
    )


def _machine() -> str:
    return f"{_host()}-{_boot()}"


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname()) or "unnamed"


def _boot() -> str:
    try:
        return _BOOT_ID.read_text().strip().replace("-", "")[:12]
    except OSError:
        return "unknown"
