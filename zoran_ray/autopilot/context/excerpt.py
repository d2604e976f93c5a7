"""A file cut to a size: the lines that were spoken of, and what is most like what was said. Pure."""

from collections.abc import Collection

from zoran_ray.autopilot.context.words import best_words
from zoran_ray.memory.lexical import LexicalIndex
from zoran_ray.rag.passages import Passage, passages


def excerpt(path: str, text: str, about: str, lines: Collection[int], most_chars: int) -> str:
    """The best passages of a file in its order, each under a line that says where it is.

    Args:
        about: What was said.
        lines: Lines that were spoken of, counted from 1.
        most_chars: Longest excerpt; one passage is given whatever its size.
    """
    parts = passages(path, text)
    index = LexicalIndex()
    index.add_all({place: part.text for place, part in enumerate(parts)})
    scores = best_words(index, about)

    def rank(place: int) -> tuple[bool, float, int]:
        part = parts[place]
        return not any(part.first <= line <= part.last for line in lines), -scores.get(place, 0.0), place

    kept, room = set[int](), most_chars
    for place in sorted(range(len(parts)), key=rank):
        size = len(parts[place].text) + _HEAD_CHARS
        if size <= room or not kept:
            kept.add(place)
            room -= size
    return "\n".join(_told(parts[place]) for place in sorted(kept))


_HEAD_CHARS = 40


def _told(part: Passage) -> str:
    return f"… lines {part.first} to {part.last}:\n{part.text}"
