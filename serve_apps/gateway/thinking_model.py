"""The model that a strategy asks: a replica served here, or a provider's, for all calls of one request.

All calls go to one replica while it is there, so that what their prompts share is in its cache. What a
call may cost is set aside before and settled after. Once the request is over no call begins any more, and
those under way are cancelled. Knows no strategy.
"""

import asyncio
import contextlib
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from serve_apps.gateway.arm import Asked
from serve_apps.gateway.arms import Arms
from serve_apps.gateway.exchange import Exchange
from serve_apps.gateway.local_relay import salt
from serve_apps.gateway.prompt_sizes import PromptSizes
from serve_apps.gateway.provider_relay import DEADLINE_MARGIN_S
from serve_apps.gateway.replica_tries import try_replicas
from serve_apps.gateway.turn import turn
from serve_apps.gateway.upstream import Upstream
from serve_apps.gateway.waiting import WaitingRoom
from zoran_ray.engines.fleet import Fleet
from zoran_ray.engines.protocol import EngineRequest
from zoran_ray.engines.retry import Tries
from zoran_ray.errors import BudgetExceeded, DeadlineExceeded, Unavailable, UpstreamError, ZoranError
from zoran_ray.messages import ModelInfo, ReplicaInfo
from zoran_ray.offers import ArmSpec
from zoran_ray.reasoning.budget import BudgetSpent
from zoran_ray.reasoning.completion import (
    NOTHING_USED,
    Completion,
    Completions,
    Message,
    Sampling,
    Used,
)
from zoran_ray.wire import Endpoint, Usage, normalise_upstream, usage_of

