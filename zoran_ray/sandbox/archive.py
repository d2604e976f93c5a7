"""Files as tar, into the sandbox and out of it. What comes out was written by an enemy."""

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field

from zoran_ray.errors import InvalidRequest
from zoran_ray.sandbox.limits import Limits

_LONGEST_NAME_BYTES = 1024
_LONGEST_PART_BYTES = 255
_HEADER_BYTES = 4096
_MOST_NAMED = 20


def is_safe_name(name: str) -> bool:
    """Whether a file may be called so: relative, in shortest form, nothing a system reads otherwise."""
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return False
    parts = name.split("/")
    return (
        0 < len(encoded) <= _LONGEST_NAME_BYTES
        and not any(char in "\\" or ord(char) < 32 or ord(char) == 127 for char in name)
        and all(part not in ("", ".", "..") and len(part.encode()) <= _LONGEST_PART_BYTES for part in parts)
    )


def pack(files: Mapping[str, bytes], limits: Limits) -> bytes:
    """A tar of regular files with mode 0644.

    Raises:
        InvalidRequest: A name is not safe, one is a folder of another, or it is too much.
    """
    total_bytes = sum(len(content) for content in files.values())
    if len(files) > limits.input_files or total_bytes > limits.input_bytes:
        raise InvalidRequest(
            f"The sandbox takes {limits.input_files} files with {limits.input_bytes} bytes; these are "
            f"{len(files)} with {total_bytes}. Give it fewer, or raise its limits."
        )
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            if not is_safe_name(name) or any(folder in files for folder in _folders(name)):
                raise InvalidRequest(
                    f"The sandbox takes no file called {name[:200]!r}: use a plain relative path."
                )
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o644
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What a job left behind.

    Attributes:
        files: Contents of the regular files by relative path.
        left_out: What was there besides and why it is not in `files`; the first few.
    """

    files: dict[str, bytes] = field(default_factory=dict, repr=False)
    left_out: tuple[str, ...] = ()


def most_bytes(limits: Limits) -> int:
    """Longest tar worth reading: the contents and what tar adds to each file."""
    return limits.kept_bytes + (limits.kept_files + 1) * _HEADER_BYTES


def unpack(data: bytes, limits: Limits) -> Unpacked:
    """Read a tar without believing it: only regular files with safe names, once each, within the limits.

    A link, a device, a pipe, or an unsafe name is left out. What is broken or too large gives no file at
    all, so that nobody takes a part for the whole.
    """
    files: dict[str, bytes] = {}
    left_out: list[str] = []
    room_bytes, entries = limits.kept_bytes, 0
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            for member in tar:
                entries += 1
                name = member.name.removeprefix("./")
                if member.isdir() and (name == "." or is_safe_name(name)):
                    continue
                room_bytes -= member.size
                if entries > 4 * limits.kept_files or len(files) >= limits.kept_files or room_bytes < 0:
                    return Unpacked({}, ("all files: they are too many or too large",))
                if fault := _fault(member, name, files):
                    left_out.append(f"{name[:200]!r}: {fault}")
                    continue
                files[name] = _content(tar, member)
    except (tarfile.TarError, ValueError, OSError, EOFError, OverflowError, RecursionError):
        return Unpacked({}, ("all files: what came out is no sound archive",))
    return Unpacked(files, tuple(left_out[:_MOST_NAMED]))


def _fault(member: tarfile.TarInfo, name: str, files: Mapping[str, bytes]) -> str | None:
    """Why this entry is left out; None for a regular file."""
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
        return "not a regular file"
    if not is_safe_name(name) or name in files or any(folder in files for folder in _folders(name)):
        return "not a safe name"
    return None


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    reader = tar.extractfile(member)
    assert reader is not None  # it is a regular file
    content = reader.read()
    if len(content) != member.size:
        raise EOFError
    return content


def _folders(name: str) -> list[str]:
    """The folders above a file: `a` and `a/b` for `a/b/c`."""
    parts = name.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]
