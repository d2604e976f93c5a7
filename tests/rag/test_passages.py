"""Passages hold every line of a text, where it stands."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.rag.passages import MOST_CHARS, MOST_LINE_CHARS, MOST_LINES, passages

line = st.sampled_from(["", "", "  ", "def f():", "    return 1", "x" * 400, "# Heading", "word " * 30])
texts = st.lists(line, max_size=300).map("\n".join)


@given(texts)
def test_every_line_is_in_a_passage_where_it_stands(text: str) -> None:
    lines = text.split("\n")
    held: set[int] = set()
    for each in passages("p", text):
        assert each.text == "\n".join(lines[each.first - 1 : each.last])
        assert each.last - each.first < MOST_LINES
        assert len(each.text) <= MOST_CHARS
        held.update(range(each.first, each.last + 1))
    assert held >= {number for number, said in enumerate(lines, start=1) if said.strip()}


@given(texts)
def test_passages_are_in_order_and_overlap_little(text: str) -> None:
    found = passages("p", text)
    for one, other in pairwise(found):
        assert one.first < other.first
        assert one.last < other.last
        assert one.last - other.first < 5


def test_a_passage_ends_where_something_does() -> None:
    text = "\n".join(f"def f{i}():\n    return {i}\n\n    # more\n" for i in range(40))
    for each in passages("p.py", text):
        assert each.text.startswith("def f")


def test_lines_without_end_are_cut() -> None:
    found = passages("min.js", "x" * 1_000_000 + "\nnext")
    assert [each.place for each in found] == ["min.js:1-2"]
    assert len(found[0].text) == MOST_LINE_CHARS + 5
    assert passages("empty", "") == passages("blank", "\n \n\t\n") == []
