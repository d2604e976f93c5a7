"""Paths of URLs in one form, so that two spellings of a path are one. Pure."""

import re
from urllib.parse import quote

_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def normal(path: str) -> str:
    """The path with escapes only where they are needed, in capitals.

    Source: RFC 3986, 6.2.2.
    """
    return _ESCAPE.sub(_shown, quote(path, safe="/:?#[]@!$&'()*+,;=%-._~"))


def _shown(escape: re.Match[str]) -> str:
    char = chr(int(escape[1], 16))
    return char if char in _PLAIN else escape[0].upper()
