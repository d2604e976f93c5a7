"""A request that a strategy answers: the strategy runs, its thoughts go out as they come, then the answer.

Knows exchanges, strategies and voices; `thinking_model` asks the model, `traces` keeps what was thought.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from serve_apps.gateway.chat_voice import ChatVoice
from serve_apps.gateway.exchange import Exchange
from serve_apps.gateway.messages_voice import MessagesVoice
from serve_apps.gateway.outgoing import Header
from serve_apps.gateway.responses_voice import ResponsesVoice
from serve_apps.gateway.strategies import Wish
from serve_apps.gateway.thinking_events import Events
from serve_apps.gateway.thinking_model import InnerModel
from serve_apps.gateway.thinking_reach import Reach
from serve_apps.gateway.thinking_search import MemorySearch
from serve_apps.gateway.thinking_talk import conversation_of
from serve_apps.gateway.thinking_voice import Document, Head, Told, Voice
from serve_apps.gateway.tool_desk import ToolDesk
from serve_apps.gateway.trace_record import record_of
from serve_apps.gateway.traces import Traces
from zoran_ray.access import usd
from zoran_ray.agents.outcome import worth
from zoran_ray.errors import DeadlineExceeded, InvalidRequest, ZoranError
from zoran_ray.reasoning.budget import Purse
from zoran_ray.reasoning.strategy import Answer, Ask
from zoran_ray.reasoning.trace import Piece, Trace
from zoran_ray.wire import Dialect, Usage

_MARGIN_S = 0.2
"""A strategy ends this long before its request's time is over, so that its answer can still go out."""
_STOP_S = 1.0
"""Longest that a strategy which was cancelled is waited for."""
_VOICES: dict[Dialect, type[ChatVoice] | type[MessagesVoice] | type[ResponsesVoice]] = {
    "openai": ChatVoice,
    "anthropic": MessagesVoice,
    "responses": ResponsesVoice,
}


@dataclass(frozen=True, slots=True)
class _Run:
    """One request while its strategy runs."""

    exchange: Exchange
    wish: Wish
    head: Head
    voice: Voice
    inner: InnerModel
    trace: Trace
    events: Events


class Thinking:
    """Answers requests to strategies, for one gateway.

    Args:
        reach: Ways to ask a model.
        traces: Keeps what was thought.
        tools: What strategies may use; None for nothing.
        memory: What they may search; None for nothing.
    """

    def __init__(
        self,
        reach: Reach,
        traces: Traces,
        tools: ToolDesk | None = None,
        memory: MemorySearch | None = None,
    ) -> None:
        self._memory = memory
        self._reach = reach
        self._traces = traces
        self._tools = tools

    async def __call__(self, exchange: Exchange, wish: Wish) -> None:
        """Answers one request.

        Args:
            exchange: The request as the inner model may see it.

        Raises:
            InvalidRequest: It asks for what no strategy does, or its budget is too small for one call.
            ZoranError: The model did not answer. The client has a part if `outgoing.status` is set.
        """
        run = self._run(exchange, wish)
        account = exchange.account
        account.begin(wish.inner)
        account.overhead_s = time.perf_counter() - exchange.outgoing.started
        ended, answer = "cancelled", None
        try:
            answer = await self._answered(run)
            ended = answer.ended
            account.score = worth(answer)
        except ZoranError as error:
            ended = f"error:{error.code}"
            raise
        finally:
            self._book(run)
            if run.inner.used.calls:  # what was refused has no trace: it would cost its sender nothing
                used = run.inner.used
                self._traces.keep(record_of(run.head, wish, exchange, run.trace, used, ended, answer))

    def _run(self, exchange: Exchange, wish: Wish) -> _Run:
        body = exchange.body
        head = Head(
            f"trace-{secrets.token_hex(16)}", wish.name, int(time.time()), include_usage=body.include_usage
        )
        events = Events()
        trace = Trace(events.step, spoken=events.piece if body.stream else None)
        inner = InnerModel(wish.inner, self._reach, exchange)
        return _Run(exchange, wish, head, _VOICES[body.endpoint.dialect](head), inner, trace, events)

    async def _answered(self, run: _Run) -> Answer:
        """Runs the strategy and lets the client hear it."""
        exchange = run.exchange
        messages = conversation_of(exchange.body)
        purse = Purse(run.wish.budget, time.monotonic)
        ask = Ask(
            run.inner, purse, run.trace, exchange.deadline - _MARGIN_S, calls_tools=run.inner.calls_tools
        )
        remote = self._reach.arms.is_remote(run.wish.inner)
        if self._memory is not None:
            ask.search = self._memory.of(exchange, run.wish, remote=remote)
        if self._tools is not None:
            ask.tools = self._tools.of(exchange, run.wish, remote=remote)
        async with _working(run, messages, ask) as work:
            async for event in run.events:
                if exchange.body.stream:
                    await self._open(run)
                    said = run.voice.piece(event) if isinstance(event, Piece) else run.voice.step(event)
                    await self._say(run, said)
            answer = work.result()
        _check(answer, run)
        await self._end(run, answer)
        return answer

    async def _end(self, run: _Run, answer: Answer) -> None:
        outgoing, told = run.exchange.outgoing, _told(run, answer)
        if not run.exchange.body.stream:
            outgoing.headers += [_trace_header(run), *_cost(told)]
            await outgoing.whole(200, b"application/json", orjson.dumps(run.voice.whole(told)))
            return
        await self._open(run)
        await self._say(run, run.voice.end(told))
        if run.exchange.body.endpoint.dialect == "openai":
            await outgoing.chunk(b"data: [DONE]\n\n")
        await outgoing.end_stream()

    async def _open(self, run: _Run) -> None:
        """Begins the stream, if it has not begun."""
        outgoing = run.exchange.outgoing
        if not outgoing.status:
            outgoing.headers.append(_trace_header(run))
            await outgoing.open_stream()
            await self._say(run, run.voice.begin())

    async def _say(self, run: _Run, events: Iterable[Document]) -> None:
        """Sends events, those that belong together at once."""
        named = run.exchange.body.endpoint.dialect != "openai"
        framed = [_framed(event, named) for event in events]
        run.exchange.account.events += len(framed)
        await run.exchange.outgoing.chunk(b"".join(framed))

    def _book(self, run: _Run) -> None:
        account, used = run.exchange.account, run.inner.used
        account.usage = Usage(used.prompt_tokens, used.completion_tokens, used.cached_tokens)
        account.cost_nano = run.exchange.tab.spent_nano


