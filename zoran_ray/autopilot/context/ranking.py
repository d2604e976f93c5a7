"""Which files concern what was said: those it names, what they import, then those that are most like it, by
BM25 and, where there is an embedder, by meaning. Knows no prompt."""

from collections.abc import Callable, Collection, Mapping, Sequence

from zoran_ray.autopilot.context.mentions import Mentions, names_in
from zoran_ray.autopilot.context.symbols import symbols_of
from zoran_ray.autopilot.context.vectors import FileVectors
from zoran_ray.autopilot.context.words import best_words
from zoran_ray.memory.lexical import LexicalIndex
from zoran_ray.memory.search import Candidates, Ranked, best, fused

LOOKED_INTO = 40
"""Files, those that are most like it, whose definitions are compared with names that were said."""
NEAREST = 50
"""Files, the nearest in meaning, that count though they share no word with what was said."""


class Ranking:
    """Ranks the files of a repository.

    Args:
        files: Texts by path.
        judges: Whether a file is a test or configures tests: it is shown, others are changed.
        vectors: Of the same files; None to go by words alone.
    """

    def __init__(
        self,
        files: Mapping[str, str],
        judges: Callable[[str], bool],
        vectors: FileVectors | None = None,
    ) -> None:
        self._files = files
        self._judges = judges
        self._vectors = vectors
        self._paths = sorted(files)
        self._mentions = Mentions(self._paths)
        self._index = LexicalIndex()
        self._index.add_all({slot: f"{path} {files[path]}" for slot, path in enumerate(self._paths)})

    def ranked(self, message: str, said: str = "", needed: Sequence[str] = ()) -> list[str]:
        """All files that concern it, the most first.

        Args:
            message: What is wrong, in somebody's words.
            said: What failing tests wrote.
            needed: Files that come first whatever was said.
        """
        named = [mention.path for mention in self._mentions.of(message)]
        # The last frame of a traceback is where it went wrong.
        failed = [mention.path for mention in reversed(self._mentions.of(said))]
        tests = [path for path in failed if self._judges(path)]
        sources = [path for path in failed if not self._judges(path)]
        near = [path for test in tests for path in self._mentions.imported(self._files[test])]
        first = [path for path in needed if path in self._files]
        modules = self._mentions.modules(message)
        alike = self.alike(f"{message}\n{said}")
        return list(dict.fromkeys([*first, *named, *sources, *near, *tests, *modules, *alike]))

    def lines(self, *texts: str) -> dict[str, list[int]]:
        """Lines that texts speak of, by path."""
        found: dict[str, list[int]] = {}
        for text in texts:
            for mention in self._mentions.of(text):
                found.setdefault(mention.path, []).extend(mention.lines)
        return found

    def named(self, text: str) -> tuple[str, ...]:
        """Files that a text names, in its order."""
        return tuple(mention.path for mention in self._mentions.of(text))

    def alike(self, text: str) -> list[str]:
        """Files that share words or meaning with a text, those that define what it names first."""
        scores = best_words(self._index, text)
        count = len(self._paths)
        lexical = best(((self._paths[slot], score) for slot, score in scores.items() if score > 0), count)
        found = Candidates(self._nearest(text, [hit.id for hit in lexical]), lexical)
        paths = [hit.id for hit in fused(found, count)]
        names = names_in(text)
        defining = [path for path in paths[:LOOKED_INTO] if self._defines(path, names)]
        return list(dict.fromkeys([*defining, *paths]))

    def _nearest(self, text: str, likely: Sequence[str]) -> tuple[Ranked, ...]:
        if self._vectors is None:
            return ()
        order = list(dict.fromkeys([*likely, *self._paths]))
        near = self._vectors.cosines(text, order)
        return best(((path, cosine) for path, cosine in near.items() if cosine > 0), NEAREST)

    def _defines(self, path: str, names: Collection[str]) -> bool:
        return any(symbol.last in names for symbol in symbols_of(path, self._files[path]))
