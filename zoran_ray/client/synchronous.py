"""The blocking client."""

import json
import random
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Literal, Self, overload

import httpx

from zoran_ray.client.answers import Answer, Delta, RemoteModel, read_answer, read_models
from zoran_ray.client.events import EventReader
from zoran_ray.client.failures import connection_failure, status_failure
from zoran_ray.client.requests import Message, chat_body, endpoint, headers, is_loopback, timeouts
from zoran_ray.client.retry import Retries
from zoran_ray.client.stream import DeltaReader
from zoran_ray.errors import ModelNotFound, UpstreamError, ZoranError


class Client:
    """Asks an OpenAI-compatible server. Used by one thread at a time; close it, or use it in a `with`.

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
        transport: httpx.BaseTransport | None = None,
        *,
        retries: int = 2,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.base_url = endpoint(base_url)
        self._timeout_s = timeout_s
        self._retries = retries
        self._clock = clock
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._model: str | None = None
        self._http = httpx.Client(
            base_url=self.base_url,
            headers=headers(api_key),
            timeout=timeouts(timeout_s),
            transport=transport,
            trust_env=not is_loopback(self.base_url),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def models(self) -> tuple[RemoteModel, ...]:
        """What the server offers."""
        return read_models(self.ask("GET", "models"))

    @overload
    def chat(
        self,
        messages: str | Sequence[Message],
        model: str | None = None,
        *,
        stream: Literal[False] = False,
        **extra: Any,
    ) -> Answer: ...

    @overload
    def chat(
        self,
        messages: str | Sequence[Message],
        model: str | None = None,
        *,
        stream: Literal[True],
        **extra: Any,
    ) -> Generator[Delta, None, None]: ...

    def chat(
        self,
        messages: str | Sequence[Message],
        model: str | None = None,
        *,
        stream: bool = False,
        **extra: Any,
    ) -> Answer | Generator[Delta, None, None]:
        """Ask for an answer.

        Args:
            messages: The conversation, or one question.
            model: Who answers; None for the first model the server offers.
            stream: Whether to get the answer piece by piece. The request is sent when the first piece is
                asked for; closing the iterator cancels the rest.
            extra: Further fields of the request: `temperature`, `max_tokens`, `tools`, …

        Raises:
            Unreachable: No server answers there.
            RequestError: The server refused the request.
            Unavailable: It has no room for it now.
            UpstreamError: Its answer is broken or breaks off.
        """
        body = chat_body(messages, model or self._first_model(), stream=stream, extra=extra)
        if stream:
            return self._stream(body)
        return read_answer(self.ask("POST", "chat/completions", body))

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What any other route of the server answers, read as JSON.

        Args:
            method: `GET` or `POST`.
            path: Behind `/v1/`, such as `route/explain`.
            body: Sent as JSON.

        Raises:
            ZoranError: As `chat` does.
        """
        with self._response(method, path, body) as response:
            response.read()
        try:
            return response.json()
        except ValueError:
            raise UpstreamError("The server's answer is not JSON; is the base URL right?") from None

    def text(self, path: str) -> str:
        """What a route that gives plain text answers; args and errors are those of `ask`."""
        with self._response("GET", path, None) as response:
            response.read()
        return response.text

    def events(self, path: str) -> Generator[Any, None, None]:
        """Server-sent events of a route, read as JSON; closing the iterator ends the request.

        Raises:
            ZoranError: As `ask`; UpstreamError: An event is no JSON.
        """
        reader = EventReader()
        with self._response("GET", path, None) as response:
            for chunk in response.iter_bytes():
                for event in reader.feed(chunk):
                    try:
                        yield json.loads(event)
                    except ValueError:
                        raise UpstreamError("The server sent an event that is not JSON.") from None

    def _first_model(self) -> str:
        if self._model is None:
            models = self.models()
            if not models:
                raise ModelNotFound("The server offers no model. Load one with `zoran models load`.")
            self._model = models[0].id
        return self._model

    def _stream(self, body: dict[str, Any]) -> Generator[Delta, None, None]:
        reader = DeltaReader()
        with self._response("POST", "chat/completions", body) as response:
            for chunk in response.iter_bytes():
                yield from reader.feed(chunk)
        reader.end()

    @contextmanager
    def _response(self, method: str, path: str, body: Mapping[str, Any] | None) -> Iterator[httpx.Response]:
        """A successful response whose body is still to be read; reading it fails with our errors."""
        response = self._begun(method, path, body)
        try:
            yield response
        except httpx.RequestError as error:
            raise connection_failure(error, self.base_url, self._timeout_s) from None
        finally:
            response.close()

    def _begun(self, method: str, path: str, body: Mapping[str, Any] | None) -> httpx.Response:
        """Send until the server begins to answer with success."""
        attempts = Retries(self._retries, self._clock() + self._timeout_s, self._clock, self._rng)
        while True:
            try:
                return self._attempt(method, path, body)
            except ZoranError as error:
                wait_s = attempts.wait_s(error)
            self._sleep(wait_s)

    def _attempt(self, method: str, path: str, body: Mapping[str, Any] | None) -> httpx.Response:
        request = self._http.build_request(method, path, json=body)
        try:
            response = self._http.send(request, stream=True)
            if response.is_success:
                return response
            try:
                content = response.read()
            finally:
                response.close()
        except httpx.RequestError as error:
            raise connection_failure(error, self.base_url, self._timeout_s) from None
        raise status_failure(response.status_code, response.headers, content)
