"""A key or token of another service: where it comes from, and that it shows up nowhere but on the wire.

Knows no service and no HTTP. Keys are named in configuration, never written there; the environment is
a mapping that the composition root passes in.
"""

import re
from collections.abc import Mapping
from hmac import compare_digest
from pathlib import Path
from typing import NoReturn

from zoran_ray.errors import ConfigError

MAX_KEY_BYTES = 8192
"""Room for the access tokens some gateways use. A larger file is something else."""

_SHOWN_IN_PART = 8
"""Characters by which a key is found again where somebody quotes only its beginning."""


class ApiKey:
    """One key, opaque to everything that prints, formats, copies or pickles.

    Attributes:
        origin: The variable or file it was read from, for the operator's log.
    """

    __slots__ = ("_secret", "origin")

    def __init__(self, secret: str, origin: str) -> None:
        """Take a key that was read; `from_variable` and `from_file` read one.

        Raises:
            ConfigError: It is empty, or cannot stand in an HTTP header.
        """
        secret = secret.strip()
        if not secret:
            raise ConfigError(f"{origin} holds no API key. Put the provider's key there.", param=origin)
        if not secret.isascii() or not secret.isprintable() or " " in secret:
            raise ConfigError(
                f"{origin} holds characters that no API key has. Copy the key again.", param=origin
            )
        self._secret = secret
        self.origin = origin

    @classmethod
    def from_variable(cls, name: str, environ: Mapping[str, str]) -> "ApiKey":
        """The key in an environment variable.

        Raises:
            ConfigError: It is not set, or holds no key.
        """
        if name not in environ:
            raise ConfigError(
                f"The environment variable {name} is not set. Set it to the provider's API key, "
                "or name a file that holds the key.",
                param=name,
            )
        return cls(environ[name], name)

    @classmethod
    def from_file(cls, path: Path) -> "ApiKey":
        """The key in a file, such as a mounted secret. White space around it does not count.

        Raises:
            ConfigError: The file cannot be read, or holds no key.
        """
        try:
            with path.open("rb") as file:
                data = file.read(MAX_KEY_BYTES + 1)
        except OSError as failure:
            raise ConfigError(
                f"The key file {path} cannot be read: {failure.strerror}. Put it there, readable by this"
                " user.",
                param=str(path),
            ) from None
        if len(data) > MAX_KEY_BYTES:
            raise ConfigError(
                f"{path} is too large to be an API key. Name the right file.", param=str(path)
            )
        # A decoding error would carry the bytes.
        return cls(data.decode("utf-8", errors="replace"), str(path))

    def same_as(self, other: "ApiKey | None") -> bool:
        """Whether that is the same key, wherever it was read from."""
        return other is not None and compare_digest(self._secret, other._secret)

    def header(self, prefix: str = "") -> bytes:
        """The value of the header that carries it. The one place where the key comes out."""
        return f"{prefix}{self._secret}".encode("ascii")

    def hidden_in(self, text: str) -> str:
        """`text` without the key, also where only its beginning is quoted."""
        opening = re.escape(self._secret[:_SHOWN_IN_PART])
        return re.sub(rf"{opening}[^\s\"']*", "<hidden>", text.replace(self._secret, "<hidden>"))

    def __repr__(self) -> str:
        return f"ApiKey(from {self.origin})"

    def __getstate__(self) -> NoReturn:
        raise TypeError("An API key is not copied or pickled. Read it again where it is needed.")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        self.__getstate__()
