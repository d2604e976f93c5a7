"""The body of a response within bounds, and as text. Knows no URL.

What a site sends may be endless, slow, or a few bytes that unpack to gigabytes: never more is read or
unpacked than was asked for.
"""

import codecs
import re
import zlib

import httpx

from zoran_ray.errors import InvalidRequest, UpstreamError

ACCEPTED_ENCODING = "gzip"
_STEP_BYTES = 64 * 1024

_TEXT = re.compile(r"text/[\w.+-]+|application/(?:json|xml|xhtml\+xml|[\w.-]+\+(?:json|xml))")
_MARKUP = frozenset({"text/html", "application/xhtml+xml"})
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_CHARSETS = (
    " ascii big5 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 cp866 cp874 cp932 cp949"
    " euc_jp euc_kr gb18030 gb2312 gbk iso2022_jp iso8859-1 iso8859-2 iso8859-3 iso8859-4 iso8859-5"
    " iso8859-6 iso8859-7 iso8859-8 iso8859-10 iso8859-13 iso8859-14 iso8859-15 iso8859-16 koi8-r koi8-u"
    " mac-roman shift_jis utf-16 utf-16-be utf-16-le utf-8 utf-8-sig "
)
"""Those of the web. Python knows others that are no charsets, and some that take for ever."""
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_LOOKED_AT_BYTES = 1024


def kind_of(response: httpx.Response) -> str:
    """The type of its content, such as `text/html`; empty where it says none.

    Raises:
        InvalidRequest: It is none that can be read as text.
    """
    kind = str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()
    if kind and not _TEXT.fullmatch(kind):
        # Not with the type: a site may write there what it likes.
        raise InvalidRequest("The URL leads to something that is not text.", param="url")
    return kind


def is_markup(kind: str) -> bool:
    """Whether a text of this type is HTML."""
    return kind in _MARKUP


async def read_body(response: httpx.Response, most_bytes: int) -> tuple[bytes, bool]:
    """The unpacked body, and whether there is more of it than was read.

    Raises:
        UpstreamError: It is packed in a way nobody asked for, or damaged.
    """
    unpack = _unpacker(response)
    parts: list[bytes] = []
    room = most_bytes
    assert isinstance(response.stream, httpx.AsyncByteStream)
    async for chunk in response.stream:
        for start in range(0, len(chunk), _STEP_BYTES):
            part, more = unpack(chunk[start : start + _STEP_BYTES], room + 1)
            parts.append(part[:room])
            if more or len(part) > room:
                return b"".join(parts), True
            room -= len(part)
    return b"".join(parts), False


class _Plain:
    def __call__(self, data: bytes, most: int) -> tuple[bytes, bool]:
        return data[:most], False


class _Gzip:
    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)

    def __call__(self, data: bytes, most: int) -> tuple[bytes, bool]:
        """At most `most` bytes, and whether there are more."""
        try:
            part = self._stream.decompress(data, most)
        except zlib.error:
            raise UpstreamError("The site's answer is damaged: its compression cannot be undone.") from None
        return part, bool(self._stream.unconsumed_tail)


def _unpacker(response: httpx.Response) -> "_Plain | _Gzip":
    encoding = str(response.headers.get("content-encoding", "")).strip().lower()
    if encoding in ("", "identity"):
        return _Plain()
    if encoding in ("gzip", "x-gzip"):
        return _Gzip()
    raise UpstreamError("The site's answer is packed in a way that was not asked for.")


def text_of(data: bytes, content_type: str) -> str:
    """The text of a body; what cannot be decoded becomes U+FFFD.

    Raises:
        InvalidRequest: It is no text.
    """
    for mark, charset in _MARKS:
        if data.startswith(mark):
            return data.decode(charset, "replace")
    head = data[:_LOOKED_AT_BYTES]
    told = _CHARSET.search(content_type) or _CHARSET.search(head.decode("ascii", "replace"))
    charset = _known(told[1]) if told else "utf-8"
    if not charset.startswith("utf-16") and b"\0" in head:
        raise InvalidRequest("The URL leads to something that is not text.", param="url")
    return data.decode(charset, "replace")


def _known(name: str) -> str:
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return "utf-8"
    # What calls itself Latin-1 in the web is read as Windows' extension of it everywhere.
    found = "cp1252" if found in ("iso8859-1", "ascii") else found
    return found if f" {found} " in _CHARSETS else "utf-8"
