"""One cluster of several hosts for all tests of this folder, whole again after each of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster_hosts.load import Known, learned
from tests.cluster_hosts.network import NotAllowed, Switch, why_not
from tests.cluster_hosts.town import Town

_ORDER = ("test_network.py", "test_cold_start.py", "test_faults_hosts.py", "test_memory_hosts.py")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The cold start is measured before anything else happens; then what breaks, in its own order."""
    own = [item for item in items if item.path.parent == Path(__file__).parent]
    for item in own:
        item.add_marker(pytest.mark.hosts)
        item.add_marker(pytest.mark.timeout(900))
        if "hosts" not in config.option.markexpr:
            item.add_marker(pytest.mark.skip("a cluster of hosts takes minutes: make test-cluster"))
    places = iter(sorted(own, key=lambda item: _ORDER.index(item.path.name)))
    items[:] = [next(places) if item in own else item for item in items]


@pytest.fixture(scope="session")
def switch() -> Iterator[Switch]:
    """The network; nothing is left of it."""
    if reason := why_not():
        pytest.skip(f"NO CLUSTER OF HOSTS WAS TESTED: {reason}")
    try:
        made = Switch()
    except NotAllowed as reason:
        pytest.skip(f"NO CLUSTER OF HOSTS WAS TESTED: {reason}")
    yield made
    made.close()


@pytest.fixture(scope="session")
def begun(switch: Switch) -> Iterator[Town]:
    """A cluster that is starting."""
    made = Town(switch)
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def town(begun: Town, request: pytest.FixtureRequest) -> Iterator[Town]:
    """The cluster with every host answering and every replica serving."""
    begun.until_whole()
    failed = request.session.testsfailed
    yield begun
    if request.session.testsfailed > failed:
        print(begun.told())


@pytest.fixture(scope="session")
def known(begun: Town) -> Known:
    """The right answers."""
    begun.until_whole()
    return learned(begun, "head")
