"""Whether files with secrets will do: there, readable, long enough, no placeholder. Tells no secret."""

import re
from pathlib import Path

from zoran_ray.errors import ConfigError

LEAST_CHARACTERS = 24
"""Shorter can be guessed; `openssl rand -hex 32` makes 64."""
MOST_BYTES = 4096
_LEAST_DIFFERENT = 8
_PLACEHOLDER = re.compile(
    r"change.?me|replace|placeholder|example|your.?(?:secret|password|token)|password|secret|<.*>|x{6,}",
    re.IGNORECASE,
)


def is_placeholder(text: str) -> bool:
    """Whether `text` stands for something that somebody was to put there."""
    return bool(_PLACEHOLDER.search(text))


def secret_problems(folder: Path) -> tuple[str, ...]:
    """What is wrong with the files in `folder`, one sentence each; empty if all will do."""
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        return (
            f"{folder} cannot be read: {error.strerror}. It is the folder that holds the secrets' files.",
        )
    found = (
        [] if paths else [f"{folder} holds no secret. Make ray_token there with `openssl rand -hex 32`."]
    )
    seen: dict[str, str] = {}
    for path in paths:
        text, problem = _judged(path)
        if problem:
            found.append(problem)
        elif text in seen:
            found.append(f"{path.name} and {seen[text]} are the same. Give each a secret of its own.")
        else:
            seen[text] = path.name
    return tuple(found)


def require_secrets(folder: Path) -> None:
    """Raises: ConfigError: one line for each file that will not do."""
    if found := secret_problems(folder):
        raise ConfigError("\n".join(found))


def secret_in(path: Path) -> str:
    """What a file with one secret holds.

    Raises:
        ConfigError: It cannot be read, or will not do; says why, and never what is in it.
    """
    text, problem = _judged(path)
    if problem:
        raise ConfigError(problem)
    return text


def _judged(path: Path) -> tuple[str, str | None]:
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1).decode("utf-8", errors="replace").removesuffix("\n")
    except OSError as error:
        return "", f"{path} cannot be read: {error.strerror}. Make it with `openssl rand -hex 32`."
    problem = _problem(text)
    return text, f"{path} {problem}. Make it anew with `openssl rand -hex 32`." if problem else None


def _problem(text: str) -> str | None:
    if not text.strip():
        return "is empty"
    if len(text) > MOST_BYTES:
        return f"is longer than {MOST_BYTES} bytes and no secret"
    if not re.fullmatch(r"[!-~]+", text):
        return "holds blanks, line breaks or other characters that a header cannot carry"
    if is_placeholder(text):
        return "still holds a placeholder"
    if len(text) < LEAST_CHARACTERS or len(set(text)) < _LEAST_DIFFERENT:
        return f"can be guessed: at least {LEAST_CHARACTERS} characters, drawn at random"
    return None
