"""Lines of an input file: requests, or what is wrong with them."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.batch import lines
from zoran_ray.batch.lines import BadLine, Line, parse_line, read_lines
from zoran_ray.wire import Endpoint

CHAT = "/v1/chat/completions"


def row(custom_id="a", url=CHAT, **fields):
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    return json.dumps(
        {"custom_id": custom_id, "method": "POST", "url": url, "body": body, **fields}
    ).encode()


def read(data, **options):
    return list(read_lines(io.BytesIO(data), **options))


def test_good_lines_know_their_place():
    data = row("a") + b"\n\n  \r\n" + row("b") + b"\r\n" + row("ü")
    found = read(data)
    assert [(line.number, line.custom_id, line.model) for line in found] == [
        (1, "a", "m"),
        (4, "b", "m"),
        (5, "ü", "m"),
    ]
    for line in found:
        request = parse_line(data[line.at : line.at + line.size], line.number)
        assert (request.custom_id, request.endpoint) == (line.custom_id, Endpoint.CHAT_COMPLETIONS)


@pytest.mark.parametrize(
    ("raw", "code", "told", "custom_id"),
    [
        (b"{", "invalid_json", "Line 2 is not valid JSON", None),
        (b"\xff\xfe{}", "invalid_json", "Line 2 is not valid JSON", None),
        (b"[1]", "invalid_json", "Line 2 must be a JSON object", None),
        (b'{"a":' * 80, "invalid_json", "Line 2 is nested deeper", None),
        (b'{"a": NaN}', "invalid_json", "Line 2", None),
        (row(None), "invalid_request", "Line 2: 'custom_id'", None),
        (row(""), "invalid_request", "Line 2: 'custom_id'", None),
        (row("x" * 513), "invalid_request", "Line 2: 'custom_id'", None),
        (row("b", method="GET"), "invalid_request", "Line 2: 'method'", "b"),
        (row("b", url="/v1/files"), "invalid_request", "Line 2: 'url'", "b"),
        (row("b", url=["x"]), "invalid_request", "Line 2: 'url'", "b"),
        (row("b", body=None), "invalid_request", "Line 2: 'body'", "b"),
        (row("b", body={}), "invalid_request", "Line 2: 'body.model'", "b"),
        (row("b", body={"model": "m", "stream": True}), "invalid_request", "Line 2: 'body.stream'", "b"),
        (row("a"), "duplicate_custom_id", "Line 2: its custom_id is already that of line 1", None),
    ],
)
def test_a_faulty_line_is_told_with_its_number_and_the_others_stay(raw, code, told, custom_id):
    first, faulty, last = read(row("a") + b"\n" + raw + b"\n" + row("z"))
    assert isinstance(first, Line)
    assert isinstance(faulty, BadLine)
    assert (faulty.number, faulty.code, faulty.custom_id) == (2, code, custom_id)
    assert told in faulty.message
    assert (last.number, last.custom_id) == (3, "z")


def test_a_name_is_taken_by_a_faulty_line_too():
    found = read(row("a", body=None) + b"\n" + row("a"))
    assert [(each.code, each.custom_id) for each in found] == [
        ("invalid_request", "a"),
        ("duplicate_custom_id", None),
    ]


def test_a_line_that_is_too_long_is_passed_over(monkeypatch):
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 500)
    data = row("a") + b"\n" + b"x" * 2_000_000 + b"\n" + row("b") + b"\n" + b"y" * 501
    found = read(data)
    assert [(each.number, isinstance(each, Line)) for each in found] == [
        (1, True), (2, False), (3, True), (4, False)
    ]  # fmt: skip
    assert data[found[2].at :].startswith(row("b"))
    assert found[1].code == "line_too_long"


def test_too_many_lines_and_other_options():
    data = b"\n".join(row(str(n)) for n in range(5))
    found = read(data, most=3)
    assert [getattr(each, "code", "") for each in found] == ["", "", "", "too_many_lines"]
    assert all(isinstance(each, BadLine) for each in read(data, endpoint="/v1/embeddings"))
    assert {each.model for each in read(data, model="zoran/tot")} == {"zoran/tot"}
    assert parse_line(row(body={}), 1, model="n").body == {"model": "n"}


@given(
    st.lists(
        st.binary(max_size=60) | st.sampled_from([row("a"), row("b"), b"{}", b"\xef\xbb\xbf" + row("c")])
    )
)
def test_whatever_comes_each_line_is_told_once_and_names_are_unique(raws):
    data = b"\n".join(raws)
    found = read(data)
    expected = [n for n, raw in enumerate(data.split(b"\n"), 1) if raw.strip()]
    assert [each.number for each in found] == expected
    names = [each.custom_id for each in found if each.custom_id is not None]
    assert len(names) == len(set(names))
    for each in found:
        if isinstance(each, Line):
            assert parse_line(data[each.at : each.at + each.size], each.number).custom_id == each.custom_id
