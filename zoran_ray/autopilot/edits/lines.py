"""Reading an answer line by line. Knows no format."""

import re

from zoran_ray.autopilot.edits.edit import EditError

_PATH = re.compile(r"[\w.@+-]+(?:/[\w.@+-]+)*")
_WITHOUT_DOT = frozenset({"Makefile", "Dockerfile", "Procfile", "Gemfile", "Rakefile", "LICENSE", "README"})
_DRESS = re.compile(r"^(?:#+\s+|[*-]\s+|//\s*|file(?:name)?:\s*|path:\s*)+|:$", re.IGNORECASE)


class Lines:
    """Lines of a text and a place among them."""

    def __init__(self, text: str) -> None:
        self.all = [line.rstrip("\r") for line in text.split("\n")]
        self.place = 0

    def __bool__(self) -> bool:
        return self.place < len(self.all)

    @property
    def here(self) -> str:
        """The line at the place."""
        return self.all[self.place]

    def take(self) -> str:
        """The line at the place, which moves on."""
        self.place += 1
        return self.all[self.place - 1]

    def until(self, end: "re.Pattern[str]", what: str) -> list[str]:
        """The lines before the next one that is an end, which is passed too.

        Raises:
            EditError: There is no end.
        """
        first, found = self.place, list[str]()
        while self:
            line = self.take()
            if end.fullmatch(line):
                return found
            found.append(line)
        raise EditError(f"{what} that begins in line {first} of your answer has no end. Write it whole.")


def path_in(line: str) -> str | None:
    """The path that a line names and nothing else, without the dress models put around it; or None."""
    bare = _DRESS.sub("", line.strip()).strip()
    while len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "`*\"'_":
        bare = bare[1:-1]
    bare = _DRESS.sub("", bare).strip("`* ")
    looks = _PATH.fullmatch(bare) and ("/" in bare or "." in bare[:-1] or bare in _WITHOUT_DOT)
    return bare if looks and not bare.endswith(".") else None


def name_in(line: str) -> str | None:
    """The word that a line is, where it can be meant for a file and is no path; or None."""
    bare = line.strip()
    word = _DRESS.sub("", bare).strip("`*\"' ")
    if not word or len(word.split()) > 1 or path_in(line):
        return None
    is_plain = bare == word or "`" in bare or bare.lower().startswith(("file", "path"))
    return word if (is_plain and word[-1] not in ".!?:;,") or set(word) & set("/\\~") else None


def joined(lines: list[str]) -> str:
    """Lines, each with its end."""
    return "".join(f"{line}\n" for line in lines)
