"""Finds the error class for a code that came over a wire."""

from zoran_ray.errors import ZoranError


def error_kind(code: str) -> type[ZoranError] | None:
    """The class whose `code` this is; None for a code that is not ours."""
    return _search(ZoranError, code)


def _search(kind: type[ZoranError], code: str) -> type[ZoranError] | None:
    if kind.code == code:
        return kind
    return next((found for child in kind.__subclasses__() if (found := _search(child, code))), None)
