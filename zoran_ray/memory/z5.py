"""`Z5::`, a frame of plain ASCII around zstd: for records at rest, long prompts, payloads of messages.

    Z5::2.<dictionary>.<checksum>.<base64url of a zstd frame without its magic number, no padding>

- dictionary: `0` for none, or the three characters that name one (`z5_dictionary`).
- checksum: the first six characters (36 bits) of the base64url of a 6-byte BLAKE2b hash of `2.`, the
  dictionary's SHA-256 (none: nothing) and the zstd frame as it stands here. It finds accidents, no forgers.
- The frame says how long its content is (zstd allows to leave that out; this format does not). Put
  `28 b5 2f fd` in front and any zstd reads it.

Read besides: the public version 1, `Z5::` and the base64 of a zlib stream. A content may have several
frames (levels differ), but a frame has one spelling: other padding or spare bits are an error. A version 1
frame vouches for its content alone (zlib's Adler-32): deflate has bits that mean nothing.
"""

import base64
import binascii
import hashlib
import re
import string
import threading
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import zstandard

from zoran_ray.errors import (
    InvalidRequest,
    Z5Corrupt,
    Z5Malformed,
    Z5TooLarge,
    Z5Truncated,
    Z5UnknownVersion,
    Z5WrongDictionary,
)
from zoran_ray.memory.z5_dictionary import Dictionary, shipped

PREFIX = "Z5::"
NO_DICTIONARY = "0"
MAX_BYTES = 16 * 1024 * 1024
"""Most content that is written or read, unless a codec is told otherwise."""
LEVEL = 12
SHORT_BYTES = 4096
SHORT_LEVEL = 19
"""Content up to `SHORT_BYTES` is compressed harder: that gains 3 % and takes a tenth of a millisecond."""

_MAGIC = zstandard.FRAME_HEADER
_MOST_BLOCKS = 100_000
"""Blocks that are looked at. Our frames have a few for each 128 KiB; a hostile one has any number."""
_URL = (string.ascii_letters + string.digits + "-_").encode()
_STANDARD = (string.ascii_letters + string.digits + "+/").encode()
_VERSION = re.compile(r"[0-9]{1,4}", re.ASCII)
_DICTIONARY = re.compile(r"0|[A-Za-z0-9_-]{3}", re.ASCII)
_CHECKSUM = re.compile(r"[A-Za-z0-9_-]{6}", re.ASCII)
_CUT = "The end of this Z5:: frame is missing; fetch it again."
_CHANGED = "This Z5:: frame was changed after it was written; fetch it again."


