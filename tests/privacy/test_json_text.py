import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.privacy import FORM, Masker, Scanner, in_json, readable, unmask

MASKER = Masker(Scanner(), b"k" * 32, "acme")
PII = st.sampled_from(["a@example.org", "06 12 34 56 78", "4111 1111 1111 1111", 'say "a@b.org"\n'])
TEXTS = st.one_of(PII, st.text(max_size=12), st.text('\\"[]{}:,é\n aq27@.', max_size=12))
NUMBERS = st.one_of(
    st.integers(), st.sampled_from([4111111111111111, 552008443, 0]), st.floats(allow_nan=False)
)
VALUES = st.recursive(
    st.one_of(TEXTS, NUMBERS, st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)
BODIES = st.one_of(st.lists(VALUES, max_size=3), st.dictionaries(TEXTS, VALUES, max_size=3))


def as_texts(value: Any) -> Any:
    """The value with the numbers that masking may have made strings of as strings."""
    if isinstance(value, list):
        return [as_texts(each) for each in value]
    if isinstance(value, dict):
        return {key: as_texts(each) for key, each in value.items()}
    return str(value) if type(value) in (int, float) else value


@given(BODIES, st.sampled_from([None, 1]), st.booleans())
def test_json_stays_json_and_comes_back(body: Any, indent: int | None, escaped: bool) -> None:
    text = json.dumps(body, indent=indent, ensure_ascii=escaped)
    masked = MASKER.mask_json(text)
    assert as_texts(json.loads(unmask(masked.text, masked.values.get, in_json))) == as_texts(
        json.loads(text)
    )
    assert set(masked.placeholders) == set(masked.values)
    if not masked.findings:
        assert masked.text == text


@given(st.text(max_size=40))
def test_what_is_no_json_is_masked_as_text(text: str) -> None:
    text = "[" + text + "a@example.org"
    assert MASKER.mask_json(text) == MASKER.mask(text)


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ('{"to": "a\\njean@example.org"}', "jean"),
        ('{"to": "jean\\u0040example.org"}', "jean"),
        ('{"siren": 552008443}', "552008443"),
        ('{"card":[4111111111111111, 1]}', "4111"),
        ('{"jean@example.org": {"x": 1.50}}', "jean"),
    ],
)
def test_values_are_seen_without_their_escapes(text: str, gone: str) -> None:
    masked = MASKER.mask_json(text)
    assert gone not in masked.text
    assert len(masked.findings) == 1
    assert json.loads(masked.text) != json.loads(text)
    assert ("njean@example.org" in masked.values.values()) is False


def test_what_is_not_changed_stays_byte_for_byte() -> None:
    masked = MASKER.mask_json('{ "a":1.50,\n"b" : "\\u00e9", "to":"a@example.org" }')
    assert masked.text.startswith('{ "a":1.50,\n"b" : "\\u00e9", "to":"[EMAIL_')
    assert MASKER.mask_json(masked.text).text == masked.text


def test_hostile_json_is_text() -> None:
    deep = "[" * 100_000 + '"a@example.org"' + "]" * 100_000
    assert FORM.search(MASKER.mask_json(deep).text)
    digits = '{"n": ' + "9" * 5000 + ', "to": "a@example.org"}'
    assert "a@example.org" not in MASKER.mask_json(digits).text
    assert readable("[" * 1000) == "[" * 1000
