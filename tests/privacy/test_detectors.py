import pytest

from zoran_ray.errors import ConfigError
from zoran_ray.privacy import KINDS, Finding, Scanner

SCANNER = Scanner()
PEM = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA75Gx7jw9X5tXq3b1f0o1kPq\n" * 3


def found(text: str) -> list[tuple[str, str]]:
    return [(each.kind, text[each.start : each.end]) for each in SCANNER.scan(text)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("EMAIL", "jean.dupont@example.fr"),
        ("EMAIL", "o'neil+lists@mail.example.co.uk"),
        ("EMAIL", "x@xn--bcher-kva.example"),
        ("EMAIL", "kontakt@bücher.example"),
        ("PHONE", "06 12 34 56 78"),
        ("PHONE", "0612345678"),
        ("PHONE", "06.12.34.56.78"),
        ("PHONE", "+33 (0)6 12 34 56 78"),
        ("PHONE", "+33612345678"),
        ("PHONE", "0033 6 12 34 56 78"),
        ("PHONE", "(212) 736-5000"),
        ("PHONE", "212-736-5000"),
        ("PHONE", "+1 212 736 5000"),
        ("PHONE", "020 7946 0958"),
        ("PHONE", "+49 30 901820"),
        ("IBAN", "FR76 3000 6000 0112 3456 7890 189"),
        ("IBAN", "GB82WEST12345698765432"),
        ("IBAN", "fr7630006000011234567890189"),
        ("IBAN", "NO93 8601 1117 947"),
        ("CARD", "4111 1111 1111 1111"),
        ("CARD", "5555-5555-5555-4444"),
        ("CARD", "378282246310005"),
        ("CARD", "3782 822463 10005"),
        ("FR_NIR", "2 55 08 14 168 025 38"),
        ("FR_NIR", "255081416802538"),
        ("FR_NIR", "255082A16802597"),
        ("FR_NIR", "2 55 08 2A 168 025 97"),
        ("FR_SIREN", "552 008 443"),
        ("FR_SIREN", "404833048"),
        ("FR_SIRET", "732 829 320 00074"),
        ("FR_SIRET", "73282932000074"),
        ("US_SSN", "536-90-4399"),
        ("US_SSN", "536 90 4399"),
        ("IP", "192.168.1.10"),
        ("IP", "2001:db8::8a2e:370:7334"),
        ("IP", "::ffff:192.0.2.128"),
        ("URL_CREDENTIALS", "postgres://bob:s3cr3t@db.example.org:5432/x?y=1"),
        ("URL_CREDENTIALS", "https://16C7e42F292c6912E7710c83@github.example/a"),
        ("API_KEY", "sk-proj-abcDEF0123456789abcdef01"),
        ("API_KEY", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
        ("API_KEY", "AKIAIOSFODNN7EXAMPLE"),
        ("PRIVATE_KEY", PEM + "-----END RSA PRIVATE KEY-----"),
    ],
)
@pytest.mark.parametrize("frame", ["{}", "Voici {}, merci.", "({})", '{{"a": "{}"}}', "x\n{}\ny"])
def test_what_is_valid_is_found_whole(kind: str, value: str, frame: str) -> None:
    assert found(frame.format(value)) == [(kind, value)]


@pytest.mark.parametrize(
    "text",
    [
        "bob@localhost",
        "@bob and bob@",
        "a..b@example.org",
        "logo@2x.png",
        "git@github.com:team/repository.git",
        "2024-01-15 10:30",
        "01-02-2024 10:30",
        "2147483647",
        "06 12 34 56",
        "111-123-4567",
        "FR76 3000 6000 0112 3456 7890 188",
        "DE46 4700 8006 0481 8996 81",
        "XX82WEST12345698765432",
        "4111 1111 1111 1112",
        "0000 0000 0000 0000",
        "255081416802539",
        "255082A16802538",
        "255082C16802597",
        "552 008 444",
        "552 008 443 €",
        "1 552 008 443",
        "73282932000079",
        "078-05-1120",
        "666-12-3456",
        "123-00-4567",
        "256.1.1.300",
        "1.2.3.4.5",
        "127.0.0.1 and ::1",
        "version 1.2.3.4",
        "std::vector a::b dead::beef",
        "12:30:45",
        "00:1A:2B:3C:4D:5E",
        "https://example.org/a@b:c",
        "ssh://git@example.org/x",
        "sk-xxxxxxxxxxxxxxxxxxxxxxxx",
        "my-task-abcDEF0123456789abcdef01",
        'api_key = "changeme"',
        "the key: something_ordinary_and_long",
        "-----BEGIN PRIVATE KEY----- begins such a file",
        "550e8400-e29b-41d4-a716-446655440000",
        "3.14159265358979323846",
        "0.3000488281 and 02.12345678",
        'digits = "0123456789"',
        "pieces[::2] x[1::2] [10::20]",
        "section 2.1.3.1",
        "renamed_keys = V2_RENAMED_KEYS.keys()",
    ],
)
def test_near_misses_are_not(text: str) -> None:
    assert found(text) == []


