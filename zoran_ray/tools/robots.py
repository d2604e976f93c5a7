"""What a site's robots.txt allows. Pure: a text and a path in, a verdict out.

Of our own because `urllib.robotparser` knows no wildcards and takes the first rule that fits where the
longest counts, and because parsers that make regular expressions of a stranger's patterns can be kept busy
for hours by one line.

Source: RFC 9309, "Robots Exclusion Protocol".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from zoran_ray.tools.escapes import normal

MOST_BYTES = 500 * 1024
"""What follows is not read, as the RFC allows."""
MOST_RULES = 5000
_PRODUCT = re.compile(r"[A-Za-z_-]+")


@dataclass(frozen=True, slots=True)
class Rule:
    """One line: paths that fit `pattern` may be fetched, or not."""

    allow: bool
    pattern: str

    def fits(self, path: str) -> bool:
        """Whether a path fits: `*` stands for anything, `$` at the end for the end."""
        ends = self.pattern.endswith("$")
        first, *others = self.pattern.removesuffix("$").split("*")
        if not path.startswith(first):
            return False
        place = len(first)
        if ends:
            if not others:
                return len(path) == place
            last = others.pop()
            stop = len(path) - len(last)
            return path.endswith(last) and _in_order(path, place, others, stop)
        return _in_order(path, place, others, len(path))


def _in_order(path: str, place: int, parts: list[str], stop: int) -> bool:
    for part in parts:
        place = path.find(part, place, stop)
        if place < 0:
            return False
        place += len(part)
    return place <= stop


@dataclass(frozen=True, slots=True)
class Robots:
    """The rules for one robot."""

    rules: tuple[Rule, ...] = ()

    def allows(self, path: str) -> bool:
        """Whether a path (with its query) may be fetched: the longest rule counts, of equals the kinder."""
        path = normal(path)
        if path == "/robots.txt":
            return True
        fitting = [rule for rule in self.rules if rule.fits(path)]
        best = max(fitting, key=lambda rule: (len(rule.pattern), rule.allow), default=None)
        return best is None or best.allow


NOTHING_ALLOWED = Robots((Rule(False, "/"),))


def read_robots(text: str, product: str) -> Robots:
    """The rules of a robots.txt for a robot: those that name it, else those for all.

    Args:
        text: The file.
        product: The robot's product token, such as `zoran_ray`.
    """
    named: list[Rule] = []
    general: list[Rule] = []
    is_named = False
    agents: list[str] = []
    began = False
    for field, value in _lines(text):
        if field == "user-agent":
            agents = [*agents, value] if not began else [value]
            began = False
            is_named = is_named or _is(value, product)
        elif field in ("allow", "disallow"):
            began = True
            groups = [named] if any(_is(agent, product) for agent in agents) else []
            groups += [general] if "*" in agents else []
            for group in groups:
                if value and len(group) < MOST_RULES:
                    group.append(Rule(field == "allow", normal(value)))
    return Robots(tuple(named if is_named else general))


def _is(agent: str, product: str) -> bool:
    token = _PRODUCT.match(agent)
    return token is not None and token[0].casefold() == product.casefold()


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff")):
        field, _, value = line.partition("#")[0].partition(":")
        yield field.strip().casefold(), value.strip()
