"""The inference endpoints: where they are and which dialect they speak. Pure facts, no behaviour."""

from enum import Enum
from typing import Literal

Dialect = Literal["openai", "responses", "anthropic"]
"""Whose error bodies and stream events: chat, completions and embeddings; responses; messages."""


class Endpoint(Enum):
    """One route that carries a request to a model. All of them take POST only.

    Attributes:
        path: Public path, the same at the engine.
        dialect: How errors and stream events look.
        streams: Whether `"stream": true` means something here.
    """

    CHAT_COMPLETIONS = ("/v1/chat/completions", "openai", True)
    COMPLETIONS = ("/v1/completions", "openai", True)
    EMBEDDINGS = ("/v1/embeddings", "openai", False)
    RESPONSES = ("/v1/responses", "responses", True)
    MESSAGES = ("/v1/messages", "anthropic", True)
    COUNT_TOKENS = ("/v1/messages/count_tokens", "anthropic", False)

    def __init__(self, path: str, dialect: Dialect, streams: bool) -> None:
        self.path = path
        self.dialect: Dialect = dialect
        self.streams = streams

    @property
    def method(self) -> str:
        """The one HTTP method allowed, for the `allow` header."""
        return "POST"

    @staticmethod
    def at(path: str) -> "Endpoint | None":
        """The endpoint at exactly this path, if there is one."""
        return _BY_PATH.get(path)


_BY_PATH = {endpoint.path: endpoint for endpoint in Endpoint}
