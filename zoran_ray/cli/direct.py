"""A provider's model asked from this process, without a server: same face as the client of one.

What a server does around a request (limits, budgets, retries, fallbacks, accounts) does not happen here.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Coroutine, Generator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from zoran_ray.client import Delta, Message
from zoran_ray.client.requests import chat_body
from zoran_ray.client.stream import DeltaReader
from zoran_ray.engines.catalogue import Catalogue
from zoran_ray.engines.protocol import Engine, EngineReply, EngineRequest
from zoran_ray.engines.providers.build import Engines
from zoran_ray.errors import ConfigError, DeadlineExceeded, InvalidRequest
from zoran_ray.models_file import ModelsFile
from zoran_ray.offers import ArmSpec
from zoran_ray.wire import Endpoint

Found = TypeVar("Found")


class DirectClient:
    """Asks arms themselves. Used by one thread at a time, in a `with`.

    Args:
        file: The models file.
        environ: Where keys are.
        stall_s: Longest silence in an answer, in seconds.
        whole_s: Longest that one answer may take, in seconds.
    """

    def __init__(
        self, file: ModelsFile, environ: Mapping[str, str], stall_s: float, whole_s: float
    ) -> None:
        self._catalogue = Catalogue(file)
        self._engines = Engines(environ)
        self._engine: Engine | None = None
        self._stall_s = stall_s
        self._whole_s = whole_s
        # One loop for all answers: connections stay open between them and belong to it.
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        try:
            self._runner.run(self._engines.close())
        finally:
            self._runner.close()

    def chat(
        self, messages: str | Sequence[Message], model: str | None = None, *, stream: Literal[True]
    ) -> Generator[Delta, None, None]:
        """Ask an arm; the request is sent when the first piece is asked for.

        Args:
            model: An arm's public name; None for the first.

        Raises:
            ConfigError: There is no arm, or its key is missing.
            ModelNotFound: There is no such arm.
            InvalidRequest: It is a model of this machine.
            ZoranError: The provider did not answer, or broke off.
        """
        arm = self._arm(model)
        return self._answer(arm, chat_body(messages, arm.name, stream=stream, extra={}))

    def _arm(self, name: str | None) -> ArmSpec:
        if name is None:
            if not self._catalogue.arms:
                raise ConfigError(
                    "There is no arm to ask without a server: name a file with `arms` by --models-file.",
                    param="models_file",
                )
            return self._catalogue.arms[0]
        local = any(name in (model.name, model.public_name) for model in self._catalogue.models)
        if local or name.startswith("local/"):
            raise InvalidRequest(
                f"'{name[:128]}' is a model of this machine, which only a server loads: start one with "
                "`zoran serve` and leave --direct out.",
                param="model",
            )
        found = self._catalogue[name]
        assert isinstance(found, ArmSpec)
        return found

    def _answer(self, arm: ArmSpec, body: dict[str, Any]) -> Generator[Delta, None, None]:
        reader = DeltaReader()
        chunks = self._chunks(arm, body)
        try:
            while (chunk := self._run(_next(chunks))) is not None:
                yield from reader.feed(chunk)
            reader.end()
        finally:
            self._run(chunks.aclose())

    async def _chunks(self, arm: ArmSpec, body: dict[str, Any]) -> AsyncGenerator[bytes, None]:
        reply = await self._begun(arm, body)
        try:
            async with aclosing(reply.chunks()) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            await reply.close()

    async def _begun(self, arm: ArmSpec, body: dict[str, Any]) -> EngineReply:
        engine = self._engine = self._engines.build(arm, self._engine)
        request = EngineRequest(
            Endpoint.CHAT_COMPLETIONS,
            body,
            request_id=f"chat-{uuid.uuid4().hex}",
            deadline=time.monotonic() + self._whole_s,
            stall_s=self._stall_s,
        )
        try:
            async with asyncio.timeout(arm.timeout_s):
                return await engine.open(request)
        except TimeoutError:
            raise DeadlineExceeded(f"{arm.name} did not answer within {arm.timeout_s:g} s.") from None

    def _run(self, work: Coroutine[Any, Any, Found]) -> Found:
        return self._runner.run(work)


async def _next(chunks: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(chunks, None)