class Z5:
    """Writes and reads frames. May be shared by threads.

    Args:
        dictionaries: Those frames may name; of a kind the last one is written with.
        level: zstd's compression level, 1..22, for content that is not short.
        short_level: The same for content up to `SHORT_BYTES`.
        max_bytes: Most content in bytes, written or read.

    Raises:
        InvalidRequest: Two different dictionaries have the same id, or one is not in zstd's format.
    """

    def __init__(
        self,
        dictionaries: Iterable[Dictionary] = (),
        *,
        level: int = LEVEL,
        short_level: int = SHORT_LEVEL,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._level = level
        self._short_level = short_level
        self._max_bytes = max_bytes
        self._by_id: dict[str, _Ready] = {}
        self._id_of: dict[str, str] = {}
        # zstd's contexts cost more to make than a short record takes, and no two threads may use the same.
        self._of_thread = threading.local()
        for each in dictionaries:
            self._add(each)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of records that there is a dictionary for."""
        return tuple(self._id_of)

    def encode(self, content: bytes, kind: str | None = None) -> str:
        """The frame of `content`.

        Args:
            kind: Whose dictionary to use, one of `kinds`; None for no dictionary.

        Raises:
            Z5TooLarge: The content is longer than `max_bytes`.
            InvalidRequest: There is no dictionary of this kind.
        """
        if len(content) > self._max_bytes:
            raise Z5TooLarge(f"Content has {self._max_bytes} bytes at most; split it.")
        if kind is not None and kind not in self._id_of:
            known = ", ".join(self._id_of) or "none"
            raise InvalidRequest(f"There is no Z5:: dictionary of this kind; known: {known}.", param="kind")
        name = NO_DICTIONARY if kind is None else self._id_of[kind]
        ready = self._by_id.get(name)
        raw = self._compressor(ready, len(content)).compress(content)[len(_MAGIC) :]
        return f"{PREFIX}2.{name}.{_checksum(ready, raw)}.{_base64url(raw)}"

    def decode(self, text: str) -> bytes:
        """The content of a frame of version 2 or 1. Never allocates more than `max_bytes` for it.

        Raises:
            Z5Malformed: It is no frame.
            Z5UnknownVersion: It is one of another version.
            Z5WrongDictionary: Its dictionary is not among this codec's.
            Z5Truncated: Its end is missing.
            Z5TooLarge: Its content is longer than `max_bytes`, or the text than such a content needs.
            Z5Corrupt: Something in it was changed.
        """
        if not text.startswith(PREFIX):
            raise Z5Malformed(f"A frame begins with {PREFIX}; this does not.")
        # What cannot be compressed grows by less than 1/128 in zstd and zlib; base64 adds a third.
        if len(text) > (self._max_bytes + self._max_bytes // 128 + 1024) * 4 // 3:
            raise self._too_large()
        rest = text[len(PREFIX) :]
        return self._decode_2(rest) if "." in rest else self._decode_1(rest)

    def _decode_2(self, rest: str) -> bytes:
        version, *parts = rest.split(".", 3)
        if not _VERSION.fullmatch(version):
            raise Z5Malformed("A Z5:: frame begins with its version; this does not.")
        if version != "2":
            raise Z5UnknownVersion(
                f"This Z5:: frame has version {version}; known are 1 and 2. Upgrade zoran."
            )
        if len(parts) < 3:
            raise Z5Truncated(_CUT)
        name, checksum, body = parts
        if not (_DICTIONARY.fullmatch(name) and _CHECKSUM.fullmatch(checksum)):
            raise Z5Malformed("A Z5:: frame is Z5::2.<dictionary>.<checksum>.<base64url>; this is not.")
        if name != NO_DICTIONARY and name not in self._by_id:
            raise Z5WrongDictionary(
                f"This Z5:: frame needs dictionary {name}, which is not here; add its file."
            )
        ready = self._by_id.get(name)
        raw, clean = _unbase64(body, url=True)
        frame = _MAGIC + raw
        size = _length(frame)
        if not clean or _checksum(ready, raw) != checksum:
            raise Z5Corrupt(_CHANGED)
        if size < 0:
            raise Z5Malformed("This Z5:: frame does not say how long its content is.")
        if size > self._max_bytes:
            raise self._too_large()
        try:
            # Allocates what the header says, no more; a frame that holds more is an error of zstd's.
            return self._decompressor(ready).decompress(frame)
        except zstandard.ZstdError:
            raise Z5Corrupt(_CHANGED) from None

    def _compressor(self, ready: "_Ready | None", size: int) -> zstandard.ZstdCompressor:
        if size > SHORT_BYTES:
            # Not kept: it would hold on to tables for the longest content it ever saw.
            return _compressor(self._level, ready.long if ready else None)
        kept: dict[_Ready | None, zstandard.ZstdCompressor] = self._of_thread.__dict__.setdefault("c", {})
        if ready not in kept:
            kept[ready] = _compressor(self._short_level, ready.short if ready else None)
        return kept[ready]

    def _decompressor(self, ready: "_Ready | None") -> zstandard.ZstdDecompressor:
        kept: dict[_Ready | None, zstandard.ZstdDecompressor] = self._of_thread.__dict__.setdefault("d", {})
        if ready not in kept:
            kept[ready] = zstandard.ZstdDecompressor(dict_data=ready.long if ready else None)
        return kept[ready]

    def _decode_1(self, body: str) -> bytes:
        raw, clean = _unbase64(body, url=False)
        reader = zlib.decompressobj()
        try:
            content = reader.decompress(raw, self._max_bytes + 1)
        except zlib.error:
            raise Z5Corrupt(_CHANGED) from None
        if len(content) > self._max_bytes:
            raise self._too_large()
        if not reader.eof:
            raise Z5Truncated(_CUT)
        if reader.unused_data or not clean:
            raise Z5Corrupt(_CHANGED)
        return content

    def _add(self, each: Dictionary) -> None:
        known = self._by_id.get(each.id)
        if known is not None and known.dictionary.content != each.content:
            raise InvalidRequest(f"Two dictionaries have the id {each.id}; train one of them again.")
        self._by_id[each.id] = known or _Ready(
            each, _precomputed(each, self._short_level), _precomputed(each, self._level)
        )
        self._id_of[each.kind] = each.id

    def _too_large(self) -> Z5TooLarge:
        return Z5TooLarge(f"The content of this Z5:: frame is larger than {self._max_bytes} bytes.")


@cache
def codec() -> Z5:
    """The codec with the dictionaries that we ship."""
    return Z5(shipped())


def _compressor(level: int, dictionary: zstandard.ZstdCompressionDict | None) -> zstandard.ZstdCompressor:
    return zstandard.ZstdCompressor(
        level=level, dict_data=dictionary, write_content_size=True, write_dict_id=False
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Ready:
    """A dictionary with zstd's tables for short content and for long."""

    dictionary: Dictionary
    short: zstandard.ZstdCompressionDict
    long: zstandard.ZstdCompressionDict


def _precomputed(dictionary: Dictionary, level: int) -> zstandard.ZstdCompressionDict:
    try:
        ready = zstandard.ZstdCompressionDict(dictionary.content, dict_type=zstandard.DICT_TYPE_FULLDICT)
        ready.precompute_compress(level=level)
    except (zstandard.ZstdError, ValueError) as wrong:
        raise InvalidRequest(f"The dictionary of {dictionary.kind!r} is not in zstd's format.") from wrong
    return ready


def _checksum(ready: _Ready | None, raw: bytes) -> str:
    # All of the dictionary's hash, so that two with the same id are told apart.
    digest = hashlib.blake2b(b"2." + (ready.dictionary.sha256 if ready else b""), digest_size=6)
    digest.update(raw)
    return _base64url(digest.digest())[:6]


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unbase64(body: str, *, url: bool) -> tuple[bytes, bool]:
    """The bytes, and whether `body` is how they are written: the last character may have bits to spare.

    Whether a text with other spare bits was cut or changed, only what is in it can tell.
    """
    given = body.encode("ascii", "replace")
    if (given if url else given.rstrip(b"=")).translate(None, _URL if url else _STANDARD):
        raise Z5Malformed("The last part of a Z5:: frame is base64; this is not.")
    over = len(given) % 4
    if over == 1 or (not url and (over or not given)):
        raise Z5Truncated(_CUT)
    try:
        raw = base64.b64decode(given + b"=" * (-over % 4), b"-_" if url else None)
    except binascii.Error:
        raise Z5Malformed("The last part of a Z5:: frame is base64; this is not.") from None
    # All characters before the last group have no choice.
    last = raw[-(len(raw) % 3 or 3) :]
    return raw, given.endswith(_base64url(last).encode() if url else base64.b64encode(last))


def _length(frame: bytes) -> int:
    """Bytes of content that a zstd frame says it has, -1 where it does not say; checks that it is whole.

    Source: RFC 8878, 3.1.1.2 (head of a block: 1 bit last, 2 bits type, 21 bits size, little endian).

    Raises:
        Z5Truncated: The frame ends before its blocks do.
        Z5Corrupt: It has no valid header, something behind it, or more blocks than any frame of ours.
    """
    if len(frame) <= len(_MAGIC) or len(frame) < (pos := zstandard.frame_header_size(frame)):
        raise Z5Truncated(_CUT)
    try:
        header = zstandard.get_frame_parameters(frame)
        size = zstandard.frame_content_size(frame)
    except zstandard.ZstdError:
        raise Z5Corrupt(_CHANGED) from None
    for _ in range(_MOST_BLOCKS):
        block = int.from_bytes(frame[pos : pos + 3], "little")
        last, is_run = block & 1, block >> 1 & 3 == 1
        pos += 3 + (1 if is_run else block >> 3)
        if pos + (4 if last and header.has_checksum else 0) > len(frame):
            raise Z5Truncated(_CUT)
        if last:
            break
    if not last or pos + (4 if header.has_checksum else 0) != len(frame):
        raise Z5Corrupt(_CHANGED)
    return size
