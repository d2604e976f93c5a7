"""What a router sees of a prompt: a short vector of numbers, made in tens of microseconds.

Hashed words and word pairs say what the prompt is about, cues say what kind of work it is. Nothing is
learned here and nothing is kept, so the vector of a text is the same on every machine and in every version
of the model that reads it. Knows the shape of requests only as far as to find their text.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Embedder = Callable[[str], NDArray[np.floating]]
"""Any other way to make a vector of a text; it stands in for the hashed words, the cues stay."""

CUES = (
    "one",
    "length",
    "lines",
    "digits",
    "code",
    "maths",
    "choices",
    "asks to write",
    "asks to explain",
    "conversation",
    "not ascii",
    "structured",
)
"""Names of the first entries of every vector, in order; `one` is always 1."""

TASKS = ("code", "maths", "choice", "writing", "talk", "other")
"""Classes of task, told apart by cues alone."""

_HEAD_CHARS = 2000
_TAIL_CHARS = 1000
_MOST_WORDS = 256
_MOST_CHARS = 32_768
"""Of a prompt; from here on its length says nothing new."""
_MOST_PARTS = 64
_WORD = re.compile(r"[a-zà-öø-ÿ]{2,24}|[0-9]+")
_CODE = re.compile(
    r"```|\b(?:def|class|function|return|import|python|javascript|java|sql|regex|bug|compile)\b|[{};]\s*\n",
    re.I,
)
_MATHS = re.compile(
    r"\\(?:frac|sqrt|sum|int)|[0-9]\s*[-+*/^=]\s*[0-9]"
    r"|\b(?:solve|prove|equation|integral|probability|how many|percent)\b",
    re.I,
)
_CHOICES = re.compile(r"^\s*\(?[A-D][).:]\s", re.M)
_WRITE = re.compile(r"\b(?:write|create|generate|compose|draft|implement|design)\b", re.I)
_EXPLAIN = re.compile(r"\b(?:explain|why|how|describe|compare|analy[sz]e|summari[sz]e|translate)\b", re.I)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a request says, as far as routing is concerned.

    Attributes:
        text: The last user message, or all the input there is.
        turns: Messages so far.
        structured: The answer must be JSON or a call of a tool.
    """

    text: str
    turns: int = 1
    structured: bool = False


class Features:
    """Makes vectors of `size` entries: the cues, then hashed words.

    Args:
        size: Entries of a vector, more than there are cues.
        embed: Stands in for the hashed words; its vectors are cut or filled up with zeros.
    """

    def __init__(self, size: int = 64, embed: Embedder | None = None) -> None:
        if size <= len(CUES):
            raise ValueError(f"size must be above {len(CUES)}, the number of cues")
        self.size = size
        self._embed = embed

    def __call__(self, prompt: Prompt) -> Vector:
        """float64[size]; the hashed part has length 1 unless the text has no words."""
        text = prompt.text
        seen = _ends(text, _HEAD_CHARS, _TAIL_CHARS)
        vector = np.zeros(self.size)
        vector[: len(CUES)] = _cues(prompt, seen)
        rest = vector[len(CUES) :]
        if self._embed is None:
            _hash_words(seen, rest)
        else:
            given = np.asarray(self._embed(text), dtype=np.float64)[: rest.size]
            rest[: given.size] = given
        return vector

    def names(self, prompt: Prompt) -> list[str]:
        """What each entry stands for in this prompt; for explanations."""
        names = [*CUES, *("" for _ in range(self.size - len(CUES)))]
        for term in _terms(_ends(prompt.text, _HEAD_CHARS, _TAIL_CHARS)):
            at, _ = _slot(term, self.size - len(CUES))
            place = len(CUES) + at
            names[place] = f"{names[place]}, {term}" if names[place] else term
        return names


