"""Which files concern what was said: those it names, what they import, then BM25. Knows no prompt."""

from collections.abc import Callable, Collection, Mapping, Sequence

from zoran_ray.autopilot.context.mentions import Mentions, names_in
from zoran_ray.autopilot.context.symbols import symbols_of
from zoran_ray.memory.lexical import MOST_QUERY_WORDS, LexicalIndex, words

LOOKED_INTO = 40
"""Files, the best by their words, whose definitions are compared with names that were said."""


class Ranking:
    """Ranks the files of a repository.

    Args:
        files: Texts by path.
        judges: Whether a file is a test or configures tests: it is shown, others are changed.
    """

    def __init__(self, files: Mapping[str, str], judges: Callable[[str], bool]) -> None:
        self._files = files
        self._judges = judges
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
        by_words = self._by_words(f"{message}\n{said}")
        return list(dict.fromkeys([*first, *named, *sources, *near, *tests, *modules, *by_words]))

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

    def _by_words(self, text: str) -> list[str]:
        scores = best_words(self._index, text)
        order = sorted((place for place in scores if scores[place] > 0), key=lambda place: -scores[place])
        paths = [self._paths[place] for place in order]
        names = names_in(text)
        defining = [path for path in paths[:LOOKED_INTO] if self._defines(path, names)]
        return [*defining, *paths]

    def _defines(self, path: str, names: Collection[str]) -> bool:
        return any(symbol.last in names for symbol in symbols_of(path, self._files[path]))


def best_words(index: LexicalIndex, text: str) -> dict[int, float]:
    """BM25 of each slot, for the rarest words of a text.

    (An index takes so many words and no more; of a long output the common ones say least.)
    """
    counts = index.counts(words(text))
    rarest = sorted(counts.having, key=lambda word: (counts.having[word], word))[:MOST_QUERY_WORDS]
    return {slot: float(score) for slot, score in enumerate(index.scores(rarest, counts))}
