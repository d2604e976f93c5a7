"""A fence around text from outside: marks that nothing within can imitate or end. Pure.

A mark holds a number that is a hash of what stands between the marks, and no sign that could begin a mark
is left there. The same text gets the same fence, so that calls that are repeated find their prefix in the
engine's cache. Marks would still be crossed by a model's own control tokens, such as `<|im_end|>` or
`[INST]`, which some tokenizers find in any text: what could begin one is replaced by a sign that looks
much like it.
"""

import re
from hashlib import blake2b

# Placeholders of masked values stay as they are: they are ours, and the answer needs them.
_PLACEHOLDER = r"[A-Z][A-Z_]{1,23}_[a-z2-7]{16}\]"
_OPENS = re.compile(rf"<(?=\S)|\[(?!{_PLACEHOLDER})(?=/?\w+\])")
_HARMLESS = {"<": "‹", "[": "⟦"}
CUT = " … (cut)"
"""Ends a text of which more was there."""


def harmless(text: str) -> str:
    """The text without anything that could begin a mark or a control token."""
    return _OPENS.sub(lambda sign: _HARMLESS[sign[0]], text)


def fenced(text: str, name: str, most_chars: int, *, truncated: bool = False) -> str:
    """The text between marks of this name, on lines of their own.

    Args:
        text: Whatever came from outside.
        name: Of the marks: a word.
        most_chars: Longest text that is shown; the rest is left out, and that is said.
        truncated: Whether the text was cut before.
    """
    # As a whole: what a cut leaves behind must not begin anything together with the mark.
    inside = harmless(text[:most_chars] + (CUT if truncated or len(text) > most_chars else ""))
    number = _number(inside)
    while number in inside:
        number = _number(number)
    return f"<{name}-{number}>\n{inside}\n</{name}-{number}>"


def _number(text: str) -> str:
    return blake2b(text.encode(errors="replace"), digest_size=4).hexdigest()
