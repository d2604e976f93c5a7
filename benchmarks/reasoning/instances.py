"""Instances in files: a JSON object a line, whoever wrote them. Knows no model."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.reasoning.tasks.task import Instance
from zoran_ray.errors import ConfigError, InvalidRequest
from zoran_ray.reasoning.countdown import Countdown
from zoran_ray.reasoning.verifiers import verifier_of

MOST_LINES = 100_000
MOST_CHARS = 64_000
"""Longest line."""
_NEEDED = ("question", "verifier")
_FIELDS = (*_NEEDED, "level", "key")
_PUZZLES = frozenset({"countdown"})
"""Tasks whose questions a strategy reads itself."""


def read_instances(path: Path, task: str) -> list[Instance]:
    """The instances of a file: `question` and `verifier`, and where they are known `level` and `key`.

    A question of `countdown` names its numbers and its target: `Numbers: 4 9 10 13. Target: 24`.

    Raises:
        ConfigError: A line is none, or asks what an earlier one asks; says which and what it lacks.
    """
    found: dict[str, Instance] = {}
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                where = f"{path}:{number}"
                if len(line) > MOST_CHARS or number > MOST_LINES:
                    raise ConfigError(f"{where}: at most {MOST_LINES} lines of {MOST_CHARS} characters.")
                if line.strip():
                    instance = _read(line, task, where)
                    if found.setdefault(instance.question, instance) is not instance:
                        # Counted twice, it would make intervals narrower than they are.
                        raise ConfigError(f"{where}: an earlier line has the same question.")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as text: {type(error).__name__}.") from None
    if not found:
        raise ConfigError(f"{path}: there is no instance in it.")
    return list(found.values())


def write_instances(path: Path, instances: Iterable[Instance]) -> None:
    """Writes what `read_instances` reads."""
    path.write_text("".join(json.dumps(_plain(each)) + "\n" for each in instances), encoding="utf-8")


def _plain(instance: Instance) -> dict[str, Any]:
    return {
        "level": instance.level,
        "key": instance.key,
        "question": instance.question,
        "verifier": dict(instance.verifier),
    }


def _read(line: str, task: str, where: str) -> Instance:
    data = _object(line, where)
    question, verifier = data["question"], data["verifier"]
    level, key = data.get("level", 1), data.get("key", data["question"])
    if not isinstance(question, str) or not question.strip():
        raise ConfigError(f"{where}: 'question' is a text.")
    if not isinstance(verifier, dict):
        raise ConfigError(f"{where}: 'verifier' is an object with 'kind'.")
    if not isinstance(level, int) or isinstance(level, bool) or level < 1:
        raise ConfigError(f"{where}: 'level' is a whole number from 1.")
    if not isinstance(key, str):
        raise ConfigError(f"{where}: 'key' is a text.")
    instance = Instance(task, level, key, question, verifier)
    try:
        verifier_of(verifier)
        if task in _PUZZLES:
            Countdown.of(instance.messages)
    except InvalidRequest as error:
        raise ConfigError(f"{where}: {error.message}") from None
    return instance


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise ConfigError(f"{where}: this is no JSON.") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{where}: an instance is an object with 'question' and 'verifier'.")
    for name in _NEEDED:
        if name not in data:
            raise ConfigError(f"{where}: '{name}' is missing.")
    for name in data:
        if name not in _FIELDS:
            raise ConfigError(f"{where}: there is no field {name[:64]!r}; there are {', '.join(_FIELDS)}.")
    return data