def test_a_number_that_only_its_label_tells() -> None:
    assert found("id 2127365000, no. 536904399") == []
    assert found("call 2127365000") == [("PHONE", "2127365000")]
    assert found("SSN: 536904399") == [("US_SSN", "536904399")]
    assert found("SIREN 552 008 443 12 rue X") == [("FR_SIREN", "552 008 443")]


def test_the_longest_valid_span_wins() -> None:
    assert found("https://bob:pw12@example.org/") == [("URL_CREDENTIALS", "https://bob:pw12@example.org/")]
    assert found("732 829 320 00074") == [("FR_SIRET", "732 829 320 00074")]
    assert found("4111 1111 1111 1111 123") == [("CARD", "4111 1111 1111 1111")]


def test_neighbours_are_told_apart() -> None:
    assert found("06 12 34 56 78 06 98 76 54 32") == [
        ("PHONE", "06 12 34 56 78"),
        ("PHONE", "06 98 76 54 32"),
    ]
    assert found("4111111111111111,5555555555554444,12/27") == [
        ("CARD", "4111111111111111"),
        ("CARD", "5555555555554444"),
    ]


@pytest.mark.parametrize(
    "name", ["api_key", "API_KEY", "Secret", "access_token", "password", "client_secret"]
)
@pytest.mark.parametrize("form", ['{} = "{}"', "{}: {}", '"{}":"{}"', "{}={}"])
def test_values_that_look_random_under_a_telling_name(name: str, form: str) -> None:
    value = "aB3dE5fG7hI9jK1lM2nO"
    assert found(form.format(name, value)) == [("API_KEY", value)]
    assert found(f"Authorization: Bearer {value}") == [("API_KEY", value)]


def test_a_private_key_without_its_end_is_found_too() -> None:
    assert found(PEM + "and then words") == [("PRIVATE_KEY", PEM.rstrip("\n"))]
    escaped = (PEM + "-----END RSA PRIVATE KEY-----").replace("\n", "\\n")
    assert found(escaped) == [("PRIVATE_KEY", escaped)]


def test_only_the_chosen_kinds_and_regions() -> None:
    text = "a@example.org 06 12 34 56 78 4111111111111111"
    assert [each.kind for each in Scanner(kinds=("EMAIL",)).scan(text)] == ["EMAIL"]
    assert [each.kind for each in Scanner(regions=("US",)).scan(text)] == ["EMAIL", "CARD"]
    assert Scanner(kinds=()).scan(text) == []
    for wrong in ({"kinds": ("NAME",)}, {"regions": ("ZZ",)}):
        with pytest.raises(ConfigError):
            Scanner(**wrong)


class Names:
    kinds = ("NAME",)

    def find(self, text: str) -> list[Finding]:
        place = text.find("Jean")
        return [Finding("NAME", place, place + 4)] if place >= 0 else []


class Broken:
    def __init__(self, kind: str, finding: Finding) -> None:
        self.kinds = (kind,)
        self._finding = finding

    def find(self, text: str) -> list[Finding]:
        return [self._finding]


def test_names_come_from_a_plug_in_alone() -> None:
    text = "Jean, jean@example.org"
    assert [each.kind for each in SCANNER.scan(text)] == ["EMAIL"]
    assert [each.kind for each in Scanner(plugins=[Names()]).scan(text)] == ["NAME", "EMAIL"]


@pytest.mark.parametrize(
    "broken",
    [
        Broken("NAME", Finding("OTHER", 0, 1)),
        Broken("NAME", Finding("NAME", 0, 99)),
        Broken("NAME", Finding("NAME", 1, 1)),
        Broken("NAME", Finding("NAME", -1, 1)),
        Broken("na[me", Finding("na[me", 0, 1)),
    ],
)
def test_a_broken_plug_in_is_told(broken: Broken) -> None:
    with pytest.raises(ConfigError, match="Broken"):
        Scanner(plugins=[broken]).scan("text")


def test_every_kind_fits_into_a_placeholder() -> None:
    from zoran_ray.privacy.plugin import KIND

    assert all(KIND.fullmatch(kind) for kind in KINDS)
