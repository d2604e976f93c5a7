"""Whether a `.env` is filled in: every variable known, there, once, and no placeholder. Pure."""

import re

from zoran_ray.cluster_config.compose_env import VARIABLES
from zoran_ray.cluster_config.secret_files import is_placeholder
from zoran_ray.config.validation import nearest

_LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_MAY_BE_EMPTY = frozenset({"COMPOSE_PROFILES"})


def env_problems(text: str) -> tuple[str, ...]:
    """What is wrong, one sentence each with its line; values are never quoted."""
    found: list[str] = []
    first: dict[str, int] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            found.append(f"line {number}: this is not NAME=value.")
            continue
        name, value = match.groups()
        if name in first:
            found.append(f"line {number}: {name} is here twice (first in line {first[name]}); keep one.")
        first.setdefault(name, number)
        if problem := _problem(name, value.strip().strip("\"'")):
            found.append(f"line {number}: {problem}")
    missing = [name for name in VARIABLES if name not in first]
    return (*found, *(f"{name} is missing; .env.example says what it is." for name in missing))


def _problem(name: str, value: str) -> str | None:
    if name not in VARIABLES:
        return f"{name} is not known; {nearest(name, list(VARIABLES))}"
    if not value and name not in _MAY_BE_EMPTY:
        return f"{name} is empty; .env.example says what it is."
    if name != "COMPOSE_PROFILES" and is_placeholder(value.replace("secrets", "")):
        return f"{name} still holds the example's placeholder."
    return None
