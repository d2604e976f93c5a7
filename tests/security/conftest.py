"""One locked server for the tests of this folder that need a whole one; certificates for the others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.locked import Locked, locked_server
from tests.security.pairs import Authority, Pair


@pytest.fixture(scope="session")
def locked() -> Iterator[Locked]:
    with locked_server() as server:
        yield server


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A root of trust."""
    return Authority(tmp_path)


@pytest.fixture
def pair(authority: Authority) -> Pair:
    """A certificate and its key."""
    return authority.pair("own")
