"""The certificate and key of the public endpoint: whether they will do, and how this machine trusts them.

Knows files and X.509; neither HAProxy nor HTTP.
"""

import os
import re
import shlex
import ssl
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from zoran_ray.errors import ConfigError

_MOST_BYTES = 1 << 20
_FIRST = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def require_pair(certificate: Path, key: Path, clock: Callable[[], float] = time.time) -> None:
    """Whether an endpoint can be served with these two PEM files.

    Args:
        certificate: The endpoint's own certificate first, then those between it and the root.
        key: Its private key, without a passphrase, closed to other users.
        clock: Unix time in seconds.

    Raises:
        ConfigError: One of them is missing, unreadable or open to others, they do not belong together, or
            the certificate does not hold now; says what to do.
    """
    first = _first_certificate(certificate)
    _read(key, "tls_key")
    _require_closed(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A passphrase would otherwise be asked for on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except ssl.SSLError as error:
        raise _not_a_pair(certificate, key, error) from None
    _require_valid(certificate, first, clock())


def trusting(certificate: Path) -> ssl.SSLContext:
    """For a client on the endpoint's own machine: that very certificate is trusted, whatever its name says.

    Raises:
        ConfigError: It cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Its names are those that clients elsewhere use; here it is asked for by a loopback address.
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=_first_certificate(certificate).decode("ascii"))
    return context


def _first_certificate(path: Path) -> bytes:
    found = _FIRST.search(_read(path, "tls_cert"))
    if found is None:
        raise ConfigError(
            f"{path} holds no certificate in PEM. Give the file that begins with BEGIN CERTIFICATE.",
            param="server.tls_cert",
        )
    return found[0]


def _read(path: Path, field: str) -> bytes:
    try:
        # A pipe must not make us wait; links are how certificates are rotated.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return file.read(_MOST_BYTES)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}. --tls-cert and --tls-key each name a PEM file.",
            param=f"server.{field}",
        ) from None


def _require_closed(key: Path) -> None:
    mode = stat.S_IMODE(key.stat().st_mode)
    if mode & 0o077:
        raise ConfigError(
            f"{key} is open to other users (mode {mode:03o}). Run: chmod 600 {shlex.quote(str(key))}",
            param="server.tls_key",
        )


def _not_a_pair(certificate: Path, key: Path, error: ssl.SSLError) -> ConfigError:
    if error.reason == "KEY_VALUES_MISMATCH":
        return ConfigError(
            f"{key} is not the key of {certificate}. Give the two files that were made together.",
            param="server.tls_key",
        )
    return ConfigError(
        f"{certificate} and {key} cannot be used ({error.reason or 'not PEM'}). Both must be PEM, the key "
        "without a passphrase: openssl pkey -in KEY -out OPEN_KEY",
        param="server.tls_key",
    )


def _require_valid(path: Path, certificate: bytes, now: float) -> None:
    from cryptography.x509 import load_pem_x509_certificate

    found, at = load_pem_x509_certificate(certificate), datetime.fromtimestamp(now, UTC)
    if at > found.not_valid_after_utc:
        raise ConfigError(
            f"{path} expired on {found.not_valid_after_utc:%Y-%m-%d}. Renew it.", param="server.tls_cert"
        )
    if at < found.not_valid_before_utc:
        raise ConfigError(
            f"{path} holds from {found.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on, and this machine's "
            f"clock says {at:%Y-%m-%d %H:%M}. Set the clock, or wait.",
            param="server.tls_cert",
        )
