"""E-mail addresses, IPv6 addresses and URLs with credentials. Knows nothing of masking."""

import ipaddress
import re
import string
from collections.abc import Iterator

from zoran_ray.privacy.finding import Finding

# RFC 5322 atoms; a quoted local part is nobody's address in practice.
_LOCAL = string.ascii_letters + string.digits + "!#$%&'*+/=?^_`{|}~.-"
_WRAPPING = "'`*{|/=&?"
"""Characters that may begin a local part but in a text are quotation, markup or a query before it."""
_MOST_LOCAL, _MOST_DOMAIN = 64, 253
_LABEL = r"[^\W_](?:[^\W_]|-){0,62}"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.){{1,8}}(?:xn--[0-9A-Za-z-]{{2,59}}|[^\W\d_]{{2,63}})")
_FILE = re.compile(
    "bmp|gif|ico|jpe?g|png|svg|webp|css|html?|m?js|jsx|tsx?|json|pdf|toml|txt|xml|ya?ml", re.IGNORECASE
)
"""Endings that are no top-level domain: `logo@2x.png`."""

_IPV6_CORE = re.compile(r":[0-9A-Fa-f]{0,4}:")
_IPV6_CHARS = string.hexdigits + ":."
_IPV6_TAIL = re.compile(r"[0-9A-Fa-f:.]*+")
_MOST_IPV6 = 45
_LEAST_IPV6 = 5
"""Digits of `fe80::1`."""

_URL = re.compile(r"://([^\s/@:\"'<>]{0,256}+)(:[^\s/\"'<>]{1,256})?@(?=[\w\[])[^\s\"'<>`]{1,2048}+")
_SCHEME = string.ascii_letters + string.digits + "+.-"
_LEAST_TOKEN = 20
"""Length from which a user name without a password is taken for a token."""


def find_emails(text: str) -> Iterator[Finding]:
    """Addresses with a plausible local part and a domain that has a top level."""
    at = text.find("@")
    while at >= 0:
        if found := _email_around(text, at):
            yield found
        at = text.find("@", at + 1)


def _email_around(text: str, at: int) -> Finding | None:
    before = text[max(0, at - _MOST_LOCAL - 1) : at]
    local = before[len(before.rstrip(_LOCAL)) :].lstrip(_WRAPPING + ".")
    if not local or len(local) > _MOST_LOCAL or local[-1] == "." or ".." in local:
        return None
    domain = _DOMAIN.match(text, at + 1, at + 2 + _MOST_DOMAIN)
    if domain is None or text[domain.end() : domain.end() + 1].isalnum():
        return None
    ending = domain[0].rpartition(".")[2]
    is_remote = local == "git" and text[domain.end() : domain.end() + 1] in (":", "/")
    if _FILE.fullmatch(ending) or is_remote:
        return None
    return Finding("EMAIL", at - len(local), domain.end())


def find_ipv6(text: str) -> Iterator[Finding]:
    """Addresses of 128 bits; loopback and unspecified are everybody's and not found."""
    core = _IPV6_CORE.search(text)
    while core:
        before = text[max(0, core.start() - _MOST_IPV6) : core.start()]
        start = core.start() - (len(before) - len(before.rstrip(_IPV6_CHARS)))
        tail = _IPV6_TAIL.match(text, core.end())
        end = tail.end() if tail else core.end()
        if end - start <= _MOST_IPV6 + 3 and (found := _ipv6_at(text, start, end)):
            yield found
        core = _IPV6_CORE.search(text, end)


def _ipv6_at(text: str, start: int, end: int) -> Finding | None:
    while end > start and text[end - 1] == ".":
        end -= 1
    if text[end - 1] == ":" and text[end - 2] != ":":  # "found 2001:db8::1: it is down"
        end -= 1
    is_within = text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()
    written = text[start:end]
    # `a::b` is C++ and `1::2` a slice far more often than an address.
    is_short = sum(char in string.hexdigits for char in written) < _LEAST_IPV6
    if is_within or is_short or not any(char.isdigit() for char in written):
        return None
    try:
        address = ipaddress.IPv6Address(written)
    except ValueError:
        return None
    if address.is_loopback or address.is_unspecified:
        return None
    return Finding("IP", start, end)


def find_url_credentials(text: str) -> Iterator[Finding]:
    """URLs with a password, or with a user name long enough to be a token; the whole URL."""
    for match in _URL.finditer(text):
        if match[2] is None and len(match[1]) < _LEAST_TOKEN:
            continue
        before = text[max(0, match.start() - 20) : match.start()]
        scheme = before[len(before.rstrip(_SCHEME)) :].lstrip(string.digits + "+.-")
        end = match.end() - len(match[0]) + len(match[0].rstrip(".,;:!?)]}*"))
        if scheme:
            yield Finding("URL_CREDENTIALS", match.start() - len(scheme), end)
