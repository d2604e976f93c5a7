"""Files in pieces that say one thing each: what a file is about, then each definition. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise

from zoran_ray.autopilot.context.symbols import symbols_of
from zoran_ray.autopilot.context.words import best_words
from zoran_ray.memory.lexical import LexicalIndex
from zoran_ray.rag.passages import passages

MOST_PIECES = 256
"""Of a repository: a small model makes about 15 vectors a second on one core."""
MOST_PIECE_CHARS = 1_000
"""What a piece has beyond is left out; many embedding models read 256 tokens and no more."""
_HEAD_CHARS = 400
"""Of a file's own text, before the names of what it defines."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file.

    Attributes:
        path: Of the file.
        text: What stands there.
    """

    path: str
    text: str = field(repr=False)


def pieces(
    paths: Iterable[str], text_of: Callable[[str], str], said: str, most: int = MOST_PIECES
) -> list[Piece]:
    """Pieces of many files: what each is about, within half of the room; then those definitions that
    share most words with what was said.

    Args:
        paths: Files, the most important first.
        text_of: A file's text.
        said: What pieces are chosen by where not all have room.
        most: Pieces.
    """
    cut = [(path, _texts(path, text_of(path))) for path in islice(paths, most)]
    heads = [Piece(path, texts[0]) for path, texts in cut if texts][: max(1, most // 2)]
    rest = [Piece(path, text) for path, texts in cut for text in texts[1:]]
    return [*heads, *_likely(rest, said, most - len(heads))]


def _likely(found: Sequence[Piece], said: str, most: int) -> list[Piece]:
    if len(found) <= most:
        return list(found)
    index = LexicalIndex()
    index.add_all({slot: piece.text for slot, piece in enumerate(found)})
    scores = best_words(index, said)
    slots = sorted(range(len(found)), key=lambda slot: (-scores.get(slot, 0.0), slot))
    return [found[slot] for slot in slots[:most]]


def _texts(path: str, text: str) -> list[str]:
    """The pieces of one file, the first what it is about; passages where nobody here reads its language."""
    symbols = symbols_of(path, text)
    if not symbols:
        return [part.text[:MOST_PIECE_CHARS] for part in passages(path, text)]
    lines = text.split("\n")
    starts = sorted({0, *(symbol.line - 1 for symbol in symbols), len(lines)})
    head, *parts = ["\n".join(lines[start:stop]) for start, stop in pairwise(starts)]
    if symbols[0].line == 1:
        head, parts = "", [head, *parts]
    about = "\n".join(filter(None, [head[:_HEAD_CHARS], *(symbol.head for symbol in symbols)]))
    return [part[:MOST_PIECE_CHARS] for part in (about, *parts)]
