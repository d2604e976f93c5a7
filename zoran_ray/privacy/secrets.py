"""API keys and private keys. Knows nothing of masking.

Keys are told by the prefix their issuer gives them, or by the name they are assigned to; either way they
must look drawn at random, so `sk-xxxxxxxx` and `password = "changeme"` stay.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator

from zoran_ray.privacy.finding import Finding

_TOKEN = r"(?![A-Za-z0-9_\-])"  # noqa: S105 - where a token ends
_PREFIXED = {
    prefix: re.compile(re.escape(prefix) + body + _TOKEN)
    for prefix, body in {
        "sk-": r"[A-Za-z0-9_\-]{20,250}+",  # OpenAI, Anthropic, OpenRouter, DeepSeek
        "sk_live_": r"[A-Za-z0-9]{16,250}+",  # Stripe
        "sk_test_": r"[A-Za-z0-9]{16,250}+",
        "rk_live_": r"[A-Za-z0-9]{16,250}+",
        "rk_test_": r"[A-Za-z0-9]{16,250}+",
        "ghp_": r"[A-Za-z0-9]{36,250}+",  # GitHub
        "gho_": r"[A-Za-z0-9]{36,250}+",
        "ghu_": r"[A-Za-z0-9]{36,250}+",
        "ghs_": r"[A-Za-z0-9]{36,250}+",
        "ghr_": r"[A-Za-z0-9]{36,250}+",
        "github_pat_": r"[A-Za-z0-9_]{36,250}+",
        "glpat-": r"[A-Za-z0-9_\-]{20,250}+",  # GitLab
        "xoxb-": r"[A-Za-z0-9\-]{20,250}+",  # Slack
        "xoxp-": r"[A-Za-z0-9\-]{20,250}+",
        "xoxa-": r"[A-Za-z0-9\-]{20,250}+",
        "xoxs-": r"[A-Za-z0-9\-]{20,250}+",
        "AKIA": r"[0-9A-Z]{16}",  # AWS
        "ASIA": r"[0-9A-Z]{16}",
        "AIza": r"[A-Za-z0-9_\-]{35}",  # Google
        "ya29.": r"[A-Za-z0-9_\-]{30,1000}+",
        "hf_": r"[A-Za-z0-9]{30,64}+",  # Hugging Face
        "npm_": r"[A-Za-z0-9]{36}",
        "pypi-": r"[A-Za-z0-9_\-]{50,1000}+",
        "SG.": r"[A-Za-z0-9_\-]{16,64}\.[A-Za-z0-9_\-]{16,64}+",  # SendGrid
        "gsk_": r"[A-Za-z0-9]{40,64}+",  # Groq
        "zk-": r"[A-Za-z0-9_\-]{20,250}+",  # ours
        "eyJ": r"[A-Za-z0-9_\-]{10,2000}+\.[A-Za-z0-9_\-]{10,4000}+\.[A-Za-z0-9_\-]{10,1000}+",  # JWT
    }.items()
}
_NAMES = tuple(
    word
    for stem in ("key", "secret", "token", "passw", "pwd", "bearer")
    for word in (stem, stem.capitalize(), stem.upper())
)
_ASSIGNED = re.compile(
    r"(?:ord|_[A-Za-z]{1,12})?s?[\"']?(?:\s{0,3}(?:=>|:=|[:=])\s{0,3}|(?<=[Rr])\s)[\"']?(?:[Bb]earer\s)?"
    r"([A-Za-z0-9_\-./+~!@#$%^*]{12,512}+={0,2})"
)
_HEX = re.compile(r"[0-9a-f]{32,}|[0-9A-F]{32,}")
_LEAST_BITS, _LEAST_BITS_ASSIGNED = 2.8, 3.2
"""Entropy of one character from which a token looks random."""

_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_BODY = re.compile(
    r"(?:[A-Za-z0-9+/=:,. \t\r\n\\]|-(?!----))*+"
    r"(-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----)?"
)
_CUT_BODY = re.compile(r"(?:(?:\s|\\[rnt])*+[A-Za-z0-9+/=]{16,}+)*+")
_LEAST_BODY = 32


def find_private_keys(text: str) -> Iterator[Finding]:
    """PEM and PGP private keys, also those of which the end is missing."""
    begin = _BEGIN.search(text)
    while begin:
        body = _BODY.match(text, begin.end())
        end = body.end() if body and body[1] else _end_of_cut(text, begin.end())
        if end - begin.end() >= _LEAST_BODY:
            yield Finding("PRIVATE_KEY", begin.start(), end)
        begin = _BEGIN.search(text, max(end, begin.end()))


def _end_of_cut(text: str, start: int) -> int:
    body = _CUT_BODY.match(text, start)
    return body.end() if body else start


def find_api_keys(text: str) -> Iterator[Finding]:
    """Keys with a known prefix, and random-looking values of what is called a key, token or password."""
    for prefix, pattern in _PREFIXED.items():
        yield from _prefixed(text, prefix, pattern)
    for name in _NAMES:
        yield from _assigned(text, name)


def _prefixed(text: str, prefix: str, pattern: re.Pattern[str]) -> Iterator[Finding]:
    place = text.find(prefix)
    while place >= 0:
        match = None if _is_word(text[place - 1 : place]) else pattern.match(text, place)
        if match and _bits(match[0][len(prefix) :]) >= _LEAST_BITS:
            yield Finding("API_KEY", place, match.end())
        place = text.find(prefix, match.end() if match else place + len(prefix))


def _assigned(text: str, name: str) -> Iterator[Finding]:
    place = text.find(name)
    while place >= 0:
        stop = place + len(name)
        match = _ASSIGNED.match(text, stop)
        if match and _looks_random(match[1]):
            start, end = match.span(1)
            yield Finding("API_KEY", start, end - len(match[1]) + len(match[1].rstrip(".!")))
        place = text.find(name, stop)


def _is_word(char: str) -> bool:
    return char.isalnum() or char in ("_", "-") if char else False


def _looks_random(value: str) -> bool:
    is_mixed = all(any(map(test, value)) for test in (str.isdigit, str.islower, str.isupper))
    # One digit alone is that of a name: `V2_KEYS`.
    is_mixed = is_mixed and sum(map(str.isdigit, value)) > 1
    return (is_mixed or _HEX.fullmatch(value) is not None) and _bits(value) >= _LEAST_BITS_ASSIGNED


def _bits(token: str) -> float:
    """Shannon entropy of one character, in bits."""
    size = len(token)
    return -sum(count / size * math.log2(count / size) for count in Counter(token).values())
