"""Memory in a conversation, for requests that ask for it: `"zoran": {"memory": {…}}`.

Read before a model is chosen; written after the last byte, in the background, where nobody waits for it.
What cannot be written is counted and said in the log, without what it was.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from serve_apps.gateway.account import Account
from serve_apps.gateway.memory_desk import MemoryDesk
from serve_apps.gateway.memory_fence import fenced, fitting
from serve_apps.gateway.memory_fields import Draft, Search, Wish, read_fields
from serve_apps.gateway.outgoing import Outgoing
from zoran_ray.errors import InvalidRequest, RequestError, Unavailable, ZoranError
from zoran_ray.memory.record import MOST_NAME_CHARS, Layer, Record
from zoran_ray.memory.search import Hit
from zoran_ray.messages import KeyInfo
from zoran_ray.wire import Endpoint, RequestBody
from zoran_ray.wire.talk import TALKS, answer_text, last_of_user, rewritten, text_of, turns_of, with_notice

log = logging.getLogger("zoran.gateway")

HEADER = b"x-zoran-memory"
"""Ids of what the model was given; `none`, or `unavailable` where the memory could not be read."""
READ_S = 3.0
"""Longest that a request waits for the memory, in seconds."""
WRITE_S = 30.0
"""Longest that one conversation's write may take, in seconds."""
MOST_WAITING = 64
"""Writes that may wait in one gateway."""
MOST_HEARD_BYTES = 256 * 1024
"""Of one answer, events and all; what comes after is not remembered."""
MOST_WRITTEN_CHARS = 16_000
"""Of one message."""
MOST_SEARCHED_CHARS = 4_000
LEAST_COSINE = 0.2
"""A record that shares no word with what was said is not told to a model below this."""
WRITERS = 4
_PURPOSE = "conversation"
_MEMBER = "zoran"


@dataclass(slots=True)
class Heard:
    """What is to be remembered of one request; takes the bytes of its answer as they go out."""

    key: KeyInfo
    wish: Wish
    request_id: str
    endpoint: Endpoint
    streamed: bool
    conversation: str = field(repr=False)
    said: str = field(repr=False)
    layer: Layer = Layer.SHORT
    """Of the answer: what a model says that has read untrusted text is not trusted more than that."""
    model: str = ""
    parts: list[bytes] = field(default_factory=list, repr=False)
    room: int = MOST_HEARD_BYTES

    def __call__(self, data: bytes) -> None:
        if self.room > 0:
            self.parts.append(data[: self.room])
            self.room -= len(data)

    def drafts(self) -> list[Draft]:
        """A record of what the user said, and one of what was answered."""
        answer = answer_text(self.endpoint, b"".join(self.parts), streamed=self.streamed)
        model = f"model:{self.model}"[:MOST_NAME_CHARS]
        drafts = [self.draft(self.said)] if self.said.strip() else []
        return drafts + ([self.draft(answer, model, self.layer)] if answer.strip() else [])

    def draft(self, text: str, source: str = "", layer: Layer = Layer.SHORT) -> Draft:
        """A record of something said."""
        wish = self.wish
        return Draft(
            subject=wish.subject,
            text=text[:MOST_WRITTEN_CHARS],
            purpose=wish.purpose or _PURPOSE,
            layer=layer,
            source=source,
            consent=wish.consent,
            conversation=self.conversation,
        )


