import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.client.events import MAX_EVENT_BYTES, EventReader
from zoran_ray.errors import UpstreamError

# Everything but what ends a line in the framing itself.
line = st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs",)), max_size=20)


@given(st.lists(line, max_size=8), st.sampled_from(["\n", "\r\n", "\r"]), st.data())
def test_any_cutting_gives_the_same_events(texts: list[str], ending: str, data: st.DataObject) -> None:
    raw = "".join(f"data: {text}{ending}{ending}" for text in texts).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=10)))
    reader = EventReader()
    pieces = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    found = [event for piece in [*pieces, b"\n"] for event in reader.feed(piece)]
    assert found == texts


def test_comments_and_other_fields_are_skipped() -> None:
    assert EventReader().feed(b": ping\n\nevent: x\nid: 1\ndata: a\ndata: b\n\n") == ["a\nb"]


def test_separators_of_unicode_are_text() -> None:
    assert EventReader().feed("data: a\u2028b\x85c\n\n".encode()) == ["a\u2028b\x85c"]


def test_an_endless_event_is_refused() -> None:
    reader = EventReader()
    reader.feed(b"data: " + b"x" * (MAX_EVENT_BYTES // 2) + b"\n")
    with pytest.raises(UpstreamError, match="too long"):
        reader.feed(b"data: " + b"x" * (MAX_EVENT_BYTES // 2) + b"\n")


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(UpstreamError, match="UTF-8"):
        EventReader().feed(b"data: \xff\n\n")
