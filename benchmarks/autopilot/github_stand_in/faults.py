"""What can go wrong at a request, and when."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Moment(StrEnum):
    """When a fault happens."""

    BEFORE = "before"
    """The request has come; nothing was done."""
    AFTER = "after"
    """It was done; nothing was answered."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that came."""

    number: int
    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. Body: JSON; None for none."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Fault:
    """Something that happens once.

    Attributes:
        method: Of the request; None for all.
        path: Found anywhere in the request's path.
        moment: When.
        act: Blocks, kills, or gives the answer that is sent instead; None: the connection is cut.
        nth: At which of the requests that match, from 1.
    """

    path: str
    moment: Moment
    act: Callable[[], Reply | None]
    method: str | None = None
    nth: int = 1

    def strikes(self, seen: Seen, moment: Moment) -> bool:
        """Whether it happens now; counts."""
        alike = self.method in (None, seen.method) and re.search(self.path, seen.path)
        if moment is not self.moment or not alike:
            return False
        self.nth -= 1
        return self.nth == 0


def cut() -> None:
    """Cuts the connection."""
    return
