"""The page as two servers on hosts of their own: network and mount namespaces that share database and store alone.

The same tests as those of two processes (`web.test_replicas`).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chimp_assets_tests.support.cluster.hosts import has_namespaces
from chimp_assets_tests.support.cluster.network import Network
from chimp_assets_tests.support.databases import Server
from chimp_assets_tests.web import test_replicas as same
from chimp_assets_tests.web.replicas import Pages, Place, two_pages

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not has_namespaces(), reason="namespaces need root, iproute2 and util-linux"),
]


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with Network(isolated=True) as made:
        yield made


@pytest.fixture(scope="module")
def pages(postgresql: Server, network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Two namespaces at a bridge."""
    places = []
    for name in ("page1", "page2"):
        namespace, address = network.join(name)
        places.append(Place(address, ("ip", "netns", "exec", str(namespace), "unshare", "--mount")))
    with two_pages(postgresql, tmp_path_factory.mktemp("hosts"), places, network.address) as running:
        yield running


# In this order: the last one ends a server.
test_labels = same.test_what_one_server_gives_out_the_other_takes_back
test_pictures = same.test_pictures_come_from_either_server
test_signing_out = same.test_who_is_out_at_one_server_is_out_at_the_other
test_guessing = same.test_a_guesser_has_as_many_attempts_at_two_servers_as_at_one
test_provider = same.test_who_leaves_for_the_provider_from_one_server_comes_back_at_the_other
test_ending = same.test_a_server_that_is_asked_to_end_loses_no_request
