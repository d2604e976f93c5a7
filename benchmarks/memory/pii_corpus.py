"""Made-up texts in French and English with personal data at known places. Everything comes from the seed.

Checksums are computed here, by the published rules and not by the validators under test. Beside every valid
number stands a near miss: one digit changed so that the check fails, or something of the same look that is
no such number (dates, amounts, versions, file names).

Sources: ISO 13616 (IBAN), ISO/IEC 7812 (Luhn), INSEE (NIR, SIREN, SIRET), ssa.gov (SSN areas), RFC 5737 and
3849 (example networks). Phone numbers are drawn from the ranges of the two numbering plans.
"""

import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

Language = Literal["fr", "en"]
Label = tuple[str, int, int]

VALIDATED = ("CARD", "EMAIL", "FR_NIR", "FR_SIREN", "FR_SIRET", "IBAN", "IP", "PHONE", "US_SSN")
"""Kinds with a check beyond their look."""


@dataclass(frozen=True, slots=True)
class Document:
    """One text.

    Attributes:
        labels: Kind, start and end of everything that is to be found, in order of place.
    """

    text: str
    labels: tuple[Label, ...]


def make_documents(count: int, seed: int, sentences: int = 12) -> Iterator[Document]:
    """`count` texts, every other one French."""
    draw = random.Random(seed)
    for number in range(count):
        yield _document(draw, ("fr", "en")[number % 2], sentences)


def _document(draw: random.Random, language: Language, sentences: int) -> Document:
    parts: list[str] = []
    labels: list[Label] = []
    size = 0

    def add(part: str) -> None:
        nonlocal size
        parts.append(part)
        size += len(part)

    for _ in range(sentences):
        before, kind, value, behind = _sentence(draw, language)
        add(before)
        if kind:
            labels.append((kind, size, size + len(value)))
        add(value)
        add(behind)
        add("\n" if draw.random() < 0.2 else " ")
    return Document("".join(parts), tuple(labels))


def _sentence(draw: random.Random, language: Language) -> tuple[str, str, str, str]:
    """What stands before a value, its kind (empty: nothing to find), the value, what stands behind."""
    choice = draw.random()
    if choice < 0.35:
        return draw.choice(_PLAIN[language]), "", "", ""
    makers, near = (_MAKERS, False) if choice < 0.75 else (_NEAR, True)
    kinds = [kind for kind in makers if kind in _FRAMES[language]]
    kind = draw.choice(kinds)
    before, behind = draw.choice(_FRAMES[language][kind]).split("{}")
    value = makers[kind](draw, language)
    return before, "" if near else _KIND_OF.get(kind, kind), value, behind


