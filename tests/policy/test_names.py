"""No name gets through that any system could read as another, or as a way out."""

import os
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zoran_ray.policy import name_fault, shown
from zoran_ray.policy.globs import fold

HOSTILE = [
    "", "/", "/etc/passwd", "..", "../x", "a/../b", "a/..", ".", "./a", "a/./b", "a//b", "a/",
    "a\0b", "a\nb", "a\tb", "a\x7fb", "a\x1bb", "a\u202eb", "a\u2066b", "a\ufeffb",
    "a\\b", "..\\x", "C:/x", "c:x", "a/b:stream", "\\\\server\\share", ".git::$INDEX_ALLOCATION",
    ".git", ".GIT", ".Git/config", "a/.git/hooks/pre-commit", "src/../.git/config", ".git/", "sub/.gIt",
    ".g\u200cit", ".gi\u200dt", ".git\u200b", "\u2060.git", "git~1", "GIT~1/config", "GIT~2", "gitmod~1",
    "gi7eba~1", "a/PROGRA~1/b", ".git.", ".git ", ".git . .", "a./b", "a /b", " a", "a ",
    "\uff0egit", ".g\uff49t", "\uff0e\uff0e/x", "\u2025/x", "a\uff0fb", "\u2100", "a\uff3cb", "c\uff1ax",
    "e\u0301.py", "K\u212a.py", "con", "NUL", "aux.py", "a/COM1.txt", "lpt9", "x\ud800", "\ue000",
    "\U000e0041x",
    "a/" * 64 + "b", "x" * 256, "x/" * 600, "é" * 130, "a\u2028b", "a\u034fb",
]  # fmt: skip

FINE = [
    "a", "a.py", "src/app/main.py", ".gitignore", ".github/x.yml", "git", "agit/x", "é/ü.py", "日本/語.txt",
    "a b/c d.txt", "...a", "a~b", "x~", "_-+@#$%&()[]{}!'=,;", "console.py", "😀.md", "x" * 255,
    "..a", "a..b",
]  # fmt: skip


@pytest.mark.parametrize("path", HOSTILE)
def test_a_hostile_name_is_refused_with_a_reason_that_can_be_shown(path: str) -> None:
    assert name_fault(path)
    assert shown(path).isprintable()
    assert len(shown(path)) < 1500


@pytest.mark.parametrize("path", FINE)
def test_an_ordinary_name_is_not(path: str) -> None:
    assert name_fault(path) == ""


_PIECES = st.sampled_from(
    ["..", ".", "/", "//", "\\", "\0", ".git", "~1", ":", " ", "a", "é", "\u200c", "．", "C:"]
)
PATHS = st.one_of(st.text(max_size=40), st.lists(_PIECES | st.text(max_size=3), max_size=8).map("".join))


@given(PATHS)
@example("..GIT")
@example("git")
def test_what_is_accepted_stays_within_the_root_and_out_of_git(path: str) -> None:
    if name_fault(path):
        return
    joined = os.path.normpath(os.path.join("/root/of/it", path))  # noqa: PTH118 - the law is about text
    assert joined == f"/root/of/it/{path}"
    assert unicodedata.is_normalized("NFC", path)
    assert path.encode("utf-8").decode("utf-8") == path
    for part in path.split("/"):
        # Blanks and dots at the end are no part of a name on Windows; `..git` and `git` are ordinary names.
        assert fold(part).rstrip(" .") not in ("", ".git")
        assert fold(part) == fold(part.upper()) or fold(part.upper()) != ".git"


@given(st.text(max_size=30))
def test_folding_is_done_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)
