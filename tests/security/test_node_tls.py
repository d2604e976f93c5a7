"""Ray's mutual TLS between nodes: who has no certificate of the cluster's own authority reaches nothing."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.stack import until
from tests.security.pairs import Authority, Pair
from tests.security.ray_head import TOKEN, Head, ray_head
from zoran_ray.cli.head_check import require_fit
from zoran_ray.errors import Unreachable
from zoran_ray.ray_start import Endpoint

pytestmark = pytest.mark.integration

NODES = (
    "import sys; from ray._raylet import GcsClient\n"
    "print(sum(n.state == 0 for n in GcsClient(address=sys.argv[1]).get_all_node_info().values()))"
)


def variables(authority: Authority, pair: Pair) -> dict[str, str]:
    """What Ray reads."""
    return {
        "RAY_USE_TLS": "1",
        "RAY_TLS_SERVER_CERT": str(pair.certificate),
        "RAY_TLS_SERVER_KEY": str(pair.key),
        "RAY_TLS_CA_CERT": str(authority.file),
    }


def this_node() -> str:
    from ray.util import get_node_ip_address

    return str(get_node_ip_address())


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    folder = tmp_path_factory.mktemp("pairs")
    authority = Authority(folder)
    with ray_head(variables(authority, authority.pair("node", addresses=[this_node()]))) as found:
        yield found


def test_with_a_certificate_and_the_token_a_node_joins(head: Head) -> None:
    require_fit(Endpoint("127.0.0.1", head.port), head.variables)
    with (head.folder / "join.log").open("wb") as log:
        joining = subprocess.Popen(head.joining(TOKEN), env=head.variables, stdout=log, stderr=log)
    try:
        until("there are two nodes", lambda: head.run(NODES).strip() == "2", 90, every_s=1)
    finally:
        joining.terminate()
        joining.wait(60)


@pytest.mark.parametrize("whose", ["none", "another authority's"])
def test_the_token_alone_does_not_reach_the_head(head: Head, whose: str, tmp_path: Path) -> None:
    given = {name: value for name, value in head.variables.items() if "TLS" not in name}
    if whose != "none":
        stranger = Authority(tmp_path)
        given |= variables(stranger, stranger.pair("node", addresses=[this_node()]))
        given["RAY_TLS_CA_CERT"] = head.variables["RAY_TLS_CA_CERT"]
    with pytest.raises(Unreachable):
        require_fit(Endpoint("127.0.0.1", head.port), given, patience_s=8)
