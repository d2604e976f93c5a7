import pickle

import pytest

from zoran_ray.errors import InvalidRequest, ZgsSyntaxError, plain
from zoran_ray.zgs import (
    Block,
    Field,
    Flags,
    Header,
    Message,
    Sync,
    from_json,
    header_of,
    loggable,
    parse,
    to_json,
    write,
)
from zoran_ray.zgs.grammar import MAX_FIELDS, MAX_ITEMS, MAX_MESSAGE, MAX_VALUE

EXAMPLE = "SIG:PERSIST ⟦ΔM11.3⟧ ΦSYNC ⟦4CHAMP:0807-FULL⟧ Z5::..."
FULL_HEADER = "⟦4CHAMP:0A05-DELTA⋄src:planner⋄dst:coder⋄seq:17⋄ttl:60⟧"


def test_the_public_example():
    message = parse(EXAMPLE)
    assert message == Message(
        "PERSIST",
        (Block((Field("ΔM11.3"),)), Sync(), Block((Field("4CHAMP", "0807-FULL"),))),
        "Z5::...",
    )
    assert write(message) == EXAMPLE
    assert header_of(message) == Header(8, Flags.TTL | Flags.MASKED | Flags.CONSENT, "FULL")


def test_every_part():
    message = parse(f"SIG:SHARE_2 ⟦a:1⋄b:⋄c⋄a:x y:z⟧ ΦSYNC∴S>=0.70 {FULL_HEADER} Z5::2.0.AAAAAA.IAABAAA")
    block, sync, _ = message.items
    assert block == Block((Field("a", "1"), Field("b", ""), Field("c"), Field("a", "x y:z")))
    assert sync == Sync("S>=0.70")
    assert header_of(message) == Header(10, Flags.TTL | Flags.CONSENT, "DELTA", "planner", "coder", 17, 60)
    assert header_of(parse("SIG:A ⟦b⟧")) is None


def test_as_json():
    assert to_json(parse(f"SIG:A ΦSYNC∴x ⟦k:v⋄l⟧ {FULL_HEADER} Z5::eN")) == {
        "verb": "A",
        "items": [
            {"sync": {"condition": "x"}},
            {"block": [{"key": "k", "value": "v"}, {"key": "l"}]},
            {
                "header": {
                    "schema": 10,
                    "flags": ["ttl", "consent"],
                    "mode": "DELTA",
                    "src": "planner",
                    "dst": "coder",
                    "seq": 17,
                    "ttl": 60,
                }
            },
        ],
        "payload": "Z5::eN",
    }


def test_a_log_gets_it_decoded_and_the_payload_not_at_all():
    told = loggable(parse(EXAMPLE))
    assert told["verb"] == "PERSIST"
    assert told["items"][2] == {
        "header": {"schema": 8, "flags": ["ttl", "masked", "consent"], "mode": "FULL"}
    }
    assert told["payload_chars"] == len("Z5::...")
    assert "payload" not in told


def test_values_stay_out_of_reprs():
    assert "secret" not in repr(
        parse("SIG:A ⟦k:secret⟧ ΦSYNC∴secret ⟦4CHAMP:0000-FULL⋄src:secret⟧ Z5::secret")
    )
    assert "secret" not in repr(header_of(parse("SIG:A ⟦4CHAMP:0000-FULL⋄src:secret⟧")))