@contextlib.asynccontextmanager
async def _working(run: _Run, messages: Any, ask: Ask) -> AsyncIterator["asyncio.Task[Answer]"]:
    """The strategy at work; `run.events` ends with it. Afterwards nothing of it runs any more."""
    work = asyncio.create_task(run.wish.strategy.answer(messages, ask, run.wish.verifier))
    work.add_done_callback(lambda _: run.events.end())
    try:
        yield work
    finally:
        run.inner.close()
        if not work.done():
            work.cancel()
            await asyncio.wait({work}, timeout=_STOP_S)
        if work.done() and not work.cancelled():
            work.exception()  # heard


def _check(answer: Answer, run: _Run) -> None:
    """Raises: ZoranError: No call has succeeded, so there is no answer."""
    if run.trace.calls:
        return
    kind, _, reason = answer.ended.partition(":")
    if run.inner.trouble is not None:
        raise run.inner.trouble
    if kind == "budget" and reason == "wall_s":
        raise DeadlineExceeded(
            "No call of the model ended in 'zoran.budget.wall_s'; allow more.", param="zoran.budget.wall_s"
        )
    if kind == "budget":
        raise InvalidRequest(
            f"'zoran.budget.{reason}' is too small for one call of '{run.wish.inner}'; allow more, or lower"
            " 'zoran.strategy.max_tokens'.",
            param=f"zoran.budget.{reason}",
        )


def _told(run: _Run, answer: Answer) -> Told:
    used = run.inner.used
    zoran = {
        "trace_id": run.head.id,
        "strategy": run.wish.strategy.name,
        "model": run.wish.inner,
        "ended": answer.ended,
        "verified": answer.verified,
        "calls": used.calls,
        "tokens": used.tokens,
        "cached_tokens": used.cached_tokens,
        "cost_usd": usd(used.nano_usd),
        "detail": answer.detail,
    }
    return Told(answer, used, zoran, tuple(run.trace.steps))


def _trace_header(run: _Run) -> Header:
    return b"x-zoran-trace-id", run.head.id.encode()


def _cost(told: Told) -> list[Header]:
    return [(b"x-zoran-cost-usd", f"{usd(told.used.nano_usd):.9f}".encode())]


def _framed(event: Document, named: bool) -> bytes:
    name = b"event: " + str(event["type"]).encode() + b"\n" if named else b""
    return name + b"data: " + orjson.dumps(event, option=orjson.OPT_NON_STR_KEYS) + b"\n\n"
