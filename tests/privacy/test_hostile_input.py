"""A megabyte of the worst for every detector. No time is asserted: what backtracks would never return."""

import pytest

from zoran_ray.privacy import KINDS, Masker, Scanner

SIZE = 1_000_000
LIMIT_S = 120

WORST = {
    "PRIVATE_KEY": (
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY-----\nAAAA ",
        "-",
    ),
    "URL_CREDENTIALS": ("://", "x://a:", "x://a:b", "://a:b@", ":", "x://" + "a" * 300),
    "API_KEY": ("sk-", " sk-a", "eyJaaaaaaaaaaaaaa.", "key=", "key=a", "Bearer ", "key  :", "SG.a"),
    "EMAIL": ("@", "a@", "a@a.", "a", "a-", "a.", "@a-", "é@é."),
    "IBAN": ("FR76 ", "FR76", "FR7630006000011234567890188 ", "GB82 WEST "),
    "FR_NIR": ("2A", "255082A", "1 ", "255081416802539 "),
    "FR_SIRET": ("732 829 320 00075 ", "7", "732829320"),
    "CARD": ("4111 ", "4111-", "4", "4111 1111 1111 1112 "),
    "US_SSN": ("536-90-", "536 90 4399 ", "5-"),
    "FR_SIREN": ("552 008 444 ", "552 008 443", "5 "),
    "PHONE": ("0", "00 ", "06 12 34 56 ", "(", "+1 ", "212-", "(0) ", "00 1 "),
    "IP": ("1.", "::", "1:", "a:: ", "1.1.1.", "::1.", "f:f:f:f:f:f:f:f:"),
}


def test_there_is_bad_input_for_every_kind() -> None:
    assert set(WORST) == set(KINDS)


@pytest.mark.timeout(LIMIT_S)
@pytest.mark.parametrize("kind", KINDS)
def test_no_detector_backtracks(kind: str) -> None:
    scanner = Scanner(kinds=(kind,))
    for piece in WORST[kind]:
        text = (piece * (SIZE // len(piece) + 1))[:SIZE]
        for finding in scanner.scan(text):
            assert 0 <= finding.start < finding.end <= SIZE
        scanner.scan(text + "!")


@pytest.mark.timeout(LIMIT_S)
def test_all_detectors_together_on_a_dense_megabyte() -> None:
    values = ("06 12 34 56 78", "jean@example.fr", "4111 1111 1111 1111", "192.0.2.7", "[EMAIL_ ")
    text = (", ".join(values) * 20_000)[:SIZE]
    masked = Masker(Scanner(), b"k" * 32, "t").mask(text)
    assert len(masked.findings) > 4 * SIZE // 75
    assert len(masked.values) == 4
