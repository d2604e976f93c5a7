"""What other replicas of the same keys may not know yet: what changed here, and how far each has followed.

A shard notes what it changed by itself; what it was told by a peer is the peer's to pass on. A peer that is
away misses what is noted meanwhile and gets it when it is back. Knows names and numbers, no record.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from zoran_ray.errors import StorageFull

WHOLE = ""
"""In place of a record's id: everything about the subject, which was forgotten at that time."""
CONSENTS = "\0"
"""In place of a record's id: what the subject agreed to."""
MOST_NOTES = 1_000_000

Holders = Callable[[str, str], tuple[str, ...]]
"""Which shards hold a tenant's subject."""


Row = tuple[str, str, str, int, float]
"""Tenant, subject, what changed, the number of the write, and the shard's time of it in seconds."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a peer has followed.

    Attributes:
        folder: Id of the peer's folder: another one knows nothing.
        number: The last write that it knows.
    """

    folder: str
    number: int


class Changes:
    """Notes of one shard.

    Attributes:
        number: How many writes there were.
        marks: How far each peer has followed.
    """

    def __init__(self) -> None:
        self.number = 0
        self.marks: dict[str, Mark] = {}
        self._notes: dict[tuple[str, str, str], tuple[int, float]] = {}
        self._settle_at = 1000

    def __len__(self) -> int:
        return len(self._notes)

    def note(self, tenant: str, subject: str, what: str, at: float) -> None:
        """Something changed in the write that is going on, at this time of the shard, in seconds."""
        key = (tenant, subject, what)
        self._notes.pop(key, None)  # so that the newest stand last
        self._notes[key] = self.number, at

    def check_room(self) -> None:
        """Raises: StorageFull: A peer has been away for too long."""
        if len(self._notes) >= MOST_NOTES:
            raise StorageFull(
                "Another shard has been away for so long that what it missed cannot be noted any more."
                " Bring it back, or take it out of the layout."
            )

    def mark(self, peer: str, mark: Mark) -> None:
        """A peer has followed up to here."""
        self.marks[peer] = mark
        if len(self._notes) > self._settle_at:
            self._settle()
            self._settle_at = 2 * len(self._notes) + 1000

    def keep_marks_of(self, peers: Iterable[str]) -> None:
        """Forgets what is known of shards that are no peers any more."""
        kept = set(peers)
        self.marks = {peer: mark for peer, mark in self.marks.items() if peer in kept}

    def knows(self, peer: str, folder: str) -> bool:
        """Whether it is known how far a peer has followed."""
        mark = self.marks.get(peer)
        return mark is not None and mark.folder == folder

    def owed(self, peer: str, holders: Holders) -> list[Row]:
        """What a known peer has missed of the keys it holds, oldest first."""
        least, found = self.marks[peer].number, []
        for (tenant, subject, what), (number, at) in reversed(self._notes.items()):
            if number <= least:
                break
            if peer in holders(tenant, subject):
                found.append((tenant, subject, what, number, at))
        return found[::-1]

    def changed_at(self, tenant: str, subject: str, what: str, peer: str) -> float:
        """When something was changed here that a peer may not know, in seconds; -1 where it was not."""
        least = self.marks[peer].number if peer in self.marks else -1
        number, at = self._notes.get((tenant, subject, what), (-1, -1.0))
        return at if number > least else -1.0

    def rows(self) -> list[Row]:
        """All notes, oldest first, without those that everybody knows."""
        self._settle()
        return [(*key, number, at) for key, (number, at) in self._notes.items()]

    def restore(self, number: int, rows: Iterable[Row]) -> None:
        """Takes the notes of `rows` in."""
        self.number = number
        self._notes = {(tenant, subject, what): (noted, at) for tenant, subject, what, noted, at in rows}

    def _settle(self) -> None:
        """Drops what every peer knows."""
        known = min((mark.number for mark in self.marks.values()), default=-1)
        self._notes = {key: noted for key, noted in self._notes.items() if noted[0] > known}
