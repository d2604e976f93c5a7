from collections.abc import Iterator

import pytest

from tests.client.chat_server import ChatServer


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    """A loopback server that speaks the OpenAI protocol."""
    server = ChatServer()
    yield server
    server.close()
