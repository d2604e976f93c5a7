"""Pieces of an answer out of the bytes of a streamed one. Pure: whoever reads the connection feeds it."""

import json
from collections.abc import Iterator

from zoran_ray.client.answers import Delta, read_delta
from zoran_ray.client.events import EventReader
from zoran_ray.client.failures import event_failure
from zoran_ray.errors import UpstreamError


class DeltaReader:
    """Turns chunks of bytes into pieces of the answer, and notices an answer that breaks off."""

    def __init__(self) -> None:
        self._events = EventReader()
        self.finished = False
        """Whether the server said that the answer is complete."""

    def feed(self, chunk: bytes) -> Iterator[Delta]:
        """The pieces that `chunk` completes; those before an error come out before it is raised.

        Raises:
            ZoranError: The server reported an error.
            UpstreamError: It sent something else than pieces of an answer.
        """
        for event in self._events.feed(chunk):
            if (delta := self._delta(event)) is not None:
                yield delta

    def end(self) -> None:
        """The connection has ended.

        Raises:
            UpstreamError: The answer had not.
        """
        if not self.finished:
            raise UpstreamError(
                "The answer broke off before its end. Ask again, and look at the server's log."
            )

    def _delta(self, event: str) -> Delta | None:
        if event == "[DONE]":
            self.finished = True
            return None
        try:
            body = json.loads(event)
        except ValueError:
            raise UpstreamError("The server sent an event that is not JSON.") from None
        if isinstance(body, dict) and isinstance(body.get("error"), dict):
            raise event_failure(body["error"])
        delta = read_delta(body)
        self.finished = self.finished or delta.finish_reason is not None
        return delta
