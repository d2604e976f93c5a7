"""BM25 of a text that is longer than an index takes. Pure."""

from zoran_ray.memory.lexical import MOST_QUERY_WORDS, LexicalIndex, words


def best_words(index: LexicalIndex, text: str) -> dict[int, float]:
    """BM25 of each slot, for the rarest words of a text.

    (An index takes so many words and no more; of a long output the common ones say least.)
    """
    counts = index.counts(words(text))
    rarest = sorted(counts.having, key=lambda word: (counts.having[word], word))[:MOST_QUERY_WORDS]
    return {slot: float(score) for slot, score in enumerate(index.scores(rarest, counts))}
