"""What a strategy knows of a search: passages for a question, from whatever the caller may read.

Knows no memory and no file. Whoever hands a search in has settled whose passages it may find.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from zoran_ray.errors import InvalidRequest, RecordNotFound


@dataclass(frozen=True, slots=True)
class Found:
    """A passage.

    Attributes:
        place: Where it stands, as people would cite it.
        text: What stands there: data, whoever wrote it.
    """

    place: str
    text: str = field(repr=False)


class Search(Protocol):
    """Finds passages for one request."""

    async def __call__(self, query: str, *, limit: int, deadline: float) -> Sequence[Found]:
        """At most `limit` passages, best first.

        Args:
            query: Whatever a person or a model wrote.
            limit: Most passages.
            deadline: When it must be over, in seconds of `time.monotonic`.

        Raises:
            ZoranError: It cannot be searched.
        """
        ...


class RecordedSearch:
    """A search that finds what a trace has, in the order of the trace.

    Args:
        trace: As `Trace.as_json` gives it, also after it went through JSON.

    Raises:
        InvalidRequest: It is no trace.
    """

    def __init__(self, trace: Mapping[str, Any]) -> None:
        try:
            self._found = [
                [Found(**passage) for passage in step["detail"]["passages"]]
                for step in trace["steps"]
                if "passages" in step["detail"]
            ]
        except (KeyError, TypeError, AttributeError):
            raise InvalidRequest("This is no trace: its steps cannot be read.", param="trace") from None

    @property
    def left(self) -> int:
        """Recorded searches that nobody made yet."""
        return len(self._found)

    async def __call__(self, query: str, *, limit: int, deadline: float) -> Sequence[Found]:
        """As then. Raises: RecordNotFound: The trace has no such search."""
        if not self._found:
            raise RecordNotFound("The trace has no more searches: replay it as it was made.")
        return self._found.pop(0)
