"""Whatever is valid goes there and back; whatever is not is an error with a place."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zgs_strategies import messages

from zoran_ray.errors import RequestError, ZgsSyntaxError
from zoran_ray.zgs import from_json, parse, to_json, write


@given(messages())
def test_there_and_back(message):
    text = write(message)
    assert parse(text) == message
    assert write(parse(text)) == text
    assert parse(text.encode()) == message


@given(messages())
def test_there_and_back_as_json(message):
    document = json.loads(json.dumps(to_json(message)))
    assert from_json(document) == message


_pieces = st.sampled_from(
    [
        "SIG:",
        "PERSIST",
        " ",
        "⟦",
        "⟧",
        "⋄",
        ":",
        "ΦSYNC",
        "∴",
        "Z5::",
        "A",
        "4CHAMP",
        "0807-FULL",
        "seq",
        "1",
        "\n",
    ]
)


@given(st.one_of(st.lists(_pieces, max_size=25).map("".join), st.text(max_size=40)))
def test_any_text_is_the_one_form_of_a_message_or_an_error_with_a_place(text):
    for given_text in (text, f"SIG:A {text}"):
        message, fault = _tried(given_text)
        assert (message is None) != (fault is None)
        if message is not None:
            assert write(message) == given_text
        if fault is not None:
            assert fault.line == 7
            assert 1 <= fault.column <= len(given_text) + 1
            assert fault.message.startswith(f"Line 7, column {fault.column}: ")


def _tried(text):
    try:
        return parse(text, line=7), None
    except ZgsSyntaxError as fault:
        return None, fault


@given(st.binary(max_size=60))
def test_any_bytes_too(raw):
    message, fault = _tried(b"SIG:A " + raw)
    if message is not None:
        assert write(message).encode() == b"SIG:A " + raw
    if fault is not None:
        assert 1 <= fault.column <= len(raw) + 7


@given(messages(), st.data())
def test_a_message_that_was_cut_or_grew_is_another_or_none(message, data):
    text = write(message)
    place = data.draw(st.integers(0, len(text)))
    extra = data.draw(st.sampled_from(["", " ", "⟦", "⟧", "\n", "\ud800", "\u202e", "Z5::"]))
    changed = text[:place] + extra + text[place:] if extra else text[:place]
    try:
        found = parse(changed)
    except ZgsSyntaxError:
        return
    assert write(found) == changed
    assert (found == message) == (changed == text)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["verb", "items", "payload", "block", "sync", "header", "key", "value", "flags", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_json)
def test_any_json_is_a_message_or_an_error(document):
    try:
        message = from_json(document)
    except RequestError:
        return
    assert parse(write(message)) == message


@pytest.mark.parametrize("schema", [-1, 256, 10**400, True, 1.0, "8", None])
def test_numbers_in_json(schema):
    item = {"header": {"schema": schema, "flags": [], "mode": "FULL"}}
    with pytest.raises(RequestError) as caught:
        from_json({"verb": "A", "items": [item]})
    assert caught.value.param == "items.0.header.schema"
