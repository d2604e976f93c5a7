"""One locked server for the tests of this folder that need a whole one."""

from collections.abc import Iterator

import pytest

from tests.security.locked import Locked, locked_server


@pytest.fixture(scope="session")
def locked() -> Iterator[Locked]:
    with locked_server() as server:
        yield server
