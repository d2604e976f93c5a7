"""The client for asyncio: the same as the blocking one, awaited."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Literal, Self, overload

import httpx

from zoran_ray.client.answers import Answer, Delta, RemoteModel, read_answer, read_models
from zoran_ray.client.failures import connection_failure, status_failure
from zoran_ray.client.requests import Message, chat_body, endpoint, headers, is_loopback, timeouts
from zoran_ray.client.retry import Retries
from zoran_ray.client.stream import DeltaReader
from zoran_ray.errors import ModelNotFound, UpstreamError, ZoranError


class AsyncClient:
    """Asks an OpenAI-compatible server. Close it, or use it in an `async with`.

    Args:
        base_url: `http://127.0.0.1:8080` or any other, with or without `/v1`.
        api_key: Sent as bearer token; None for a server that needs none.
        timeout_s: Longest silence of the server, and longest time for all attempts together.
        transport: What carries the requests; None for the network.
        retries: Attempts after the first, for failed connections, 429 and 503.
        clock: Monotonic seconds.
        sleep: Waits that many seconds.
        rng: Spreads the waits of many clients.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        timeout_s: float = 600.0,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        retries: int = 2,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.base_url = endpoint(base_url)
        self._timeout_s = timeout_s
        self._retries = retries
        self._clock = clock
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._model: str | None = None
        self._http = httpx.AsyncClient(
            base_url=self.base_url,
            headers=headers(api_key),
            timeout=timeouts(timeout_s),
            transport=transport,
            trust_env=not is_loopback(self.base_url),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def models(self) -> tuple[RemoteModel, ...]:
        """What the server offers."""
        return read_models(await self.ask("GET", "models"))

    @overload
    async def chat(
        self,
        messages: str | Sequence[Message],
        model: str | None = None,
        *,
        stream: Literal[False] = False,
        **extra: Any,
    ) -> Answer: ...

    @overload
    async def chat(
        self,
        messages: str | Sequence[Message],
        model: str | None = None,
        *,
        stream: Literal[True],
        **extra: Any,
    ) -> AsyncGenerator[Delta, None]: ...

    async def chat(
        self,
        messages: str | Sequence[Message],
        model: str | None = None,
        *,
        stream: bool = False,
        **extra: Any,
    ) -> Answer | AsyncGenerator[Delta, None]:
        """Ask for an answer.

        Args:
            messages: The conversation, or one question.
            model: Who answers; None for the first model the server offers.
            stream: Whether to get the answer piece by piece. The request is sent when the first piece is
                asked for; `aclose()` of the iterator cancels the rest.
            extra: Further fields of the request: `temperature`, `max_tokens`, `tools`, …

        Raises:
            Unreachable: No server answers there.
            RequestError: The server refused the request.
            Unavailable: It has no room for it now.
            UpstreamError: Its answer is broken or breaks off.
        """
        body = chat_body(messages, model or await self._first_model(), stream=stream, extra=extra)
        if stream:
            return self._stream(body)
        return read_answer(await self.ask("POST", "chat/completions", body))

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What any other route of the server answers, read as JSON.

        Args:
            method: `GET` or `POST`.
            path: Behind `/v1/`, such as `route/explain`.
            body: Sent as JSON.

        Raises:
            ZoranError: As `chat` does.
        """
        async with self._response(method, path, body) as response:
            await response.aread()
        try:
            return response.json()
        except ValueError:
            raise UpstreamError("The server's answer is not JSON; is the base URL right?") from None

    async def _first_model(self) -> str:
        if self._model is None:
            models = await self.models()
            if not models:
                raise ModelNotFound("The server offers no model. Load one with `zoran models load`.")
            self._model = models[0].id
        return self._model

    async def _stream(self, body: dict[str, Any]) -> AsyncGenerator[Delta, None]:
        reader = DeltaReader()
        async with self._response("POST", "chat/completions", body) as response:
            async for chunk in response.aiter_bytes():
                for delta in reader.feed(chunk):
                    yield delta
        reader.end()

    @asynccontextmanager
    async def _response(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> AsyncIterator[httpx.Response]:
        """A successful response whose body is still to be read; reading it fails with our errors."""
        response = await self._begun(method, path, body)
        try:
            yield response
        except httpx.RequestError as error:
            raise connection_failure(error, self.base_url, self._timeout_s) from None
        finally:
            await response.aclose()

    async def _begun(self, method: str, path: str, body: Mapping[str, Any] | None) -> httpx.Response:
        """Send until the server begins to answer with success."""
        attempts = Retries(self._retries, self._clock() + self._timeout_s, self._clock, self._rng)
        while True:
            try:
                return await self._attempt(method, path, body)
            except ZoranError as error:
                wait_s = attempts.wait_s(error)
            await self._sleep(wait_s)

    async def _attempt(self, method: str, path: str, body: Mapping[str, Any] | None) -> httpx.Response:
        request = self._http.build_request(method, path, json=body)
        try:
            response = await self._http.send(request, stream=True)
            if response.is_success:
                return response
            try:
                content = await response.aread()
            finally:
                await response.aclose()
        except httpx.RequestError as error:
            raise connection_failure(error, self.base_url, self._timeout_s) from None
        raise status_failure(response.status_code, response.headers, content)
