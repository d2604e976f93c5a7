from collections.abc import Callable
from pathlib import Path

import pytest

from zoran_ray.journal import Entry, Journal, Kind, SigningKey, open_journal

KEY = SigningKey("zoran-journal/test", bytes(range(32)))


def entry(number: int) -> Entry:
    return Entry(
        Kind.ROUTING_DECISION, 1_700_000_000_000 + number, {"request": f"r-{number}", "usd_nano": 5}
    )


@pytest.fixture
def key() -> SigningKey:
    return KEY


@pytest.fixture
def make_entry() -> Callable[[int], Entry]:
    return entry


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal" / "journal.log"


@pytest.fixture
def write(path: Path) -> Callable[..., Journal]:
    """Writes batches of these sizes and leaves a closed journal."""

    def write(*sizes: int, durable: bool = True) -> Journal:
        journal = open_journal(path, KEY)
        for size in sizes:
            first = journal.size
            journal.append([entry(number) for number in range(first, first + size)], durable=durable)
        journal.close()
        return journal

    return write
