"""Certificates and keys made for a test, in PEM files: a root, and pairs it signs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "zoran.test"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, each in a file."""

    certificate: Path
    key: Path


class Authority:
    """A root of trust that lives as long as a test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root of a test")])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = _builder(self._name, self._name, self._key.public_key(), -1, 30)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(usage, critical=True)
        self.file = folder / "root.pem"
        self.file.write_bytes(_pem(builder.sign(self._key, hashes.SHA256())))

    def pair(
        self, file: str, first_day: float = -1, last_day: float = 10, addresses: Sequence[str] = ()
    ) -> Pair:
        """A pair for `zoran.test`, 127.0.0.1 and more addresses, valid between these days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
        known = ("127.0.0.1", *addresses)
        names = [x509.DNSName(NAME), *(x509.IPAddress(ip_address(each)) for each in known)]
        builder = _builder(subject, self._name, key.public_key(), first_day, last_day)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        made = Pair(self._folder / f"{file}.pem", self._folder / f"{file}.key")
        made.certificate.write_bytes(
            _pem(builder.sign(self._key, hashes.SHA256())) + self.file.read_bytes()
        )
        made.key.touch(0o600)
        made.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return made


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, first: float, last: float
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
    return builder.not_valid_before(now + timedelta(days=first)).not_valid_after(now + timedelta(days=last))


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
