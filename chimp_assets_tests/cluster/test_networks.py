"""Networks of hosts do not meet: not in one process, not in two, and not with what a killed one has left."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from chimp_assets_tests.paths import REPOSITORY
from chimp_assets_tests.support.cluster.hosts import Host, has_namespaces
from chimp_assets_tests.support.cluster.network import Network, left_of, remove_left

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not has_namespaces(), reason="namespaces need root, iproute2 and util-linux"),
]

# Prints its network's number, and waits with a host on it whose process says on which side it runs.
_HOLDS = """
import sys, time
from pathlib import Path
from chimp_assets_tests.support.cluster.hosts import Host
from chimp_assets_tests.support.cluster.network import Network

with Network(isolated=True) as network:
    host = Host("a", Path(sys.argv[1]), network, {})
    host.start("sleep", "sh", "-c", "echo up; exec sleep 600")
    while "up" not in host.log("sleep").read_text():
        time.sleep(0.05)
    print(network.number, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="chimp-networks-", dir="/var/tmp") as made:
        yield Path(made)


def test_networks_follow_each_other_in_one_process(folder: Path) -> None:
    """The kernel takes its time with the links of a deleted namespace; their names were in use meanwhile."""
    numbers = []
    for turn in range(3):
        with Network(isolated=True) as network:
            for name in ("a", "b"):
                host = Host(name, folder / f"{name}{turn}", network, {})
                host.start("sleep", "sleep", "600")
                assert host.address in host.run("ip", "-brief", "address", "show", "dev", "eth0")
            numbers.append(network.number)
            # Ends with processes on its hosts, as after an error.
        assert network.number is not None
        assert left_of(network.number) == []


def test_two_networks_at_once_share_nothing(folder: Path) -> None:
    with Network(isolated=True) as one, Network(isolated=True) as other:
        here, there = (Host("a", folder / str(network.number), network, {}) for network in (one, other))
        assert here.address != there.address
        assert one.address != other.address
        assert one.number is not None
        assert len(left_of(one.number)) == 3  # a bridge, a link, a namespace
        assert remove_left() == [], "both are in use"


def test_what_a_killed_run_has_left_is_removed_by_the_next(folder: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDS, str(folder / "host")], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    number = int(holder.stdout.readline())
    with Network(isolated=True) as network:
        assert network.number != number
    assert len(left_of(number)) == 3, "it lives"
    holder.send_signal(signal.SIGKILL)
    holder.wait(60)
    with Network(isolated=True):
        pass
    assert left_of(number) == []
