"""Which names of files are refused whatever a policy says. Looks at the name alone, touches no file.

Sources: git's `verify_path` with `core.protectHFS` and `core.protectNTFS`; Naming Files, Microsoft Learn.
"""

import re
import unicodedata

from zoran_ray.policy.globs import fold

MAX_PATH_BYTES = 1024
MAX_NAME_BYTES = 255
MAX_DEPTH = 64

_BAD_KINDS = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode's control, format (what HFS+ ignores among them), surrogate, private, unassigned, separators."""
_IGNORED = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
_SHORT_NAME = re.compile(r"[^.]{1,6}~[0-9]{1,6}(?:\.[^.]{0,3})?")
"""What NTFS calls a file with a long name besides: `git~1` is `.git`."""
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9]|lpt[0-9])(?:\..*)?", re.DOTALL)


def name_fault(path: str) -> str:
    """Why a path may not be used, for a person; empty if it may.

    Args:
        path: Relative to the repository's root, parts divided by `/`.
    """
    if not path or len(path) > MAX_PATH_BYTES:
        return f"a path has 1 to {MAX_PATH_BYTES} bytes"
    if any(unicodedata.category(char) in _BAD_KINDS or char in _IGNORED for char in path):
        return "the path holds a control character, or one that is not shown"
    if "\\" in path or ":" in path:
        return "the path holds '\\' or ':', which are separators elsewhere"
    if not unicodedata.is_normalized("NFC", path):
        return "the path is not in Unicode's normal form NFC"
    if len(path.encode()) > MAX_PATH_BYTES:
        return f"a path has 1 to {MAX_PATH_BYTES} bytes"
    parts = path.split("/")
    if len(parts) > MAX_DEPTH:
        return f"a path has at most {MAX_DEPTH} parts"
    return next((fault for part in parts if (fault := _part_fault(part))), "")


def _part_fault(part: str) -> str:
    folded = fold(part)
    if part in ("", ".", ".."):
        return "the path is absolute, or has an empty part, '.' or '..'"
    if "/" in folded or "\\" in folded or ":" in folded or folded.strip(". ") == "":
        return "a part of the path looks like a separator, '.' or '..'"
    if len(part.encode()) > MAX_NAME_BYTES:
        return f"a part of the path is longer than {MAX_NAME_BYTES} bytes"
    if folded[-1] in ". " or part[0] == " ":
        return "a part of the path ends with a dot, or begins or ends with a space"
    if folded == ".git" or _SHORT_NAME.fullmatch(folded):
        return "the path leads into git's own folder, or to a short name that could"
    if _DEVICE.fullmatch(folded):
        return "a part of the path is the name of a device elsewhere"
    return ""


def shown(path: str) -> str:
    """A path for a message: what is not printable escaped, no longer than a line."""
    text = path if path.isprintable() else ascii(path)[1:-1]
    return f"'{text[:120]}…'" if len(text) > 121 else f"'{text}'"
