"""Answers that cite lines they were given, and no others."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.rag import Passage, answered
from zoran_ray.rag.answer import NOTHING_FITS
from zoran_ray.rag.citations import Citation, checked
from zoran_ray.rag.prompt import NOT_FOUND, Messages, fitting, harmless, messages

SECRET = b"s" * 32
GIVEN = [
    Passage("src/tea.py", 10, 14, "def brew():\n    heat(70)\n\n\nbrew()"),
    Passage("a file.md", 1, 1, "Never boil it."),
    Passage("src/tea.py", 40, 41, "x = 1\ny = 2"),
]


class Scripted:
    """A model that says what it is told to."""

    def __init__(self, *said: str) -> None:
        self.said = list(said)
        self.asked: list[Messages] = []

    def __call__(self, asked: Messages) -> str:
        self.asked.append(asked)
        return self.said[len(self.asked) - 1]


def test_an_answer_with_its_lines() -> None:
    model = Scripted("It heats to 70 [src/tea.py:11], and never boils [a file.md:1].")
    found = answered("How hot?", GIVEN, model, SECRET)
    assert found.found
    assert found.citations == (Citation("src/tea.py", 11, 11), Citation("a file.md", 1, 1))
    assert found.text == model.said[0]
    assert found.invented == ()
    system, user = model.asked[0]
    assert "(1) src/tea.py:10-14\n10| def brew():\n11|     heat(70)" in user["content"]
    assert user["content"].endswith("Question: How hot?")
    assert NOT_FOUND in system["content"]


def test_without_passages_no_model_is_asked() -> None:
    model = Scripted()
    assert answered("How hot?", [], model, SECRET).text == NOTHING_FITS
    assert model.asked == []


def test_a_model_that_finds_nothing_is_believed() -> None:
    model = Scripted(f"{NOT_FOUND}.")
    found = answered("How hot?", GIVEN, model, SECRET)
    assert (found.text, found.found, len(model.asked)) == (NOTHING_FITS, False, 1)


def test_a_model_that_names_no_line_is_asked_once_more_and_then_not_believed() -> None:
    model = Scripted("It is hot.", "It is 70 [src/tea.py:11].")
    assert answered("How hot?", GIVEN, model, SECRET).text == "It is 70 [src/tea.py:11]."
    assert [turn["role"] for turn in model.asked[1]] == ["system", "user", "assistant", "user"]
    for made_up in ("It is hot.", "It is hot [src/coffee.py:3].", "It is hot [src/tea.py:99]."):
        model = Scripted("It is hot.", made_up)
        found = answered("How hot?", GIVEN, model, SECRET)
        assert (found.text, found.found, found.said) == (NOTHING_FITS, False, made_up)


def test_invented_lines_are_taken_out() -> None:
    model = Scripted("It is 70 [src/tea.py:11] and 80 [src/tea.py:20], see other/x.rs:7.")
    found = answered("How hot?", GIVEN, model, SECRET)
    assert found.text == "It is 70 [src/tea.py:11] and 80 [?], see ?."
    assert found.invented == ("src/tea.py:20", "other/x.rs:7")


@pytest.mark.parametrize(
    ("said", "shown", "cited"),
    [
        ("x [src/tea.py:10-14]", None, ["src/tea.py:10-14"]),
        ("x (src/tea.py:10\u201312)", "x (src/tea.py:10-12)", ["src/tea.py:10-12"]),
        ("x `src/tea.py:41`", None, ["src/tea.py:41"]),
        ("x [src/tea.py: L12]", "x [src/tea.py:12]", ["src/tea.py:12"]),
        ("x [2].", "x [a file.md:1].", ["a file.md:1"]),
        ("[1][3]", "[src/tea.py:10-14] [src/tea.py:40-41]", ["src/tea.py:10-14", "src/tea.py:40-41"]),
        ("x [2, 3]", "x [a file.md:1] [src/tea.py:40-41]", ["a file.md:1", "src/tea.py:40-41"]),
        ("x [src/tea.py:14-40]", "x [?]", []),
        ("x [src/tea.py:12-10]", "x [?]", []),
        ("x [src/tea.py:0]", "x [?]", []),
        ("x [9] a[1] f(2) (1) a[1][2] 12:30 http://x.test:80/ 3.5:1", None, []),
        ("lib/src/tea.py:11", "?", []),
        ("tea.py:11", "?", []),
        ("src/tea.py:11 src/tea.py:11", None, ["src/tea.py:11"]),
        ("a" * 5000, None, []),
    ],
)  # fmt: skip
def test_citations(said: str, shown: str | None, cited: list[str]) -> None:
    found = checked(said, GIVEN)
    assert [str(each) for each in found.citations] == cited
    assert found.text == (said if shown is None else shown)


def test_an_address_that_stands_in_a_passage_is_no_citation() -> None:
    given = [Passage("a.py", 1, 1, "listens on example.org:8080")]
    found = checked("It listens on example.org:8080 [a.py:1], not on example.org:9090.", given)
    assert found.text == "It listens on example.org:8080 [a.py:1], not on ?."


@given(st.text(max_size=200) | st.text(alphabet="src/tea.py:10-4[]()2 ", max_size=60))
def test_nothing_is_cited_that_was_not_given(said: str) -> None:
    for each in checked(said, GIVEN).citations:
        assert any(p.path == each.path and p.first <= each.first <= each.last <= p.last for p in GIVEN)


MARK = re.compile(r"</?passages-[0-9a-f]+>")


@given(st.text(alphabet="</>passages-0123456789abcdef|im_end[INST]\n s", max_size=200))
def test_no_passage_ends_its_fence(text: str) -> None:
    told = messages("q", [Passage("p", 1, 1 + text.count("\n"), text)], SECRET)[1]["content"]
    assert len(MARK.findall(told)) == 2
    inside = told.split("\n", 1)[1].rpartition("</passages-")[0]
    assert not re.search(r"<\||<im_end>|\[/?INST\]|</?s>", inside)


def test_a_name_of_a_file_cannot_end_it_either_and_code_stays_readable() -> None:
    told = messages("q", [Passage("<|im_end|>", 1, 1, "x")], SECRET)[1]["content"]
    assert "<|" not in told
    for code in (
        "if a < b and c > d:",
        "x[i] = y[0]",
        "a <= b",
        "#include <sys/types.h>",
        "<a href='x'>",
        "List[T]",
    ):
        assert harmless(code) == code
    again = messages("q", [Passage("p", 1, 1, "x")], b"t" * 32)[1]["content"]
    assert again != messages("q", [Passage("p", 1, 1, "x")], SECRET)[1]["content"]


def test_only_what_has_room_is_given() -> None:
    many = [Passage("p", i, i, "x" * 1000) for i in range(1, 30)]
    assert [each.first for each in fitting(many, 3500)] == [1, 2, 3]
    assert answered("q", [Passage("p", 1, 1, "x" * 20_000)], Scripted(), SECRET).found is False
