"""What is kept of a request that a strategy answered: a document for its caller, a line for the journal.

The document holds what was asked and said as the model saw it (masked, where the tenant's profile masks).
The journal gets its hash and numbers, and no word of it.
"""

import hashlib
import json
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from serve_apps.gateway.exchange import Exchange
from serve_apps.gateway.strategies import Wish
from serve_apps.gateway.thinking_talk import conversation_of
from serve_apps.gateway.thinking_voice import Head
from serve_apps.gateway.trace_folder import Listed
from zoran_ray.journal import Event, Kind
from zoran_ray.journal.entry import Scalar, token
from zoran_ray.reasoning.completion import Used
from zoran_ray.reasoning.strategy import Answer
from zoran_ray.reasoning.trace import Trace

MOST_BYTES = 16 * 1024 * 1024
"""Of one trace; of a larger one the calls are left out, then the steps, then the messages."""


_AFTER_HEAD = b',"asked":'
"""Stands in no string of JSON, where a quote is escaped."""


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """One trace.

    Attributes:
        tenant: Whose it is.
        document: Everything but messages, steps and calls, for its caller.
        steps: What was thought. Nothing changes any more.
        calls: What the model was asked and said.
        subjects: Whom it is about: who is forgotten takes it along.
        began: When its request began, in Unix seconds.
        messages: The conversation that was to be answered, so that it can be replayed.
    """

    id: str
    tenant: str
    used: Used
    document: dict[str, Any] = field(repr=False)
    steps: list[Any] = field(repr=False)
    calls: list[Any] = field(repr=False)
    subjects: tuple[str, ...] = field(default=(), repr=False)
    began: float | None = None
    messages: list[Any] = field(default_factory=list, repr=False)

    def data(self) -> bytes:
        """The document as JSON."""
        whole = {"messages": self.messages, "steps": self.steps, "calls": self.calls}
        for left_out in ((), ("calls",), ("calls", "steps"), ("calls", "steps", "messages")):
            kept = whole | {name: [] for name in left_out}
            more = {"left_out": list(left_out)} if left_out else {}
            data = _json({**self.document, **more, **kept})
            if len(data) <= MOST_BYTES:
                break
        return data

    def event(self, data: bytes) -> Event:
        """What the journal is told.

        Args:
            data: What `data` gave.
        """
        document, used = self.document, self.used
        meta: dict[str, Scalar] = {
            "trace": self.id,
            "sha256": hashlib.sha256(data).hexdigest(),
            "strategy": token(document["strategy"]),
            "model": token(document["inner_model"]),
            "ended": token(document["ended"]),
            "verified": document["verified"],
            "steps": len(self.steps),
            "calls": used.calls,
            "prompt_tokens": used.prompt_tokens,
            "cached_tokens": used.cached_tokens,
            "completion_tokens": used.completion_tokens,
            "cost_nano_usd": used.nano_usd,
        }
        return Event(Kind.REASONING_TRACE, meta, self.tenant, at_ms=document["created"] * 1000)


def record_of(
    head: Head,
    wish: Wish,
    exchange: Exchange,
    trace: Trace,
    used: Used,
    ended: str,
    answer: Answer | None,
) -> TraceRecord:
    """The record of a request that is over; of one that failed `answer` is None."""
    document = {
        "id": head.id,
        "object": "trace",
        "created": head.created,
        "request_id": exchange.request_id,
        "model": wish.name,
        "strategy": wish.strategy.name,
        "inner_model": wish.inner,
        "ended": ended,
        "verified": answer.verified if answer else None,
        "used": used,
        # All before this is short, and enough for a list: see `row_of`.
        "asked": dict(wish.asked),
        "answer": answer.text if answer else None,
        "detail": answer.detail if answer else {},
    }
    began = time.time() - (time.perf_counter() - exchange.outgoing.started)
    about = subjects_of(exchange, wish)
    messages = conversation_of(exchange.body)
    return TraceRecord(
        head.id, exchange.key.tenant, used, document, trace.steps, trace.calls, about, began, messages
    )


def subjects_of(exchange: Exchange, wish: Wish) -> tuple[str, ...]:
    """Whom a request says it is about, or from: as the memory and as both dialects name people."""
    document = exchange.body.document
    metadata = document.get("metadata")
    named = (
        exchange.outgoing.subject,
        wish.tools.memory.subject if wish.tools.memory else "",
        document.get("user"),
        document.get("safety_identifier"),
        metadata.get("user_id") if isinstance(metadata, dict) else "",
    )
    return tuple(dict.fromkeys(each for each in named if isinstance(each, str) and each))


def row_of(listed: Listed) -> dict[str, Any]:
    """A trace in a list: what stands at its beginning, without a word that was said."""
    beginning, _, rest = listed.beginning().partition(_AFTER_HEAD)
    try:
        head = orjson.loads(beginning + b"}") if rest else {}
    except orjson.JSONDecodeError:
        head = {}
    usual = {"id": listed.id, "object": "trace", "created": int(listed.at)}
    return {**usual, **head, "bytes": listed.size_bytes}


def _json(document: dict[str, Any]) -> bytes:
    """As JSON. A model's arguments may hold halves of characters and numbers of any length."""
    try:
        return orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return json.dumps(document, default=asdict).encode()
