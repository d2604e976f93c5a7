"""Reads a stream of OpenAI chat chunks just closely enough to time and to count them.

An event is what ends with a blank line. Nothing is parsed as JSON: two searches per event tell whether it
carries text and how many tokens the engine says there were.
"""

import re

_TEXT = re.compile(rb'"(?:content|reasoning|reasoning_content|text)"\s*:\s*"(?!")')
_TOKENS = re.compile(rb'"completion_tokens"\s*:\s*(\d+)')
_ERROR = re.compile(rb'^data: ?\{\s*"error"\s*:')
_SEPARATOR = b"\n\n"


class StreamReader:
    """Counts the events of one streamed answer, whatever pieces it arrives in.

    Attributes:
        events: Events with data so far, `[DONE]` and comments not counted.
        tokens: Completion tokens by the engine's own count, None until it says so.
        first_text_s: When the first event with text arrived, None before.
        done: `[DONE]` was seen.
        failed: An error event was seen.
    """

    __slots__ = ("_rest", "done", "events", "failed", "first_text_s", "tokens")

    def __init__(self) -> None:
        self._rest = b""
        self.events = 0
        self.tokens: int | None = None
        self.first_text_s: float | None = None
        self.done = False
        self.failed = False

    def feed(self, data: bytes, now_s: float) -> int:
        """Take the next piece of the body and return how many events it completed."""
        *events, self._rest = (self._rest + data).split(_SEPARATOR)
        before = self.events
        for event in events:
            self._take(event.replace(b"\r", b"").strip(b"\n"), now_s)
        return self.events - before

    def _take(self, event: bytes, now_s: float) -> None:
        if not event.startswith(b"data:"):
            return
        if event[5:].strip() == b"[DONE]":
            self.done = True
            return
        self.events += 1
        if self.first_text_s is None and _TEXT.search(event):
            self.first_text_s = now_s
        if b'"usage"' in event and (match := _TOKENS.search(event)):
            self.tokens = int(match[1])
        if _ERROR.match(event):
            self.failed = True
