"""The model that a strategy asks: a replica served here, or a provider's, for all calls of one request.

All calls go to one replica while it is there, so that what their prompts share is in its cache. What a
call may cost is set aside before and settled after. Once the request is over no call begins any more, and
those under way are cancelled. Knows no strategy.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import orjson

from serve_apps.gateway.exchange import Exchange
from serve_apps.gateway.local_relay import salt
from serve_apps.gateway.one_replica import OneReplica
from serve_apps.gateway.provider_relay import DEADLINE_MARGIN_S
from serve_apps.gateway.replica_tries import try_replicas
from serve_apps.gateway.thinking_answer import choices_of, parsed
from serve_apps.gateway.thinking_reach import Reach
from serve_apps.gateway.thinking_stream import Spoken, of_provider, of_replica
from serve_apps.gateway.turn import turn
from zoran_ray.engines.protocol import EngineRequest
from zoran_ray.engines.retry import Tries
from zoran_ray.errors import BudgetExceeded, DeadlineExceeded, Unavailable, ZoranError
from zoran_ray.messages import ReplicaInfo
from zoran_ray.reasoning.budget import BudgetSpent
from zoran_ray.reasoning.completion import (
    NOTHING_USED,
    Completions,
    Hear,
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
_STREAMED = {
    "stream": True,
    # With each event the tokens so far: what is cut in the middle is counted all the same.
    "stream_options": {"include_usage": True, "continuous_usage_stats": True},
}
_MANY = frozenset({"openai", "mistral", "vllm", "openai_compatible"})
"""Providers that know `n`."""
_WITHOUT_CHOICE = frozenset({"ollama"})
"""Providers that do not know `tool_choice`: that no tool is to be called is said in words too."""


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
        self._longest, self._context = reach.limits(name, exchange.body.max_tokens)
        self._provider = reach.provider(name) if self._remote else ""
        self._single = self._remote and self._provider not in _MANY
        body = exchange.body.document
        self._extra = {field: body[field] for field in _PASSED if body.get(field) is not None}
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._since = 0.0
        self.used = NOTHING_USED
        self.waited_s = 0.0
        self.trouble: ZoranError | None = None

    @property
    def calls_tools(self) -> bool:
        """Whether the catalogue says that it takes tools."""
        catalogue = self._reach.arms.catalogue
        return self._name in catalogue and "tools" in catalogue[self._name].capabilities

    def most(self, messages: Sequence[Message], sampling: Sampling) -> Used:
        """The most that a call may use. Its prompt's tokens are what such prompts have had, with room."""
        size = _size(messages, sampling)
        prompt = self._bounded(self._reach.sizes.most_tokens(self._name, size))
        longest, times = self._longest_of(sampling), sampling.n if self._single else 1
        nano = self._most_nano(size, longest, sampling.n, times)
        return Used(times, prompt * times, 0, longest * sampling.n, nano)

    async def __call__(
        self, messages: Sequence[Message], sampling: Sampling, *, deadline: float
    ) -> Completions:
        """See `reasoning.Complete`."""
        return await self._in_time(messages, sampling, deadline)

    async def spoken(
        self, messages: Sequence[Message], sampling: Sampling, hear: Hear, *, deadline: float
    ) -> Completions:
        """See `reasoning.Speaks`."""
        return await self._in_time(messages, sampling, deadline, Spoken(hear))

    async def _in_time(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        deadline: float,
        spoken: Spoken | None = None,
    ) -> Completions:
        if self._closed:
            raise Unavailable("This request is over; ask anew.")
        with self._running_call():
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    if spoken is None:
                        return await self._ask(messages, sampling, deadline)
                    return await self._once(messages, sampling, 1, deadline, spoken)
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
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        n: int,
        deadline: float,
        spoken: Spoken | None = None,
    ) -> Completions:
        document = self._document(messages, sampling, n)
        size = _size(messages, sampling)
        most = self._most_nano(size, self._longest_of(sampling), n)
        self._exchange.account.tries += 1
        if self._remote:
            return await self._of_provider(document, size, most, deadline, spoken)
        async with self._exchange.tab.aside(most) as settle:
            settle(0)  # of a call that is cut nobody knows what it used, unless it was streamed
            try:
                data = await self._of_replica(document, spoken)
            except asyncio.CancelledError:
                if spoken is not None and spoken.usage is not None:
                    settle(self._cut(spoken.usage))
                raise
            used, answer = self._read(data, size)
            settle(used.nano_usd)
        return answer

    def _document(self, messages: Sequence[Message], sampling: Sampling, n: int) -> dict[str, Any]:
        document: dict[str, Any] = {
            "model": self._name,
            "messages": list(messages),  # whoever translates them wants what JSON has
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
        if sampling.tools:
            document["tools"] = list(sampling.tools)
        if not sampling.may_call and self._provider not in _WITHOUT_CHOICE:
            document["tool_choice"] = "none"
        return document

    async def _of_replica(self, document: dict[str, Any], spoken: Spoken | None) -> bytes:
        reach, exchange = self._reach, self._exchange
        order = turn(exchange, reach.arms.catalogue, self._name)
        streamed = {} if spoken is None else _STREAMED
        sent = orjson.dumps(document | streamed | salt(exchange.key, document.get("cache_salt")) | order)
        number = exchange.account.tries
        headers = {**exchange.headers, "x-request-id": f"{exchange.request_id}-{number}"}
        ask = partial(self._of_one, sent=sent, headers=headers, spoken=spoken)
        model = reach.fleet.model(self._name)
        return await try_replicas(reach.fleet, self._home, model, ask, exchange.body.affinity)

    async def _of_one(
        self, replica: ReplicaInfo, sent: bytes, headers: Mapping[str, str], spoken: Spoken | None
    ) -> bytes:
        reply = await self._reach.upstream.open(replica, _CHAT.path, sent, headers)
        try:
            if spoken is not None and reply.streamed and reply.status < 300:
                return await of_replica(reply, spoken, replica)
            data = await reply.whole()
        finally:
            reply.close()  # cut before its end, the engine stops
        if reply.status >= 300:
            raise normalise_upstream(reply.status, data)
        return data

    async def _of_provider(
        self,
        document: dict[str, Any],
        size: int,
        most: int,
        deadline: float,
        spoken: Spoken | None,
    ) -> Completions:
        deadline -= DEADLINE_MARGIN_S
        if spoken is not None:
            document["stream"] = True
        request = EngineRequest(_CHAT, document, self._exchange.request_id, deadline)

        async def ask(name: str) -> Completions:
            async with self._exchange.tab.aside(most) as settle:
                settle(0)
                async with self._reach.arms.asking(name, deadline) as engine:
                    try:
                        data = await of_provider(engine, request, spoken)
                    except (asyncio.CancelledError, DeadlineExceeded):
                        # The provider has the prompt, and may well charge for it.
                        told = None if spoken is None else spoken.usage
                        made = told or Usage()
                        prompt = made.prompt_tokens or self._reach.sizes.tokens(name, size)
                        settle(self._cut(replace(made, prompt_tokens=prompt)))
                        raise
                used, answer = self._read(data, size)
                settle(used.nano_usd)
                return answer

        return await Tries((self._name,), deadline, clock=time.monotonic).run(ask, began=lambda: False)

    def _read(self, data: bytes, size: int) -> tuple[Used, Completions]:
        """An answer and what it used. Raises: UpstreamError: It is none."""
        document = parsed(data)
        usage = usage_of(document) or Usage(self._reach.sizes.tokens(self._name, size))
        self._reach.sizes.saw(self._name, size, usage.prompt_tokens)
        used = self._counted(usage)
        self.used += used
        return used, Completions(choices_of(document), used)

    def _cut(self, usage: Usage) -> int:
        """Counts what a call did use that was cut. Returns: What that costs, in billionths of a USD."""
        used = self._counted(usage)
        self.used += used
        return used.nano_usd

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


def _size(messages: Sequence[Message], sampling: Sampling) -> int:
    """Bytes of what a model reads: the conversation, and the tools it may call."""
    tools = len(orjson.dumps(sampling.tools)) if sampling.tools else 0
    return len(orjson.dumps(messages)) + tools
