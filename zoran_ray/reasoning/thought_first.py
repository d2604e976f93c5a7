"""What a reasoning model thinks first, between marks, and what it says then. Pure."""

THINK, THOUGHT = "<think>", "</think>"
"""The marks before and behind."""


def spoken(text: str) -> tuple[str, str]:
    """What a reasoning model thought first, and what it says, without white space around them."""
    thought, mark, said = text.rpartition(THOUGHT)
    return (thought.replace(THINK, "").strip(), said.strip()) if mark else ("", text.strip())


def without_thought(text: str) -> str:
    """What a reasoning model says, as it stands there: what it thought first is no part of it."""
    return text.rpartition(THOUGHT)[2]