@pytest.mark.parametrize(
    ("text", "column", "what"),
    [
        ("", 1, "expected SIG:, found the end"),
        ("sig:A", 1, "expected SIG:"),
        ("\ufeffSIG:A", 1, "expected SIG:"),
        (" SIG:A", 1, "expected SIG:"),
        ("SIG:", 5, "expected a verb in capitals, found the end"),
        ("SIG:persist", 5, "expected a verb"),
        ("SIG:A\n", 6, "expected a space, or the end"),
        ("SIG:A\r\n", 6, "'\\r'"),
        ("SIG:A ", 7, "expected ⟦, ΦSYNC or Z5::, found the end"),
        ("SIG:A  ⟦a⟧", 7, "expected ⟦"),
        ("SIG:A\u00a0⟦a⟧", 6, "a space"),
        ("SIG:A ⟦⟧", 8, "expected a key"),
        ("SIG:A ⟦:b⟧", 8, "expected a key"),
        ("SIG:A ⟦a", 9, "expected ⋄ or ⟧, found the end"),
        ("SIG:A ⟦a⋄⟧", 10, "expected a key"),
        ("SIG:A ⟦a b⟧", 9, "expected ⋄ or ⟧"),
        ("SIG:A ⟦a⟦b⟧⟧", 9, "expected ⋄ or ⟧"),
        ("SIG:A ⟦a:b⟦c⟧⟧", 11, "expected ⋄ or ⟧"),
        ("SIG:A ⟦a:b\x00⟧", 11, "'\\x00'"),
        ("SIG:A ⟦a:b\u202ec⟧", 11, "u202e"),
        ("SIG:A ⟦a:\ud800⟧", 10, "ud800"),
        ("SIG:A ⟦a⟧⟦b⟧", 10, "a space"),
        ("SIG:A ΦSYNC∴", 13, "expected a condition, found the end"),
        ("SIG:A ΦSYNC∴a∴b", 14, "a space"),
        ("SIG:A ΦSYNCHRON", 12, "a space"),
        ("SIG:A Z5::", 7, "expected Z5:: and a frame"),
        ("SIG:A Z5::a b", 12, "nothing may follow the payload"),
        ("SIG:A Z5::a⟦b⟧", 12, "nothing may follow the payload"),
        ("SIG:A Z5::a Z5::b", 12, "nothing may follow the payload"),
        ("SIG:" + "A" * 65, 69, "64 characters at most"),
        ("SIG:A ⟦" + "a" * 65 + "⟧", 72, "64 characters at most"),
        ("SIG:A ⟦4CHAMP⟧", 8, "four capital hexadecimal digits"),
        ("SIG:A ⟦4CHAMP:080a-FULL⟧", 8, "four capital hexadecimal digits"),
        ("SIG:A ⟦4CHAMP:0807-HALF⟧", 8, "four capital hexadecimal digits"),
        ("SIG:A ⟦4CHAMP:٠٨٠٧-FULL⟧", 8, "four capital hexadecimal digits"),
        ("SIG:A ⟦4CHAMP:0808-FULL⟧", 8, "unknown flags"),
        ("SIG:A ⟦a⋄4CHAMP:0807-FULL⟧", 10, "first field"),
        ("SIG:A ⟦4CHAMP:0807-FULL⋄4CHAMP:0807-FULL⟧", 25, "first field"),
        ("SIG:A ⟦4CHAMP:0807-FULL⟧ ⟦4CHAMP:0807-FULL⟧", 26, "one 4CHAMP block"),
        ("SIG:A ⟦4CHAMP:0807-FULL⋄tll:1⟧", 25, "no others"),
        ("SIG:A ⟦4CHAMP:0807-FULL⋄seq:1⋄src:a⟧", 31, "in this order"),
        ("SIG:A ⟦4CHAMP:0807-FULL⋄seq:1⋄seq:1⟧", 31, "once at most"),
        ("SIG:A ⟦4CHAMP:0807-FULL⋄src⟧", 25, "src must be a name"),
        ("SIG:A ⟦4CHAMP:0807-FULL⋄src:a b⟧", 25, "src must be a name"),
        ("SIG:A ⟦4CHAMP:0807-FULL⋄seq:01⟧", 25, "whole number"),
        ("SIG:A ⟦4CHAMP:0807-FULL⋄seq:-1⟧", 25, "whole number"),
        ("SIG:A ⟦4CHAMP:0807-FULL⋄seq:１⟧", 25, "whole number"),
        ("SIG:A ⟦4CHAMP:0807-FULL⋄ttl:9223372036854775808⟧", 25, "whole number"),
        ("SIG:A ⟦4CHAMP:0807-FULL⋄ttl:" + "9" * 4000 + "⟧", 25, "whole number"),
        ("SIG:A" + " ⟦a⟧" * (MAX_ITEMS + 1), 6 + 4 * MAX_ITEMS + 1, "blocks and markers at most"),
        ("SIG:A ⟦a" + "⋄a" * MAX_FIELDS + "⟧", 8 + 2 * MAX_FIELDS, "fields at most"),
        ("SIG:A ⟦a:" + "b" * (MAX_VALUE + 1) + "⟧", 10 + MAX_VALUE, "characters at most"),
    ],
)
def test_every_fault_has_a_place(text, column, what):
    with pytest.raises(ZgsSyntaxError) as caught:
        parse(text, line=3)
    assert (caught.value.line, caught.value.column) == (3, column)
    assert what in caught.value.message


def test_the_greatest_numbers():
    text = "SIG:A ⟦4CHAMP:FF00-FULL⋄seq:9223372036854775807⋄ttl:0⟧"
    header = header_of(parse(text))
    assert header is not None
    assert (header.schema, header.seq, header.ttl_s) == (255, 2**63 - 1, 0)


def test_bytes_that_are_no_text():
    with pytest.raises(ZgsSyntaxError) as caught:
        parse("SIG:A ⟦Δ:".encode() + b"\xff")
    assert (caught.value.line, caught.value.column) == (1, 10)
    with pytest.raises(ZgsSyntaxError):
        parse(b"SIG:A \xed\xa0\x80")