_CHAT = Endpoint.CHAT_COMPLETIONS
_TEMPLATE_TOKENS = 64
"""What a provider's own template adds to a prompt."""
_PASSED = (
    *("top_p", "top_k", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty"),
    *("chat_template_kwargs", "reasoning_effort", "priority", "seed"),
)
"""Members of the caller's body that go along with every call."""
_MANY = frozenset({"openai", "mistral", "vllm", "openai_compatible"})
"""Providers that know `n`."""


@dataclass(frozen=True, slots=True)
class Reach:
    """A gateway's own ways to ask a model."""

    fleet: Fleet
    upstream: Upstream
    waiting: WaitingRoom
    arms: Arms
    sizes: PromptSizes


class OneReplica:
    """Gives all calls of a request the replica that the first one got, until it is lost."""

    def __init__(self, waiting: WaitingRoom) -> None:
        self._waiting = waiting
        self._choosing = asyncio.Lock()
        self._home: ReplicaInfo | None = None

    async def replica(
        self, model: ModelInfo, affinity: int | None = None, tried: Collection[str] = ()
    ) -> ReplicaInfo:
        """As `WaitingRoom.replica`; of calls that come together one chooses for all."""
        async with self._choosing:
            if self._home is None or self._home.replica_id in tried:
                self._home = await self._waiting.replica(model, affinity, tried)
            return self._home


class InnerModel:
    """One model for one request; see `reasoning.Complete`.

    Args:
        name: Its public name.
        exchange: The request as the model may see it.

    Attributes:
        used: What all calls did use, those that failed too.
        waited_s: Time in which at least one call was under way, in seconds.
        trouble: Why a call failed, of several the last.
    """

    def __init__(self, name: str, reach: Reach, exchange: Exchange) -> None:
        self._name = name
        self._reach = reach
        self._exchange = exchange
        self._home = OneReplica(reach.waiting)
        self._remote = reach.arms.is_remote(name)
        self._longest, self._context = _limits(name, reach, exchange.body.max_tokens)
        self._single = self._remote and _provider(reach.arms, name) not in _MANY
        body = exchange.body.document
        self._extra = {field: body[field] for field in _PASSED if body.get(field) is not None}
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._since = 0.0
        self.used = NOTHING_USED
        self.waited_s = 0.0
        self.trouble: ZoranError | None = None

    def most(self, messages: Sequence[Message], sampling: Sampling) -> Used:
        """The most that a call may use. Its prompt's tokens are what such prompts have had, with room."""
        size = len(orjson.dumps(messages))
        prompt = self._bounded(self._reach.sizes.most_tokens(self._name, size))
        longest, times = self._longest_of(sampling), sampling.n if self._single else 1
        nano = self._most_nano(size, longest, sampling.n, times)
        return Used(times, prompt * times, 0, longest * sampling.n, nano)

    async def __call__(
        self, messages: Sequence[Message], sampling: Sampling, *, deadline: float
    ) -> Completions:
        """See `reasoning.Complete`."""
        if self._closed:
            raise Unavailable("This request is over; ask anew.")
        with self._running_call():
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    return await self._ask(messages, sampling, deadline)
            except TimeoutError:
                raise DeadlineExceeded(
                    f"'{self._name}' did not answer in the time that was left."
                ) from None
            except BudgetExceeded as error:
                self.trouble = error
                if not self.used.calls:
                    raise
                # Of the key's own budget; what was found so far is paid for and worth telling.
                raise BudgetSpent("usd") from None
            except ZoranError as error:
                self.trouble = error
                raise

    def close(self) -> None:
        """No call begins from now on, and those under way are cancelled."""
        self._closed = True
        for task in self._running:
            task.cancel()

    async def _ask(self, messages: Sequence[Message], sampling: Sampling, deadline: float) -> Completions:
        if not self._single or sampling.n == 1:
            return await self._once(messages, sampling, sampling.n, deadline)
        try:
            async with asyncio.TaskGroup() as group:
                asked = [
                    group.create_task(self._once(messages, sampling, 1, deadline))
                    for _ in range(sampling.n)
                ]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        each = [task.result() for task in asked]
        choices = tuple(choice for one in each for choice in one.choices)
        return Completions(choices, sum((one.used for one in each), NOTHING_USED))

    async def _once(
        self, messages: Sequence[Message], sampling: Sampling, n: int, deadline: float
    ) -> Completions:
        document = self._document(messages, sampling, n)
        size = len(orjson.dumps(messages))
        most = self._most_nano(size, self._longest_of(sampling), n)
        self._exchange.account.tries += 1
        if self._remote:
            return await self._of_provider(document, size, most, deadline)
        async with self._exchange.tab.aside(most) as settle:
            settle(0)  # of a call that is cut nobody knows what it used; as for any other request
            used, answer = self._read(await self._of_replica(document), size)
            settle(used.nano_usd)
        return answer

    def _document(self, messages: Sequence[Message], sampling: Sampling, n: int) -> dict[str, Any]:
        document: dict[str, Any] = {
            "model": self._name,
            "messages": messages,
            **self._extra,
            "temperature": sampling.temperature,
            "max_tokens": self._longest_of(sampling),
        }
        if n > 1:
            document["n"] = n
        if sampling.stop:
            document["stop"] = list(sampling.stop)
        if sampling.seed is not None:
            document["seed"] = sampling.seed
        return document

    async def _of_replica(self, document: dict[str, Any]) -> bytes:
        reach, exchange = self._reach, self._exchange
        order = turn(exchange, reach.arms.catalogue, self._name)
        sent = orjson.dumps(document | salt(exchange.key) | order)
        number = exchange.account.tries
        headers = {**exchange.headers, "x-request-id": f"{exchange.request_id}-{number}"}
        ask = partial(self._of_one, sent=sent, headers=headers)
        model = reach.fleet.model(self._name)
        return await try_replicas(reach.fleet, self._home, model, ask, exchange.body.affinity)

    async def _of_one(self, replica: ReplicaInfo, sent: bytes, headers: Mapping[str, str]) -> bytes:
        reply = await self._reach.upstream.open(replica, _CHAT.path, sent, headers)
        try:
            data = await reply.whole()
        finally:
            reply.close()  # cut before its end, the engine stops
        if reply.status >= 300:
            raise normalise_upstream(reply.status, data)
        return data

    async def _of_provider(
        self, document: dict[str, Any], size: int, most: int, deadline: float
    ) -> Completions:
        deadline -= DEADLINE_MARGIN_S
        request = EngineRequest(_CHAT, document, self._exchange.request_id, deadline)

        async def ask(name: str) -> Completions:
            async with self._exchange.tab.aside(most) as settle:
                settle(0)
                async with self._reach.arms.asking(name, deadline) as engine:
                    try:
                        data = await _whole(engine, request)
                    except (asyncio.CancelledError, DeadlineExceeded):
                        # The provider has the prompt, and may well charge for it.
                        prompt = self._reach.sizes.tokens(name, size)
                        sent = self._counted(Usage(prompt_tokens=prompt))
                        self.used += sent
                        settle(sent.nano_usd)
                        raise
                used, answer = self._read(data, size)
                settle(used.nano_usd)
                return answer

        return await Tries((self._name,), deadline, clock=time.monotonic).run(ask, began=lambda: False)

    def _read(self, data: bytes, size: int) -> tuple[Used, Completions]:
        """An answer and what it used. Raises: UpstreamError: It is none."""
        document = _parsed(data)
        usage = usage_of(document) or Usage(self._reach.sizes.tokens(self._name, size))
        self._reach.sizes.saw(self._name, size, usage.prompt_tokens)
        used = self._counted(usage)
        self.used += used
        return used, Completions(_choices(document), used)

    def _counted(self, usage: Usage) -> Used:
        catalogue = self._reach.arms.catalogue
        nano = catalogue.cost_nano_usd(self._name, usage) if self._name in catalogue else 0
        cached = min(usage.cached_tokens, usage.prompt_tokens)
        return Used(1, usage.prompt_tokens, cached, usage.completion_tokens, nano)

    def _most_nano(self, size: int, longest: int, n: int, times: int = 1) -> int:
        """A token is at least a byte, so bytes bound what a prompt costs."""
        catalogue, name = self._reach.arms.catalogue, self._name
        if name not in catalogue or catalogue.prices(name).free:
            return 0
        prompt = self._bounded(size + _TEMPLATE_TOKENS)
        one = catalogue.most_nano_usd(name, prompt, longest, n if times == 1 else 1)
        return one * times

    def _longest_of(self, sampling: Sampling) -> int:
        return max(1, min(sampling.max_tokens, self._longest))

    def _bounded(self, tokens: int) -> int:
        return min(tokens, self._context) if self._context else tokens

    @contextlib.contextmanager
    def _running_call(self) -> Iterator[None]:
        """Notes that the current task asks the model."""
        task = asyncio.current_task()
        assert task is not None
        if not self._running:
            self._since = time.perf_counter()
        self._running.add(task)
        try:
            yield
        finally:
            self._running.discard(task)
            if not self._running:
                self.waited_s += time.perf_counter() - self._since


def _limits(name: str, reach: Reach, asked: int | None) -> tuple[int, int]:
    """Longest answer and context of a model, in tokens; 0 where nobody knows the context."""
    catalogue = reach.arms.catalogue
    entry = None
    if name in catalogue:
        entry = catalogue[name]
    context = (entry.context_tokens if entry else None) or reach.fleet.context_tokens(name)
    most = entry.max_output_tokens if entry else None
    known = [limit for limit in (asked, most, context) if limit]
    return min(known, default=2**31), context


def _provider(arms: Arms, name: str) -> str:
    entry = arms.catalogue[name]
    return entry.provider if isinstance(entry, ArmSpec) else ""


async def _whole(engine: Asked, request: EngineRequest) -> bytes:
    reply = await engine.open(request)
    try:
        return await reply.whole()
    finally:
        await reply.close()


def _parsed(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        # Without its cause, which carries the whole answer.
        raise UpstreamError("The engine's answer is not valid JSON; try again.") from None


def _choices(document: Any) -> tuple[Completion, ...]:
    """The answers in a chat completion, in order."""
    try:
        choices = sorted(document["choices"], key=lambda choice: choice.get("index", 0))
        found = tuple(
            Completion(_text(choice["message"]), str(choice.get("finish_reason") or "stop"))
            for choice in choices
        )
    except (KeyError, TypeError, AttributeError):
        found = ()
    if not found:
        raise UpstreamError("The engine's answer holds no choice; try again.")
    return found


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else ""
