"""A picture of a kind that models take, told by its first bytes and not by what anybody calls it. Pure."""

from dataclasses import dataclass, field

from zoran_ray.errors import InvalidRequest

MOST_BYTES = 8 * 1024 * 1024
"""Largest picture."""
_SIGNS = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))
_GIFS = (b"GIF87a", b"GIF89a")


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture.

    Attributes:
        kind: `image/png`, `image/jpeg`, `image/gif` or `image/webp`.
        data: Its bytes.
    """

    kind: str
    data: bytes = field(repr=False)


def kind_of_picture(data: bytes, where: str) -> str:
    """The type of a picture's bytes.

    Args:
        where: Names the field, for the error.

    Raises:
        InvalidRequest: They are none that a model takes.
    """
    for sign, kind in _SIGNS:
        if data.startswith(sign):
            return kind
    if data[:6] in _GIFS:
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    raise InvalidRequest("That is no picture: PNG, JPEG, GIF and WebP are taken.", param=where)
