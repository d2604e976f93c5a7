"""The model of a benchmark: one of a server with OpenAI's chat completions, and a clock around any."""

import time
from collections.abc import Sequence
from typing import Any

from zoran_ray.client import AsyncClient
from zoran_ray.errors import UpstreamError
from zoran_ray.reasoning.completion import Complete, Completion, Completions, Message, Sampling, Used

_TEMPLATE_TOKENS = 64
"""What a chat template adds to a prompt, at most."""


class ServedModel:
    """One model of a server; see `Complete`.

    Args:
        client: Of the server.
        name: The model's name there.
    """

    def __init__(self, client: AsyncClient, name: str) -> None:
        self._client = client
        self._name = name

    async def __call__(
        self, messages: Sequence[Message], sampling: Sampling, *, deadline: float
    ) -> Completions:
        """As `Complete`; the caller bounds the time. Raises: ZoranError: As `AsyncClient.ask`."""
        body: dict[str, Any] = {
            "model": self._name, "messages": list(messages), "n": sampling.n,
            "temperature": sampling.temperature, "max_tokens": sampling.max_tokens,
        }  # fmt: skip
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        return _read(await self._client.ask("POST", "chat/completions", body))

    def most(self, messages: Sequence[Message], sampling: Sampling) -> Used:
        """The most that a call may use: a token is at least a byte."""
        size = sum(len(str(message.get("content")).encode(errors="replace")) for message in messages)
        return Used(sampling.n, size + _TEMPLATE_TOKENS, 0, sampling.n * sampling.max_tokens)


class Timed:
    """Any model, with the time that its calls took.

    Attributes:
        busy_s: Time in which at least one call was under way, in seconds.
        calls_s: All calls' times added up, in seconds.
        requests: How many there were.
    """

    def __init__(self, model: Complete) -> None:
        self._model = model
        self._running = 0
        self._since = 0.0
        self.busy_s = self.calls_s = 0.0
        self.requests = 0

    async def __call__(
        self, messages: Sequence[Message], sampling: Sampling, *, deadline: float
    ) -> Completions:
        """As `Complete`."""
        began = time.perf_counter()
        if not self._running:
            self._since = began
        self._running += 1
        self.requests += 1
        try:
            return await self._model(messages, sampling, deadline=deadline)
        finally:
            ended = time.perf_counter()
            self._running -= 1
            self.calls_s += ended - began
            if not self._running:
                self.busy_s += ended - self._since

    def most(self, messages: Sequence[Message], sampling: Sampling) -> Used:
        """As `Complete`."""
        return self._model.most(messages, sampling)


def _read(document: Any) -> Completions:
    try:
        choices = sorted(document["choices"], key=lambda choice: int(choice.get("index", 0)))
        said = tuple(
            Completion(str(choice["message"]["content"] or ""), str(choice.get("finish_reason") or "stop"))
            for choice in choices
        )
        usage = document["usage"]
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        used = Used(len(said), int(usage["prompt_tokens"]), int(cached), int(usage["completion_tokens"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UpstreamError("The server's answer is no chat completion with its usage.") from None
    return Completions(said, used)
