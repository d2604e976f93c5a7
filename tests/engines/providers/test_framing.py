from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.engines.providers.framing import Event, EventTooLarge, Frames

ENDS = ["\n", "\r\n", "\r"]
texts = st.text(alphabet='ab:{" €🌍', max_size=8)
noise = st.sampled_from([": keep-alive", ":", "id: 7", "retry: 10", "event: ping", "data", "unknown"])
lines = texts.filter(bool).map(lambda text: f"data: {text}") | noise


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Blocks of lines, each closed by a blank one, with one kind of line end each."""
    parts = [draw(st.sampled_from(["", "\ufeff"]))]
    for block in draw(st.lists(st.lists(lines, max_size=4), max_size=5)):
        end = draw(st.sampled_from(ENDS))
        parts += [line + end for line in [*block, ""]]
    return "".join(parts).encode()


def framed(stream: bytes, cuts: list[int]) -> list[Event]:
    frames = Frames()
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [event for a, b in pairwise(edges) for event in frames.feed(stream[a:b])]


@given(streams(), st.lists(st.integers(0, 500), max_size=12))
def test_where_the_network_cuts_makes_no_difference(stream: bytes, cuts: list[int]) -> None:
    assert framed(stream, cuts) == framed(stream, []) == framed(stream, list(range(len(stream))))


@given(st.lists(texts.filter(bool), max_size=6), st.sampled_from(ENDS), st.lists(st.integers(0, 200)))
def test_every_event_comes_out_once(said: list[str], end: str, cuts: list[int]) -> None:
    stream = "".join(f": ping{end}{end}data: {text}{end}{end}" for text in said).encode()
    assert [event.data.decode() for event in framed(stream, cuts)] == said


def test_several_data_lines_are_one_event_with_its_name() -> None:
    stream = b'event: delta\ndata: {"a":\ndata:1}\nid: 3\n\n'
    assert list(Frames().feed(stream)) == [Event(b'{"a":\n1}', "delta")]


def test_a_name_does_not_last_beyond_its_event() -> None:
    assert list(Frames().feed(b"event: ping\n\ndata: x\n\n")) == [Event(b"x")]


def test_the_end_of_a_line_is_seen_before_the_next_byte() -> None:
    assert list(Frames().feed(b"data: x\r\r")) == [Event(b"x")]


def test_what_lacks_its_blank_line_is_the_rest() -> None:
    frames = Frames()
    assert list(frames.feed(b"data: a\n\ndata: [DONE]")) == [Event(b"a")]
    assert frames.rest() == Event(b"[DONE]")
    assert frames.rest() is None


@pytest.mark.parametrize("piece", [b"data: 1234567\n", b"12345678", b"data: x\n", b"data:\n"])
def test_an_event_without_end_is_given_up(piece: bytes) -> None:
    frames = Frames(most_bytes=64)
    with pytest.raises(EventTooLarge):
        [event for _ in range(100) for event in frames.feed(piece)]


def test_comments_without_end_are_no_event() -> None:
    frames = Frames(most_bytes=64)
    assert not [event for _ in range(100) for event in frames.feed(b": still here\n\n")]
