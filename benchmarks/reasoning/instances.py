"""Instances in files: a JSON object a line, whoever wrote them. Knows no model."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.reasoning.tasks.task import Instance
from zoran_ray.errors import ConfigError, InvalidRequest
from zoran_ray.reasoning.verifiers import verifier_of

MOST_LINES = 100_000
MOST_CHARS = 64_000
"""Longest line."""


def read_instances(path: Path, task: str) -> list[Instance]:
    """The instances of a file: `question` and `verifier`, and where they are known `level` and `key`.

    Raises:
        ConfigError: A line is none; says which and what it lacks.
    """
    found: list[Instance] = []
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if len(line) > MOST_CHARS or number > MOST_LINES:
                    raise ConfigError(
                        f"{path}:{number}: at most {MOST_LINES} lines of {MOST_CHARS} characters."
                    )
                if line.strip():
                    found.append(_read(line, task, f"{path}:{number}"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as text: {type(error).__name__}.") from None
    if not found:
        raise ConfigError(f"{path}: there is no instance in it.")
    return found


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
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise ConfigError(f"{where}: this is no JSON.") from None
    if not isinstance(data, dict) or not isinstance(data.get("question"), str):
        raise ConfigError(f"{where}: an instance is an object with the texts 'question' and 'verifier'.")
    verifier, level = data.get("verifier"), data.get("level", 1)
    if not isinstance(verifier, dict) or not isinstance(level, int):
        raise ConfigError(f"{where}: 'verifier' is an object with 'kind', 'level' is a whole number.")
    try:
        verifier_of(verifier)
    except InvalidRequest as error:
        raise ConfigError(f"{where}: {error.message}") from None
    return Instance(task, level, str(data.get("key") or data["question"]), data["question"], verifier)
