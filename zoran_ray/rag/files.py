"""The texts of a folder: what git would keep, is text, and holds no secret. Knows no index.

No link is followed, neither to a file nor to a folder: each is opened from the one above it. So nothing
outside of the root is ever read, even if somebody exchanges files meanwhile.
"""

import codecs
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import blake2b
from pathlib import Path

from zoran_ray.errors import InvalidRequest
from zoran_ray.privacy import Scanner
from zoran_ray.rag.ignores import Ignores

SECRET_MARK = "[secret]"  # noqa: S105 - what stands for one
_SECRETS = ("PRIVATE_KEY", "URL_CREDENTIALS", "API_KEY")
_SECRET_NAMES = (
    ".env", ".env.*", "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", ".netrc", "_netrc", ".npmrc", ".pypirc", ".pgpass",
    ".htpasswd", ".git-credentials", "credentials", "credentials.*", "secrets", "secrets.*", "*.tfstate",
    "*.tfvars", "*.gpg", "*.asc", "*.ovpn", "shadow", "*.sqlite-wal", "token", "token.*",
)  # fmt: skip
_SAMPLES = ("*.example", "*.sample", "*.template", "*.dist")
_NEVER_ENTERED = frozenset(
    {".git", ".hg", ".svn", ".jj", "node_modules", "__pycache__", ".venv", "venv", ".tox", ".nox", ".ssh"}
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MOST_DEPTH = 64
_MOST_PATH_CHARS = 1000
_IGNORE_BYTES = 256 * 1024
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class FileBounds:
    """How much of a folder is read.

    Attributes:
        file_bytes: Largest file.
        files: Most files.
        total_bytes: Most bytes of all files together.
    """

    file_bytes: int = 1024 * 1024
    files: int = 50_000
    total_bytes: int = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file that is text.

    Attributes:
        path: From the root, with `/` between its parts.
        text: What it says; secrets in it are replaced by `SECRET_MARK`, lines stay where they are.
        digest: Of its bytes, in hexadecimal.
    """

    path: str
    text: str = field(repr=False)
    digest: str


class Folder:
    """Reads the texts of a folder.

    Args:
        root: The folder.
        bounds: How much is read.

    Attributes:
        left_out: Why how many files were left out, in the last round of `texts`; ignored ones not counted.

    Raises:
        InvalidRequest: There is no such folder.
    """

    def __init__(self, root: Path, bounds: FileBounds | None = None) -> None:
        self.root = root.resolve()
        if not self.root.is_dir():
            raise InvalidRequest(f"{root} is no folder.", param="folder")
        self._bounds = bounds or FileBounds()
        self._scanner = Scanner(kinds=_SECRETS)
        self.left_out: Counter[str] = Counter()

    def texts(self) -> Iterator[TextFile]:
        """All texts, in the order of their folders and names."""
        self.left_out.clear()
        files = size = 0
        for path, name, folder in self._files():
            found = self._opened(name, folder, path)
            if found is None:
                continue
            files, size = files + 1, size + len(found.text)
            if files > self._bounds.files or size > self._bounds.total_bytes:
                self.left_out["beyond the bounds of an index"] += 1
                continue
            yield found

    def read(self, path: str) -> TextFile | None:
        """One text again; None where it is none any more."""
        *folders, name = path.split("/")
        handle = -1
        try:
            handle = os.open(self.root, _FLAGS | os.O_DIRECTORY)
            for part in folders:
                inner = os.open(part, _FLAGS | os.O_DIRECTORY, dir_fd=handle)
                os.close(handle)
                handle = inner
            return self._opened(name, handle, path)
        except OSError:
            return None
        finally:
            if handle >= 0:
                os.close(handle)

    def _files(self) -> Iterator[tuple[str, str, int]]:
        """Path, name and open folder of each file that is not ignored."""
        ignores = Ignores()
        for place, folders, names, handle in os.fwalk(self.root, follow_symlinks=False):
            start = Path(place).relative_to(self.root).as_posix() + "/"
            start = "" if start == "./" else start
            if ".gitignore" in names and (text := _ignore_file(handle)):
                ignores.add(start, text)
            folders[:] = sorted(each for each in folders if self._enters(start, each, handle, ignores))
            for name in sorted(names):
                path = start + name
                if not _can_be_named(path):
                    self.left_out["strange name"] += 1
                elif not ignores.leaves_out(path):
                    yield path, name, handle

    def _enters(self, start: str, name: str, handle: int, ignores: Ignores) -> bool:
        path = f"{start}{name}/"
        if name in _NEVER_ENTERED or not _can_be_named(path):
            return False
        if stat.S_ISLNK(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode):
            self.left_out["link"] += 1
            return False
        if path.count("/") > _MOST_DEPTH:
            self.left_out["too deep"] += 1
            return False
        return not ignores.leaves_out(path)

    def _opened(self, name: str, folder: int, path: str) -> TextFile | None:
        if _is_secret(name):
            self.left_out["looks like a secret"] += 1
            return None
        data = _bytes(name, folder, self._bounds.file_bytes)
        if isinstance(data, str):
            self.left_out[data] += 1
            return None
        text = _text(data)
        if text is None:
            self.left_out["not text"] += 1
            return None
        digest = blake2b(data, digest_size=16).hexdigest()
        return TextFile(path, self._without_secrets(text), digest)

    def _without_secrets(self, text: str) -> str:
        parts, place = [], 0
        for finding in self._scanner.scan(text):
            lines = text.count("\n", finding.start, finding.end)
            parts += [text[place : finding.start], SECRET_MARK, "\n" * lines]
            place = finding.end
        return "".join((*parts, text[place:]))


def _bytes(name: str, folder: int, most: int) -> bytes | str:
    """What a file holds, or why it is left out."""
    try:
        handle = os.open(name, _FLAGS, dir_fd=folder)
    except OSError:
        try:
            is_link = stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
        except OSError:
            return "unreadable"
        return "link" if is_link else "unreadable"
    with os.fdopen(handle, "rb") as file:
        try:
            known = os.fstat(handle)
            if not stat.S_ISREG(known.st_mode):
                return "no file"
            if known.st_size > most:
                return "too large"
            data = file.read(most + 1)
        except OSError:
            return "unreadable"
    return data if len(data) <= most else "too large"


def _text(data: bytes) -> str | None:
    """The text of a file; None where it is none."""
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in data and not is_utf16:
        return None
    try:
        text = data.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        return None
    return text.replace("\r\n", "\n").replace("\0", "\ufffd")


def _ignore_file(folder: int) -> str:
    data = _bytes(".gitignore", folder, _IGNORE_BYTES)
    return "" if isinstance(data, str) else data.decode("utf-8", "replace")


def _can_be_named(path: str) -> bool:
    if len(path) > _MOST_PATH_CHARS or _CONTROL.search(path):
        return False
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_secret(name: str) -> bool:
    name = name.casefold()
    if any(fnmatchcase(name, form) for form in _SAMPLES):
        return False
    return any(fnmatchcase(name, form) for form in _SECRET_NAMES)