def luhn_digit(digits: str) -> str:
    """The digit that makes `digits` pass the Luhn check when it follows them."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def _digits(draw: random.Random, count: int) -> str:
    return "".join(draw.choices(string.digits, k=count))


def _changed(draw: random.Random, value: str, last: int = 1) -> str:
    """One of the last digits changed; every check here notices any single digit."""
    places = [place for place, char in enumerate(value) if char.isdigit()][-last:]
    place = draw.choice(places)
    other = draw.choice([digit for digit in string.digits if digit != value[place]])
    return value[:place] + other + value[place + 1 :]


def _grouped(value: str, sizes: tuple[int, ...], gap: str) -> str:
    parts, place = [], 0
    for size in sizes:
        parts.append(value[place : place + size])
        place += size
    return gap.join([*parts, value[place:]] if place < len(value) else parts)


def _card(draw: random.Random, _: Language) -> str:
    stem, size = draw.choice((("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("37", 15), ("6011", 16)))
    body = stem + _digits(draw, size - len(stem) - 1)
    number = body + luhn_digit(body)
    if size == 15:
        return _grouped(number, (4, 6, 5), draw.choice(("", " ", "-")))
    return _grouped(number, (4, 4, 4, 4), draw.choice(("", " ", "-")))


_BBAN = {
    "FR": "n10 c11 n2",
    "DE": "n18",
    "GB": "a4 n14",
    "BE": "n12",
    "ES": "n20",
    "NL": "a4 n10",
    "LU": "n3 c13",
}
_LETTERS = {"n": string.digits, "a": string.ascii_uppercase, "c": string.digits + string.ascii_uppercase}


def _iban(draw: random.Random, _: Language) -> str:
    country = draw.choice(tuple(_BBAN))
    bban = "".join(
        "".join(draw.choices(_LETTERS[part[0]], k=int(part[1:]))) for part in _BBAN[country].split()
    )
    value = int("".join(str(int(char, 36)) for char in f"{bban}{country}00"))
    number = f"{country}{98 - value % 97:02d}{bban}"
    return _grouped(number, (4,) * (len(number) // 4), draw.choice(("", " ")))


def _iban_near(draw: random.Random, language: Language) -> str:
    number = _iban(draw, language)
    return number[:2] + _changed(draw, number[2:4]) + number[4:]


def _nir(draw: random.Random, _: Language) -> str:
    department = draw.choice((f"{draw.randint(1, 95):02d}", "2A", "2B"))
    body = (
        draw.choice("12") + _digits(draw, 2) + f"{draw.randint(1, 12):02d}" + department
        + f"{draw.randint(1, 990):03d}" + f"{draw.randint(1, 999):03d}"
    )  # fmt: skip
    value = int(body.replace("2A", "19").replace("2B", "18") if not department.isdigit() else body)
    number = body + f"{97 - value % 97:02d}"
    return _grouped(number, (1, 2, 2, 2, 3, 3, 2), draw.choice(("", " ")))


def _siren_digits(draw: random.Random) -> str:
    body = draw.choice("3456789") + _digits(draw, 7)
    return body + luhn_digit(body)


def _siren(draw: random.Random, _: Language) -> str:
    return _grouped(_siren_digits(draw), (3, 3, 3), draw.choice(("", " ", "\u00a0")))


def _siret(draw: random.Random, _: Language) -> str:
    body = _siren_digits(draw) + f"{draw.randint(1, 99):04d}"
    return _grouped(body + luhn_digit(body), (3, 3, 3, 5), draw.choice(("", " ")))


def _siret_near(draw: random.Random, _: Language) -> str:
    # Wrong already in its first nine digits, else a valid SIREN would rightly be found there.
    wrong = _changed(draw, _siren_digits(draw))
    return _grouped(wrong + f"{draw.randint(1, 99):05d}", (3, 3, 3, 5), draw.choice(("", " ")))


def _ssn(draw: random.Random, _: Language) -> str:
    area = draw.choice([area for area in range(1, 900) if area != 666])
    return f"{area:03d}-{draw.randint(1, 99):02d}-{draw.randint(1, 9999):04d}"


def _ssn_near(draw: random.Random, _: Language) -> str:
    area, group, serial = draw.choice(
        ((0, 12, 3456), (666, 12, 3456), (987, 65, 4321), (123, 0, 4567), (123, 45, 0))
    )
    return f"{area:03d}-{group:02d}-{serial:04d}"


def _phone(draw: random.Random, language: Language) -> str:
    if language == "fr":
        number = draw.choice(("60", "61", "66", "74", "75", "14", "32")) + _digits(draw, 7)
        pairs = _grouped(number, (1, 2, 2, 2, 2), draw.choice((" ", ".", "-", "")))
        return draw.choice(("0", "0", "+33 ", "+33")) + pairs
    area = draw.choice(("212", "415", "617", "206", "312"))
    exchange, line = f"{draw.randint(220, 910)}", _digits(draw, 4)
    exchange = "736" if exchange.endswith("11") else exchange
    form = draw.choice(("({}) {}-{}", "{}-{}-{}", "{}.{}.{}", "+1 {} {} {}", "+1{}{}{}", "1-{}-{}-{}"))
    return form.format(area, exchange, line)


def _phone_near(draw: random.Random, language: Language) -> str:
    if language == "fr":  # one digit short, or the prefix 00 of no country
        return draw.choice((f"06 {draw.randint(10, 99)} {draw.randint(10, 99)} 45", "00 99 12 34"))
    return f"{draw.choice(('111', '011', '199'))}-{draw.randint(100, 199)}-{_digits(draw, 4)}"


_NAMES = ("marie.dupont", "j.smith", "paul_martin", "anna+lists", "li.wei", "o'neil", "kim42", "zoe-b")
_HOSTS = ("example.org", "mail.example.fr", "example.co.uk", "univ-exemple.fr", "corp.example.com")


def _email(draw: random.Random, _: Language) -> str:
    return f"{draw.choice(_NAMES)}@{draw.choice(_HOSTS)}"


def _email_near(draw: random.Random, _: Language) -> str:
    name = draw.choice(_NAMES)
    return draw.choice(
        (
            f"{name}@localhost",
            f"@{name}",
            f"{name} @ {draw.choice(_HOSTS)}",
            "logo@2x.png",
            f"{name}@-x.org",
        )
    )


def _ipv4(draw: random.Random, _: Language) -> str:
    return f"{draw.choice(('192.0.2', '198.51.100', '203.0.113', '10.1.2'))}.{draw.randint(1, 254)}"


def _ipv6(draw: random.Random, _: Language) -> str:
    return f"2001:db8::{draw.randint(1, 65535):x}:{draw.randint(1, 65535):x}"


def _ip_near(draw: random.Random, _: Language) -> str:
    return draw.choice(("256.12.1.300", "1.2.3", "10.1.2.3.4", "12:30:45", "2001:db8:::1", "std::vector"))


def _amount(draw: random.Random, language: Language) -> str:
    number = _siren_digits(draw)
    gap = "\u202f" if language == "fr" else ","
    return f"{_grouped(number, (3, 3, 3), gap)} {draw.choice(('€', 'EUR', 'USD'))}"


def _date(draw: random.Random, _: Language) -> str:
    year, month, day = draw.randint(1950, 2029), draw.randint(1, 12), draw.randint(1, 28)
    hour = f"{draw.randint(0, 23):02d}:{draw.randint(0, 59):02d}"
    return draw.choice(
        (
            f"{year}-{month:02d}-{day:02d} {hour}",
            f"{day:02d}-{month:02d}-{year} {hour}",
            f"{day:02d}/{month:02d}/{year}",
        )
    )


Maker = Callable[[random.Random, Language], str]


def _missed(maker: Maker, last: int = 1) -> Maker:
    return lambda draw, language: _changed(draw, maker(draw, language), last)


_KIND_OF = {"IPV6": "IP"}
_MAKERS: dict[str, Maker] = {
    "CARD": _card,
    "IBAN": _iban,
    "FR_NIR": _nir,
    "FR_SIREN": _siren,
    "FR_SIRET": _siret,
    "US_SSN": _ssn,
    "PHONE": _phone,
    "EMAIL": _email,
    "IP": _ipv4,
    "IPV6": _ipv6,
}
_NEAR: dict[str, Maker] = {
    "CARD": _missed(_card, 4),
    "IBAN": _iban_near,
    "FR_NIR": _missed(_nir),
    "FR_SIREN": _missed(_siren),
    "FR_SIRET": _siret_near,
    "US_SSN": _ssn_near,
    "PHONE": _phone_near,
    "EMAIL": _email_near,
    "IP": _ip_near,
    "AMOUNT": _amount,
    "DATE": _date,
}
_FRAMES: dict[Language, dict[str, tuple[str, ...]]] = {
    "fr": {
        "CARD": ("La carte {} a été refusée.", "Carte bancaire : {}, merci.", "Paiement par {} ce matin."),
        "IBAN": ("Virement sur {} avant vendredi.", "IBAN : {}.", "Mon compte ({}) est à jour."),
        "FR_NIR": ("Son numéro de sécurité sociale est {}.", "NIR {} ; né à Ajaccio.", "Assurée : {}."),
        "FR_SIREN": ("SIREN {}, capital 10 000 €.", "Immatriculée au RCS Paris {}.", "Client {} validé."),
        "FR_SIRET": ("SIRET : {}.", "Établissement {} (siège).", "Facture émise par {}."),
        "PHONE": ("Appelez-moi au {}.", "Tél. {}, le matin.", "Son portable : {} !"),
        "EMAIL": ("Écrivez à {}.", "Contact : <{}>", "Copie à {}, svp."),
        "IP": ("Connexion depuis {} refusée.", "Le serveur {} ne répond pas."),
        "IPV6": ("Adresse {} attribuée.", "Hôte {}, port 80."),
        "AMOUNT": ("Un budget de {} est prévu.", "Total : {}."),
        "DATE": ("Rendez-vous le {}.", "Modifié le {} par nos soins."),
    },
    "en": {
        "CARD": ("The card {} was declined.", "Charge it to {}, please.", "Card no. {} expires soon."),
        "IBAN": ("Wire it to {} by Friday.", "IBAN: {}.", "Our account ({}) is open."),
        "US_SSN": ("Her SSN is {}.", "Social security number {} on file.", "Applicant {} was approved."),
        "PHONE": ("Call me at {}.", "Phone: {}.", "You reach us under {} all day."),
        "EMAIL": ("Write to {}.", "Contact: <{}>", "Cc {}, please."),
        "IP": ("Login from {} denied.", "Host {} is down."),
        "IPV6": ("Address {} was assigned.", "Host {}, port 80."),
        "AMOUNT": ("A budget of {} is planned.", "Total: {}."),
        "DATE": ("We meet on {}.", "Changed on {} by us."),
    },
}  # fmt: skip
_PLAIN: dict[Language, tuple[str, ...]] = {
    "fr": (
        "Merci de relire le contrat avant la réunion de lundi.",
        "Le projet avance : 3 tâches sur 12 sont terminées, soit 25 %.",
        "L'article 9 du règlement (UE) 2016/679 s'applique ici.",
        "Nous avons livré 1 500 pièces en 2023 et 2 750 en 2024.",
    ),
    "en": (
        "Please review the contract before Monday's meeting.",
        "The project is on track: 3 of 12 tasks are done, or 25 %.",
        "See section 4.2.1 and RFC 9162, pages 211-227 (2021).",
        "We shipped 1,500 units in 2023 and 2,750 in 2024.",
    ),
}
