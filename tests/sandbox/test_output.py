from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.sandbox.output import HeadAndTail


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(1, 100))
def test_start_and_end_are_kept_however_it_comes(pieces: list[bytes], limit: int) -> None:
    output, whole = HeadAndTail(limit), b"".join(pieces)
    for piece in pieces:
        output.feed(piece)
    if len(whole) <= limit:
        assert output.value() == whole
        assert output.cut_bytes == 0
        return
    tail = limit // 2
    head = limit - tail
    mark = f"\n[... {len(whole) - limit} bytes cut here ...]\n".encode()
    assert output.value() == whole[:head] + mark + whole[len(whole) - tail :]


def test_a_flood_takes_no_room() -> None:
    output = HeadAndTail(1000)
    for _ in range(10_000):
        output.feed(b"x" * 997)
    assert len(output.value()) < 1100
    assert output.seen_bytes == 9_970_000
