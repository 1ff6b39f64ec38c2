"""The page as two servers on hosts of their own: network and mount namespaces that share database and store alone.

The same tests as those of two processes (`web.test_replicas`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from chimp_assets_tests.support.databases import Server
from chimp_assets_tests.web import test_replicas as same
from chimp_assets_tests.web.replicas import Pages, Place, two_pages

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="namespaces need root and iproute2"),
]

BRIDGE, HERE = "chimppages", "10.79.0.1"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[Place]]:
    """Two namespaces at a bridge."""
    names = ["chimppage1", "chimppage2"]
    try:
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{HERE}/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        for n, name in enumerate(names):
            _ip("netns", "add", name)
            _ip("link", "add", f"{name}v", "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", f"{name}v", "master", BRIDGE, "up")
            _ip("-n", name, "addr", "add", f"10.79.0.{n + 2}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")
        yield [
            Place(f"10.79.0.{n + 2}", ("ip", "netns", "exec", name, "unshare", "--mount"))
            for n, name in enumerate(names)
        ]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", BRIDGE], check=False, capture_output=True)


@pytest.fixture(scope="module")
def pages(postgresql: Server, hosts: list[Place], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with two_pages(postgresql, tmp_path_factory.mktemp("hosts"), hosts, HERE) as running:
        yield running


# In this order: the last one ends a server.
test_labels = same.test_what_one_server_gives_out_the_other_takes_back
test_pictures = same.test_pictures_come_from_either_server
test_signing_out = same.test_who_is_out_at_one_server_is_out_at_the_other
test_guessing = same.test_a_guesser_has_as_many_attempts_at_two_servers_as_at_one
test_provider = same.test_who_leaves_for_the_provider_from_one_server_comes_back_at_the_other
test_ending = same.test_a_server_that_is_asked_to_end_loses_no_request
