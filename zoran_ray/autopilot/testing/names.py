"""Names that nobody can know beforehand and that look like anybody's, so that nothing tells ours apart."""

import secrets
from collections.abc import Iterable

_TEXT = (
    "account address amount average balance batch border bounds cache case chain character code color "
    "column config count customer date decimal default delay digits domain duplicate edges element empty "
    "entry error escape event example field filter first format fraction graph group header hidden index "
    "input interval invalid items keys label last length level limit line list lookup lower mapping margin "
    "match matrix maximum memory merge message minimum missing month name negative nested number offset "
    "option order output overlap padding page parent parser path pattern pieces point positive prefix "
    "price queue range ratio record region repeat report request result reverse round route rows sample "
    "schema score search second section sequence simple single size small source spaces split start state "
    "status step string suffix sum table tail target text ticket time title token total tree types "
    "unicode units update upper user value vector version weight width window word wrong year zero"
)
_WORDS = _TEXT.split()


def unknown_names(count: int, known: Iterable[str]) -> list[str]:
    """Names of four words.

    Args:
        count: How many; no two are the same.
        known: Paths and words of which none may hold one.
    """
    held, found, draw = "\n".join(known), list[str](), secrets.SystemRandom()
    while len(found) < count:
        name = "_".join(draw.sample(_WORDS, 4))
        if name not in held and name not in found:
            found.append(name)
    return found
