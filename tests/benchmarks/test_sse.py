from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.serving.sse import StreamReader

ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
TEXT = b'data: {"choices":[{"delta":{"content":" 4\xc3\xa9"}}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n'
DONE = b"data: [DONE]\n\n"
STREAM = ROLE + TEXT + b": ping\n\n" + TEXT + USAGE + DONE


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_cut_gives_the_same_counts(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    reader = StreamReader()
    total = sum(reader.feed(STREAM[a:b], 0.0) for a, b in pairwise(edges))
    assert (total, reader.events, reader.tokens) == (4, 4, 2)
    assert reader.done
    assert not reader.failed


def test_the_first_text_is_not_the_role() -> None:
    reader = StreamReader()
    reader.feed(ROLE, 1.0)
    assert reader.first_text_s is None
    reader.feed(TEXT + TEXT, 2.0)
    reader.feed(TEXT, 3.0)
    assert reader.first_text_s == 2.0


def test_spaces_after_colons_are_json_too() -> None:
    reader = StreamReader()
    reader.feed(b'data: {"delta": {"content": "x"}, "usage": {"completion_tokens": 7}}\n\n', 1.0)
    assert (reader.first_text_s, reader.tokens) == (1.0, 7)


def test_an_error_event_is_seen() -> None:
    reader = StreamReader()
    reader.feed(TEXT + b'data: {"error": {"message": "engine died"}}\n\n', 1.0)
    assert reader.failed
    assert not reader.done


def test_the_word_error_in_a_text_is_no_error() -> None:
    reader = StreamReader()
    reader.feed(b'data: {"choices":[{"delta":{"content":"{\\"error\\":1}"}}]}\n\n', 1.0)
    assert not reader.failed
