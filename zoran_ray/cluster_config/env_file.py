"""Whether a `.env` is filled in: every variable known, there, once, no placeholder, and what it must be."""

import re
from pathlib import Path

from zoran_ray.cluster_config.compose_env import VARIABLES
from zoran_ray.cluster_config.env_values import env_contradictions, secrets_needed, value_problem
from zoran_ray.cluster_config.secret_files import is_placeholder
from zoran_ray.config.validation import nearest

_LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_MAY_BE_EMPTY = frozenset({"COMPOSE_PROFILES"})


def env_problems(text: str) -> tuple[str, ...]:
    """What is wrong, one sentence each with its line; values are never quoted."""
    found: list[str] = []
    first: dict[str, int] = {}
    values: dict[str, str] = {}
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
        values[name] = _unquoted(value)
        if problem := _problem(name, values[name]):
            found.append(f"line {number}: {problem}")
    missing = [name for name in VARIABLES if name not in first]
    told = (f"{name} is missing; .env.example says what it is." for name in missing)
    return (*found, *told, *env_contradictions(values))


def missing_secrets(text: str, folder: Path) -> tuple[str, ...]:
    """Files with secrets that a `.env` asks for and a folder does not have, one sentence each."""
    lines = (_LINE.fullmatch(line.strip()) for line in text.splitlines())
    values = {found[1]: _unquoted(found[2]) for found in lines if found}
    return tuple(
        f"COMPOSE_PROFILES needs the secret {name}, and {folder} has none. Make it as the README says."
        for name in secrets_needed(values)
        if not (folder / name).exists()
    )


def _unquoted(value: str) -> str:
    return value.strip().strip("\"'")


def _problem(name: str, value: str) -> str | None:
    if name not in VARIABLES:
        return f"{name} is not known; {nearest(name, list(VARIABLES))}"
    if not value and name not in _MAY_BE_EMPTY:
        return f"{name} is empty; .env.example says what it is."
    if name != "COMPOSE_PROFILES" and is_placeholder(value.replace("secrets", "")):
        return f"{name} still holds the example's placeholder."
    return value_problem(name, value)
