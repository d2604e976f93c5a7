"""Regular expressions that a policy may hold: those whose match costs a bounded number of steps a place.

A backtracking engine can be made to take for ever by a pattern such as `(a+)+b`. Here every pattern is
parsed first and the most steps that a match begun at one place can take are counted; one that could take
more than `MOST_STEPS` is refused. So a scan is linear in the text. Repeats need an upper bound, and back
references are not allowed.
"""

import importlib
import re
from functools import lru_cache
from typing import Any

MOST_STEPS = 2_000
"""Steps that one pattern may take from one place of the text."""
MOST_REPEATS = 1_000
MAX_PATTERN = 500
"""Longest pattern, in characters."""

_parser: Any = importlib.import_module("re._parser")  # what `re.compile` itself parses with
_ONE = frozenset({"LITERAL", "NOT_LITERAL", "ANY", "IN", "AT"})
_REPEATS = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})


@lru_cache(maxsize=1024)
def compiled(pattern: str, ignore_case: bool = False) -> re.Pattern[str]:
    """The pattern, ready to search with.

    Raises:
        ValueError: It is none, or could take too many steps; says what to do.
    """
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"a pattern has at most {MAX_PATTERN} characters")
    try:
        steps = most_steps(pattern)
        found = re.compile(pattern, re.MULTILINE | (re.IGNORECASE if ignore_case else 0))
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"not a regular expression: {error}") from None
    if steps > MOST_STEPS:
        raise ValueError(
            f"a match could take {min(steps, 10**9)} steps, at most {MOST_STEPS} are allowed: make repeats"
            " shorter, or possessive as in [a-z]{8,64}+"
        )
    return found


def most_steps(pattern: str) -> int:
    """Steps that a match begun at one place takes at most, all ways tried; told up to 10^9.

    Raises:
        re.error: It is no pattern, or not one of those allowed here.
    """
    ways, steps = _cost(_parser.parse(pattern))
    return max(ways, steps)


def _cost(sequence: Any) -> tuple[int, int]:
    """Ways in which a sequence can match at one place, and steps to try all of them; capped above."""
    ways, steps = 1, 1
    for operation, argument in sequence:
        part_ways, part_steps = _part(str(operation), argument)
        steps += ways * part_steps
        ways *= part_ways
        ways, steps = min(ways, 10**9), min(steps, 10**9)
    return ways, steps


def _part(name: str, argument: Any) -> tuple[int, int]:
    if name in _ONE:
        return 1, 1
    if name in _REPEATS:
        return _repeat(name, *argument)
    if name == "BRANCH":
        costs = [_cost(each) for each in argument[1]]
        return sum(ways for ways, _ in costs), 1 + sum(steps for _, steps in costs)
    if name == "SUBPATTERN":
        return _cost(argument[3])
    if name == "ATOMIC_GROUP":
        return 1, _cost(argument)[1]
    if name in ("ASSERT", "ASSERT_NOT"):
        return 1, _cost(argument[1])[1]
    raise re.error(f"{name.lower()} is not allowed in a policy")


def _repeat(name: str, least: int, most: Any, body: Any) -> tuple[int, int]:
    """`(body){least,most}`."""
    if int(most) > MOST_REPEATS:
        raise re.error(f"a repeat needs an upper bound, at most {MOST_REPEATS}, as in {{0,64}}")
    ways, steps = _cost(body)
    total_ways, total_steps, power = 0, 1, 1
    for count in range(int(most) + 1):
        if count >= least:
            total_ways += power
        total_steps += power * steps
        power *= ways
        if total_steps > 10**9:
            break
    return (1 if name == "POSSESSIVE_REPEAT" else total_ways), total_steps