class ChatMemory:
    """Reads and writes for the conversations of one gateway.

    What still waits to be written when its subject is forgotten is written all the same, a moment later.

    Args:
        desk: Asks the memory.
        lost: Told why something was not written: `full` or `failed`.
    """

    def __init__(self, desk: MemoryDesk, lost: Callable[[str], None]) -> None:
        self._desk = desk
        self._lost = lost
        self._secret = secrets.token_bytes(32)
        self._waiting: asyncio.Queue[Heard] = asyncio.Queue(MOST_WAITING)

    async def enrich(
        self, body: RequestBody, key: KeyInfo, request_id: str, outgoing: Outgoing
    ) -> RequestBody:
        """The body with what is remembered, and without its wish; itself where it has none.

        Raises:
            InvalidRequest: The wish is none; `param` names the field.
            Unavailable: The memory cannot be read, and the request requires it.
        """
        asked = body.document.get(_MEMBER)
        if asked is None or "memory" not in asked:
            return body
        wish = read_fields(Wish, asked["memory"], f"{_MEMBER}.memory")
        if body.endpoint not in TALKS:
            raise InvalidRequest(
                f"{body.endpoint.path} has no conversation to remember.", param=f"{_MEMBER}.memory"
            )
        outgoing.subject = wish.subject
        turns = turns_of(body)
        place = last_of_user(turns)
        said = "" if place is None else text_of(turns[place])
        heard: Heard | None = None
        if wish.write:
            # What was said before a tool answered is remembered already.
            fresh = said if place == len(turns) - 1 else ""
            heard = outgoing.tap = self._heard(body, wish, key, request_id, fresh)
        plain = _without_wish(body)
        if not wish.read:
            return plain
        records = await self._recalled(key, wish, said, set(map(text_of, turns)), outgoing)
        if heard is not None and any(record.layer is Layer.PARASITIC for record in records):
            heard.layer = Layer.PARASITIC
        return with_notice(plain, fenced(records, self._secret))

    def ended(self, outgoing: Outgoing, account: Account) -> None:
        """A request is over: what is to be remembered of it goes on its way, if it went well."""
        heard, outgoing.tap = outgoing.tap, None
        failed = account.error or account.disconnected or account.engine_failed or outgoing.status != 200
        if not isinstance(heard, Heard) or failed:
            return
        heard.model = account.model
        try:
            self._waiting.put_nowait(heard)
        except asyncio.QueueFull:
            self._lose("full", "too many conversations wait to be written to the memory")

    async def run(self) -> None:
        """Writes until cancelled."""
        async with asyncio.TaskGroup() as writers:
            for _ in range(WRITERS):
                writers.create_task(self._write_on())

    async def flush(self) -> None:
        """Writes what waits, then returns. What fails is lost."""
        with contextlib.suppress(asyncio.QueueEmpty):
            while True:
                await self._write(self._waiting.get_nowait())

    async def _write_on(self) -> None:
        while True:
            await self._write(await self._waiting.get())

    async def _write(self, heard: Heard) -> None:
        try:
            async with asyncio.timeout(WRITE_S):
                if drafts := heard.drafts():
                    await self._desk.put(heard.key, drafts, heard.request_id)
        except Exception as failure:
            self._lose("failed", f"a conversation was not written to the memory: {type(failure).__name__}")

    def _lose(self, reason: str, what: str) -> None:
        self._lost(reason)
        log.warning(what)

    def _heard(self, body: RequestBody, wish: Wish, key: KeyInfo, request_id: str, said: str) -> Heard:
        """What will be remembered. Raises: RequestError: What may not be kept is refused now, not later."""
        talk = wish.conversation or _conversation(body)
        said = said[:MOST_WRITTEN_CHARS]
        heard = Heard(key, wish, request_id, body.endpoint, body.stream, talk, said)
        self._desk.record(key, heard.draft(said), request_id)
        return heard

    async def _recalled(
        self, key: KeyInfo, wish: Wish, said: str, known: set[str], outgoing: Outgoing
    ) -> list[Record]:
        """What the model is to know; what stands in the conversation already is left out."""
        found = await self._read(key, wish, said)
        records = fitting([record for record in found or () if record.text not in known])
        ids = ",".join(record.id for record in records) or "none"
        outgoing.headers.append((HEADER, b"unavailable" if found is None else ids.encode()))
        return records

    async def _read(self, key: KeyInfo, wish: Wish, said: str) -> list[Record] | None:
        """What is remembered, best first; None where the memory cannot be read."""
        if not said.strip():
            return []
        asked = Search(
            text=said[:MOST_SEARCHED_CHARS],
            subjects=(wish.subject,),
            layers=wish.layers,
            purposes=None if wish.purpose is None else (wish.purpose,),
            limit=wish.limit,
        )
        try:
            async with asyncio.timeout(READ_S):
                return [hit.record for hit in await self._desk.search(key, asked) if is_near(hit)]
        except RequestError:
            raise
        except (ZoranError, TimeoutError) as failure:
            log.warning("the memory could not be read: %s", type(failure).__name__)
            if wish.required:
                raise Unavailable(
                    "The memory cannot be read now, and this request requires it. Try again shortly.",
                    param=f"{_MEMBER}.memory.required",
                    retry_after_s=2.0,
                ) from None
            return None


def _without_wish(body: RequestBody) -> RequestBody:
    """The body without `zoran.memory`, and without `zoran` where nothing else is in it."""
    document = {name: value for name, value in body.document.items() if name != _MEMBER}
    if rest := {name: value for name, value in body.document[_MEMBER].items() if name != "memory"}:
        document[_MEMBER] = rest
    return rewritten(body, document)


def _conversation(body: RequestBody) -> str:
    """A name that every turn of a conversation has; empty where there is nothing to tell it by."""
    return "" if body.affinity is None else f"{body.affinity:016x}"


def is_near(hit: Hit) -> bool:
    """Whether a record has to do with what was asked."""
    return hit.bm25 is not None or (hit.cosine or 0.0) >= LEAST_COSINE