def test_errors_survive_what_carries_them():
    error = ZgsSyntaxError.at(4, 17, "wrong.")
    for again in (pickle.loads(pickle.dumps(error)), plain(error)):
        assert isinstance(again, ZgsSyntaxError)
        assert (again.line, again.column, again.message) == (4, 17, "Line 4, column 17: wrong.")
    assert (ZgsSyntaxError("x").line, ZgsSyntaxError("x", param="¼:²").column) == (0, 0)


def test_errors_tell_one_character_of_the_message_at_most():
    with pytest.raises(ZgsSyntaxError) as caught:
        parse("SIG:A secretive")
    assert "secr" not in caught.value.message


MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        "⟦" * MEGABYTE,
        "SIG:A " + "⟦" * MEGABYTE,
        "SIG:A ⟦a" + "⟦a" * (MEGABYTE // 2),
        "SIG:A" + " ⟦a⟧" * (MEGABYTE // 4),
        "SIG:A ⟦" + "a⋄" * (MEGABYTE // 2),
        "SIG:A ⟦" + "a:" * (MEGABYTE // 2) + "⟧",
        "SIG:A" + " ΦSYNC" * (MEGABYTE // 6),
        "SIG:A ΦSYNC∴" + "x" * MEGABYTE,
        "SIG:" + "A" * MEGABYTE,
        "SIG:A" + " " * MEGABYTE,
        "SIG:A ⟦4CHAMP:0807-FULL⋄seq:" + "9" * MEGABYTE + "⟧",
        "\ud800" * MEGABYTE,
        "SIG:A Z5::" + "A" * MEGABYTE + "\ud800",
        "SIG:A Z5::" + "A" * MAX_MESSAGE,
    ],
    ids=range(14),
)
def test_a_megabyte_of_nonsense_is_an_error_like_any_other(text):
    with pytest.raises(ZgsSyntaxError):
        parse(text)


def test_a_megabyte_that_is_valid():
    text = "SIG:A " + "⟦" + "⋄".join("k:" + "v" * 4000 for _ in range(250)) + "⟧ Z5::" + "A" * MEGABYTE
    assert write(parse(text)) == text


# What cannot be written


@pytest.mark.parametrize(
    "message",
    [
        Message("A", (Block((Field("a⟧ ⟦b"),)),)),
        Message("A", (Block((Field("a", "x⋄y:z"),)),)),
        Message("A", (Block((Field("a:b"),)),)),
        Message("A", (Sync("x ΦSYNC"),)),
        Message("A ΦSYNC"),
        Message("A", payload="ΦSYNC"),
    ],
)
def test_nothing_is_smuggled_into_another_message(message):
    with pytest.raises(InvalidRequest, match="read as another"):
        write(message)


@pytest.mark.parametrize(
    "message",
    [
        Message(""),
        Message("a"),
        Message("A", (Block(()),)),
        Message("A", (Block((Field(""),)),)),
        Message("A", (Block((Field("a", "\n"),)),)),
        Message("A", (Sync(""),)),
        Message("A", payload=""),
        Message("A", payload="Z5::"),
        Message("A", payload="SIG:B"),
        Message("A", (Block((Field("4CHAMP"),)),)),
        Message("A", (Header(256, Flags(0), "FULL").block(),)),
        Message("A", (Header(0, Flags(0), "FULL", seq=-1).block(),)),
        Message("A", (Header(0, Flags(0), "FULL", src="a b").block(),)),
    ],
)
def test_what_is_not_valid_is_not_written(message):
    with pytest.raises(ZgsSyntaxError):
        write(message)


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ([], "message"),
        ({"verb": 1}, "verb"),
        ({"verb": "A", "extra": 1}, "message"),
        ({"verb": "A", "items": {}}, "items"),
        ({"verb": "A", "items": [{}]}, "items.0"),
        ({"verb": "A", "items": [{"sync": {}, "block": []}]}, "items.0"),
        ({"verb": "A", "items": [{"block": [{"key": 1}]}]}, "items.0.block.0.key"),
        ({"verb": "A", "items": [{"sync": {"condition": 1}}]}, "items.0.sync.condition"),
        ({"verb": "A", "items": [{"header": {"schema": 1, "mode": "HALF"}}]}, "items.0.header.mode"),
        ({"verb": "A", "items": [{"header": {"schema": 1, "flags": ["x"]}}]}, "items.0.header.flags"),
        (
            {"verb": "A", "items": [{"header": {"schema": 1, "mode": "FULL", "seq": 1.5}}]},
            "items.0.header.seq",
        ),
        ({"verb": "A", "payload": 5}, "payload"),
    ],
)
def test_json_that_is_no_message(document, where):
    with pytest.raises(InvalidRequest) as caught:
        from_json(document)
    assert caught.value.param == where
