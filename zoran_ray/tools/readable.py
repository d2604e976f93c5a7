"""The readable text of an HTML page. Pure: knows no network.

Reads from front to back in time that grows with the length of the page alone, whatever the page is: each
step of the scan takes something away and none looks back. (`html.parser` is quadratic on some pages before
Python 3.11.14, and builds no tree either.) Hidden text is left out: it is where pages speak to models only.
"""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TOKEN = re.compile(
    r"<!--.*?(?:--!?>|\Z)"
    r"|<[!?/](?![A-Za-z])[^>]*+>?|<!\w[^>]*+>?"
    r"|<(?P<end>/?)(?P<name>[A-Za-z][^\s/>]*+)(?P<rest>(?:=\s*+(?:\"[^\"]*+\"?|'[^']*+'?)|[^>])*+)>?"
    r"|(?P<text>[^<]++|<)",
    re.DOTALL,
)
_RAW = {
    name: re.compile(f"</{name}(?=[\\s/>])", re.IGNORECASE)
    for name in (
        "script",
        "style",
        "textarea",
        "title",
        "noscript",
        "template",
        "iframe",
        "noframes",
        "xmp",
    )
}
_VOID = _names("area base br col embed hr img input link meta param source track wbr")
_BLOCKS = _names(
    "address article aside blockquote body dd details dialog div dl dt fieldset figcaption figure footer"
    " form h1 h2 h3 h4 h5 h6 header hr html li main nav ol option p pre section summary table tbody tfoot"
    " thead tr ul"
)
_ASIDE = _names("aside button canvas dialog footer form nav object select svg")
_MAIN = frozenset({"article", "main"})
_ENDS_ITSELF = _names("dd dt li option p td th tr")
"""Whose end may be left out: another of its name, or any block after a `p`, ends it."""
_HIDDEN = re.compile(
    r"(?:^|\s)hidden(?=[\s=/]|$)(?!\s*=\s*[\"']?until-found)|aria-hidden\s*=\s*[\"']?true"
    r"|(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])|opacity\s*:\s*0(?![.\d]))",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"&#(?:[0-9]{8,}+|[xX][0-9A-Fa-f]{7,}+);?")
# Shown by no browser, read by every model: zero width, direction marks, tags.
_UNSEEN = re.compile(
    "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\U000e0000-\U000e007f]"
)

_IS_ASIDE, _IS_MAIN, _IS_HIDDEN, _IS_PRE = 1, 2, 4, 8
_MOST_DEPTH = 256
_LOOKED_BACK = 32
"""Open elements among which the one is looked for that an end tag ends."""
_LEAST_CHARS = 200
"""A part of a page with less text than this is not taken for the page."""


@dataclass(frozen=True, slots=True)
class Readable:
    """What a page says."""

    title: str = field(repr=False)
    text: str = field(repr=False)


def readable(page: str) -> Readable:
    """Title and text of a page: its main part where it marks one, without menus and hidden text."""
    reader = _Reader()
    reader.read(page)
    main = reader.said(lambda flags: bool(flags & _IS_MAIN) and not flags & _IS_ASIDE)
    if len(main) >= _LEAST_CHARS:
        return Readable(reader.title, main)
    body = reader.said(lambda flags: not flags & _IS_ASIDE)
    # A menu that is never closed would take the whole page with it.
    text = body if len(body) >= _LEAST_CHARS else reader.said(lambda flags: True)
    return Readable(reader.title, text)


class _Reader:
    def __init__(self) -> None:
        self.title = ""
        self._open: list[tuple[str, int]] = []
        self._blocks: list[tuple[int, str]] = []
        self._line: list[str] = []
        self._has_words = False
        self._before = ""

    def read(self, page: str) -> None:
        place = 0
        while token := _TOKEN.match(page, place):
            place = token.end()
            if token["text"] is not None:
                self._say(token["text"])
            elif token["name"] is not None:
                name = token["name"].lower()
                if token["end"]:
                    self._end(name)
                elif name in _RAW:
                    place = self._skip(page, place, name)
                else:
                    self._begin(name, token["rest"])
        self._flush()

    def said(self, wanted: Callable[[int], bool]) -> str:
        """The blocks whose flags are wanted."""
        return "\n".join(text for flags, text in self._blocks if wanted(flags)).strip()

    @property
    def _flags(self) -> int:
        return self._open[-1][1] if self._open else 0

    def _say(self, text: str) -> None:
        if not self._flags & _IS_HIDDEN:
            self._line.append(text)
            self._has_words = self._has_words or not text.isspace()

    def _skip(self, page: str, place: int, name: str) -> int:
        """Leaves out what is no markup, such as a script. Returns: Where it ends."""
        end = _RAW[name].search(page, place)
        stop = end.start() if end else len(page)
        if name == "title" and not self.title:
            self.title = _clean(page[place : min(stop, place + 2000)], pre=False)
        return stop

    def _begin(self, name: str, rest: str) -> None:
        if name in _BLOCKS:
            self._flush()
            if self._open and self._open[-1][0] == "p":
                self._open.pop()
        if name in _ENDS_ITSELF and self._open and self._open[-1][0] == name:
            self._end(name)
        if name == "br":
            self._line.append("\n" if self._flags & _IS_PRE else " ")
        elif name in ("td", "th") and self._has_words:
            self._line.append(" | ")
        if name not in _VOID and len(self._open) < _MOST_DEPTH:
            flags = self._flags | _flags_of(name, rest, self._flags)
            self._turn(flags)
            self._open.append((name, flags))
        if name == "li":
            self._before = "- "
        elif len(name) == 2 and name[0] == "h" and name[1] in "123456":
            self._before = "#" * int(name[1]) + " "

    def _end(self, name: str) -> None:
        if name in _BLOCKS:
            self._flush()
        for back in range(1, min(_LOOKED_BACK, len(self._open)) + 1):
            if self._open[-back][0] == name:
                self._turn(self._open[-back - 1][1] if back < len(self._open) else 0)
                del self._open[-back:]
                return

    def _turn(self, flags: int) -> None:
        """Ends a block where other flags begin; what is hidden is left out already."""
        if (flags ^ self._flags) & ~_IS_HIDDEN:
            self._flush()

    def _flush(self) -> None:
        """Ends a block of text."""
        flags = self._flags
        text = _clean("".join(self._line), pre=bool(flags & _IS_PRE))
        self._line.clear()
        self._has_words = False
        if text:
            self._blocks.append((flags, self._before + text))
            self._before = ""


def _flags_of(name: str, rest: str, around: int) -> int:
    flags = _IS_PRE if name == "pre" else 0
    if name in _MAIN:
        flags |= _IS_MAIN
    if name in _ASIDE or (name == "header" and not around & _IS_MAIN):
        flags |= _IS_ASIDE
    return flags | (_IS_HIDDEN if rest and _HIDDEN.search(rest) else 0)


def _clean(text: str, *, pre: bool) -> str:
    # A number of a million digits is more than `int` reads.
    text = _UNSEEN.sub("", html.unescape(_NUMBER.sub("\ufffd", text)))
    return text.strip("\n").rstrip() if pre else " ".join(text.split())
