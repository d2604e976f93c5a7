"""Made-up conversations and notes, in English and French, to train the dictionary that we ship.

Sentences come from the words in `z5_dictionaries/conversation.yaml`, put together by chance with a seed.
They make no sense and need none: what counts are the words and phrases that conversations are full of.
"""

import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import yaml

SEED = 1
COUNT = 8000

# What may stand at the end of a word of a list, by the letter that stands for it in sentences.
_ENDINGS = {
    "b": ("base", ("", "", "s", "ed", "ing", "er")),
    "o": ("more", ("", "", "s")),
    "x": ("describe", ("", "", "ly")),
}

_WORDS = Path(__file__).parent / "z5_dictionaries" / "conversation.yaml"


def conversations(count: int = COUNT, seed: int = SEED) -> Iterator[bytes]:
    """Records as UTF-8: single turns, notes, French ones, prose, whole conversations as JSON messages."""
    rng = random.Random(seed)
    makers: tuple[Callable[[random.Random], str], ...] = (
        _turn,
        _salad,
        _note,
        _prose,
        _salad,
        _french,
        _dialogue,
        _salad,
    )
    for number in range(count):
        yield makers[number % len(makers)](rng).encode()


@cache
def _lists() -> dict[str, list[str]]:
    """Words by the letter that stands for them, and sentences by their name."""
    found = yaml.safe_load(_WORDS.read_text(encoding="utf-8"))
    return {name: each.split() if isinstance(each, str) else each for name, each in found.items()}


def _filled(sentence: str, rng: random.Random) -> str:
    first, *pieces = sentence.split("{")
    words = [first]
    for piece in pieces:
        slot, _, rest = piece.partition("}")
        words += [_word(slot, rng), rest]
    return "".join(words)


def _word(slot: str, rng: random.Random) -> str:
    if slot == "d":
        return str(rng.choice((rng.randint(2, 12), rng.randint(10, 99), rng.randint(100, 2000))))
    if slot == "N":
        return rng.choice(_lists()["n"]).capitalize()
    if slot in _ENDINGS:
        name, endings = _ENDINGS[slot]
        return _with_ending(rng.choice(_lists()[name]), rng.choice(endings))
    return rng.choice(_lists()[{"s": "small"}.get(slot, slot)])


def _with_ending(word: str, ending: str) -> str:
    """The word with its ending, right for most words of English."""
    if ending[:1] in ("e", "i") and word.endswith("e"):
        word = word[:-1]
    elif ending in ("s", "ed", "er") and word.endswith("y") and word[-2] not in "aeou":
        word, ending = word[:-1], {"s": "ies", "ed": "ied", "er": "ier"}[ending]
    elif ending == "s" and word.endswith(("s", "x", "z", "ch", "sh")):
        ending = "es"
    return word + ending


def _some(name: str, rng: random.Random, most: int) -> str:
    return " ".join(_filled(rng.choice(_lists()[name]), rng) for _ in range(rng.randint(1, most)))


def _turn(rng: random.Random) -> str:
    return _some("asks" if rng.random() < 0.6 else "answers", rng, 3)


def _note(rng: random.Random) -> str:
    return _some("notes", rng, 2)


def _french(rng: random.Random) -> str:
    return _some("french", rng, 3)


def _prose(rng: random.Random) -> str:
    return _some("prose", rng, 4)


def _salad(rng: random.Random) -> str:
    """Words and endings in chance order: what the sentences leave out."""
    text = _some("salad", rng, 6)
    return f"{text[0].upper()}{text[1:]}."


def _dialogue(rng: random.Random) -> str:
    turns = []
    for number in range(rng.randint(2, 6)):
        role, name = (("user", "asks"), ("assistant", "answers"))[number % 2]
        text = _some(name, rng, 2).replace("\n", "\\n").replace('"', '\\"')
        turns.append(f'{{"role":"{role}","content":"{text}"}}')
    return f"[{','.join(turns)}]"
