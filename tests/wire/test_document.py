import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zoran_ray.errors import InvalidRequest
from zoran_ray.wire import spliced
from zoran_ray.wire.document import MAX_CONTAINERS, MAX_DEPTH, MAX_STRINGS, read

text = st.text(alphabet=st.sampled_from('[]{}"\\/ab\n\u20ac\U0001f600'), max_size=8)
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text
documents = st.dictionaries(
    text,
    st.recursive(scalars, lambda v: st.lists(v, max_size=4) | st.dictionaries(text, v, max_size=4)),
    max_size=5,
)
LAYOUTS: list[dict[str, Any]] = [{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}]


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


@given(documents, st.integers(1, 8), st.sampled_from(LAYOUTS))
@example({"a\\": '[[["\\'}, 1, {})
def test_depth_agrees_with_a_walk_through_the_document(
    document: dict[str, Any], limit: int, layout: dict[str, Any]
) -> None:
    raw = json.dumps(document, **layout).encode()
    if depth(document) <= limit:
        assert read(raw, max_depth=limit) == document
    else:
        with pytest.raises(InvalidRequest, match="nested deeper than"):
            read(raw, max_depth=limit)


@given(documents, documents, st.sampled_from(LAYOUTS), st.sampled_from(["", " ", "\r\n\t"]))
def test_splicing_adds_members_and_changes_no_byte_of_the_rest(
    document: dict[str, Any], extra: dict[str, Any], layout: dict[str, Any], space: str
) -> None:
    raw = f"{space}{json.dumps(document, **layout)}{space}".encode()
    absent = {name: value for name, value in extra.items() if name not in document}
    sent = spliced(raw, absent)
    assert json.loads(sent) == document | absent
    assert sent.endswith(raw.strip().removeprefix(b"{").lstrip() + space.encode()) or not document


@given(st.binary() | st.text().map(str.encode) | documents.map(lambda d: json.dumps(d).encode()[:-1]))
@example(b'{"a":' * 100_000)
@example(b"[" * 100_000)
@example(b'{"' + b"\\" * 9)
def test_nothing_but_our_own_errors(raw: bytes) -> None:
    with contextlib.suppress(InvalidRequest):
        assert type(read(raw, max_depth=64)) is dict


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "is empty"),
        (b" ", "not valid JSON"),
        (b'{"a":1,}', r"not valid JSON: .* \(line 1, column 7\)"),
        (b'{"a":\n\n tru}', r"not valid JSON: .* \(line 3, column 2\)"),
        (b'{"a":NaN}', "not valid JSON"),
        (b'{"a":-Infinity}', "not valid JSON"),
        (b'{"a":1e999}', "not valid JSON"),
        (b'{"a":"\xff"}', "not valid JSON"),
        (b'{"a":"\\ud800"}', "not valid JSON"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        ('{"a":1}'.encode("utf-16"), "not valid JSON"),
        (b"[]", "must be a JSON object, not an array"),
        (b"null", "must be a JSON object, not null"),
        (b"1.5", "must be a JSON object, not a decimal number"),
    ],
)
def test_what_is_no_object_is_refused_with_the_place(raw: bytes, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says) as raised:
        read(raw, max_depth=64)
    assert raised.value.__cause__ is None


def test_many_empty_arrays_are_refused_before_they_are_built() -> None:
    with pytest.raises(InvalidRequest, match="arrays and objects"):
        read(b'{"a":[' + b"[]," * MAX_CONTAINERS + b"[]]}", max_depth=64)
    assert read(b'{"a":"' + b"[]" * MAX_CONTAINERS + b'"}', max_depth=64)


def test_many_strings_are_refused_before_they_are_stepped_over() -> None:
    arrays = b'{"a":[' + b"[]," * 100
    with pytest.raises(InvalidRequest, match="strings"):
        read(arrays + b'"",' * MAX_STRINGS + b"[]]}", max_depth=64)
    assert read(arrays + b'"",' * (MAX_STRINGS - 1) + b"[]]}", max_depth=64)


def test_no_limit_allows_more_than_can_be_written_again() -> None:
    assert read(b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH, max_depth=512)
    with pytest.raises(InvalidRequest, match=str(MAX_DEPTH)):
        read(b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), max_depth=512)