def prompt_of(document: Mapping[str, Any], path: str) -> Prompt:
    """The prompt in a body of any of the inference endpoints; whatever makes no sense in it is left out.

    Args:
        document: The body, parsed; nothing in it has been checked.
        path: Public path of the endpoint.
    """
    if path.endswith("/completions") and "/chat/" not in path:
        return Prompt(_text(document.get("prompt")), 1, wants_structure(document))
    messages = document.get("input" if path.endswith(("/responses", "/embeddings")) else "messages")
    if not isinstance(messages, list):
        return Prompt(_text(messages), 1, wants_structure(document))
    said = [m.get("content") for m in messages[-_MOST_PARTS:] if _is_users(m)]
    text = next(filter(None, map(_text, reversed(said))), "") if said else _text(messages)
    return Prompt(text, max(1, len(messages)), wants_structure(document))


def _is_users(message: object) -> bool:
    return isinstance(message, Mapping) and message.get("role") == "user"


def wants_structure(document: Mapping[str, Any]) -> bool:
    """Whether the answer must be JSON, or may be a call of a tool."""
    return wants_json(document) or (bool(document.get("tools")) and document.get("tool_choice") != "none")


def wants_json(document: Mapping[str, Any]) -> bool:
    """Whether the answer must be JSON, in whichever way it was asked for."""
    asked = [document.get("response_format"), document.get("output_config"), document.get("text")]
    formats = [f.get("format", f) for f in asked if isinstance(f, Mapping)]
    if any(isinstance(f, Mapping) and f.get("type") in ("json_object", "json_schema") for f in formats):
        return True
    return any(document.get(name) is not None for name in ("structured_outputs", "guided_json"))


def task_of(x: Vector) -> str:
    """The class of task that a prompt's cues speak for, one of `TASKS`."""
    for cue, task in _SIGNS:
        if x[cue] > 0.0:
            return task
    return "other"


_SIGNS = tuple(
    (CUES.index(cue), task)
    for cue, task in (
        ("choices", "choice"),
        ("code", "code"),
        ("maths", "maths"),
        ("asks to write", "writing"),
        ("asks to explain", "talk"),
        ("conversation", "talk"),
    )
)
"""Cues and what they speak for, the surest first."""


def _text(content: object) -> str:
    """The text in a message's content: a string, parts of it, or neither."""
    if isinstance(content, str):
        return _ends(content, _MOST_CHARS // 2, _MOST_CHARS // 2)
    if not isinstance(content, list):
        return ""
    parts = [p.get("text") if isinstance(p, Mapping) else p for p in content[:_MOST_PARTS]]
    return _text("\n".join(_text(part) for part in parts if isinstance(part, str)))


def _ends(text: str, head: int, tail: int) -> str:
    return text if len(text) <= head + tail else text[:head] + text[-tail:]


def _cues(prompt: Prompt, seen: str) -> list[float]:
    size = max(1, len(seen))
    return [
        1.0,
        min(1.0, math.log1p(len(prompt.text)) / 10.0),
        min(1.0, math.log1p(prompt.text.count("\n")) / 5.0),
        min(1.0, 10.0 * sum(map(seen.count, "0123456789")) / size),
        float(_CODE.search(seen) is not None),
        float(_MATHS.search(seen) is not None),
        float(_CHOICES.search(seen) is not None),
        float(_WRITE.search(seen) is not None),
        float(_EXPLAIN.search(seen) is not None),
        min(1.0, (prompt.turns - 1) / 8.0),
        0.0 if seen.isascii() else 1.0,
        float(prompt.structured),
    ]


def _terms(text: str) -> list[str]:
    words = _WORD.findall(text.lower())[:_MOST_WORDS]
    return words + [f"{a} {b}" for a, b in pairwise(words)]


def _hash_words(text: str, into: Vector) -> None:
    slots = into.size
    counts = [0.0] * slots  # an entry of a list is counted up five times as fast as one of an array
    for term in _terms(text):
        at, sign = _slot(term, slots)
        counts[at] += sign
    into[:] = counts
    length = math.sqrt(float(into @ into))
    if length > 0:
        into /= length


@lru_cache(maxsize=65_536)
def _slot(term: str, slots: int) -> tuple[int, float]:
    """Where a term counts and with which sign: collisions then cancel out rather than add up.

    Source: Weinberger et al., Feature Hashing for Large Scale Multitask Learning, 2009.
    """
    value = int.from_bytes(blake2b(term.encode(), digest_size=8).digest(), "little")
    return (value >> 1) % slots, 1.0 if value & 1 else -1.0
