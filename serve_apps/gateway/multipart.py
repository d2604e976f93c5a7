"""An uploaded form, piece by piece: the file's bytes pass through, its few other fields are kept.

Source: RFC 7578; `python_multipart` reads it.
"""

import logging
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from zoran_ray.errors import InvalidRequest

FILE = b"file"
MOST_FIELDS = 16
MOST_FIELD_BYTES = 4096

# It tells of each byte that it does not expect.
logging.getLogger("python_multipart").setLevel(logging.ERROR)


class Form:
    """One form with a file.

    Args:
        content_type: The header of that name.

    Attributes:
        fields: What came besides the file, by name.
        filename: What its owner calls the file; None while it has not begun.
        ended: Whether the form's end has come.

    Raises:
        InvalidRequest: It is no form.
    """

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise InvalidRequest("Send the file as multipart/form-data, with fields 'file' and 'purpose'.")
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self.ended = False
        self._header = b""
        self._value = b""
        self._disposition = b""
        self._field: str | None = None
        self._text = b""
        self._pieces: list[bytes] = []
        calls: Any = {
            "on_part_begin": self._part_begins,
            "on_header_field": self._name_comes,
            "on_header_value": self._value_comes,
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data_comes,
            "on_part_end": self._part_ends,
            "on_end": self._ends,
        }
        try:
            self._parser = MultipartParser(boundary, calls)
        except FormParserError:
            raise _malformed() from None

    def feed(self, data: bytes) -> bytes:
        """The next bytes of the form. Returns: Those of the file in them. Raises: InvalidRequest."""
        try:
            self._parser.write(data)
        except FormParserError:
            raise _malformed() from None
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)

    def close(self) -> None:
        """All bytes have come. Raises: InvalidRequest: They are not all of a form with a file."""
        if not self.ended:
            raise InvalidRequest("The form ends in the middle. Send it again.")
        if self.filename is None:
            raise InvalidRequest("The form has no file. Send it as field 'file'.", param="file")

    def _part_begins(self) -> None:
        self._disposition, self._field, self._text = b"", None, b""

    def _name_comes(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _value_comes(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_ends(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"")
        if name == FILE:
            if self.filename is not None:
                raise InvalidRequest("The form has more than one file. Send one at a time.", param="file")
            self.filename = options.get(b"filename", b"file").decode("utf-8", "replace")
            return
        if len(self.fields) >= MOST_FIELDS:
            raise _malformed()
        self._field = name.decode("utf-8", "replace")

    def _data_comes(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self._pieces.append(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > MOST_FIELD_BYTES:
            raise _malformed()

    def _part_ends(self) -> None:
        if self._field is not None:
            self.fields[self._field] = self._text.decode("utf-8", "replace")

    def _ends(self) -> None:
        self.ended = True


def _malformed() -> InvalidRequest:
    return InvalidRequest("The form cannot be read. Send the file as multipart/form-data, one at a time.")
