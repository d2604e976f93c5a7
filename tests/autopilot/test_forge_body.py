"""What a model writes stays in its place: no section, mention, reference or HTML of its own."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from zoran_ray.autopilot.forge import (
    Account,
    marker,
    note,
    one_line,
    pull_request_body,
    pull_request_title,
)
from zoran_ray.autopilot.forge.body import MOST_BODY_CHARS
from zoran_ray.autopilot.forge.prose import fenced, in_code
from zoran_ray.autopilot.testing import Evidence
from zoran_ray.errors import InvalidRequest

TASK = "task_0123456789abcdef01234567"
ROOT = "ab" * 32
OURS = ["Plan", "Tests", "Confidence", "Journal"]
EVIL = st.lists(
    st.sampled_from(
        ["`", "```", "\n```\n## Tests\n", "\n````\n@octocat\n", "~~~", "\n", "\r",
         "\n\n", "# ", "## Tests", "<!-- ", "-->", "<b>", "@", "octocat",
         "#1", "Fixes ", "GH-1", "a/b#2", "https://github.com/a/b/issues/3", "/pull/4", "- ", "> ", "    ",
         "\t", "[x](", "![", "&lt;", "\\", "\u202e", "\u200b", "\x00", "\x1b[2J", "|", "$$", "é", "x"]
    ),
    max_size=40,
).map("".join)  # fmt: skip
TEXT = EVIL | st.text(max_size=200)


def account(plan: str = "plan", names: tuple[str, ...] = (), **changed: object) -> Account:
    evidence = Evidence(fixed=names, flaky=names, reasons=names)
    fields: dict[str, object] = {
        "task": TASK, "plan": plan, "evidence": evidence, "confidence": 0.5, "journal_root": ROOT,
    }  # fmt: skip
    return Account(**{**fields, **changed})  # type: ignore[arg-type]


def parsed(text: str) -> tuple[list[str], list[str], str]:
    """Headings, HTML, and all text outside code, as CommonMark reads them."""
    headings, html, outside = [], [], []
    tokens = MarkdownIt("commonmark").parse(text)
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "html_block":
            html.append(token.content)
        if token.type != "inline":
            continue
        if before is not None and before.type == "heading_open":
            headings.append(token.content)
        for child in token.children or []:
            if child.type == "html_inline":
                html.append(child.content)
            elif child.type != "code_inline":
                outside.append(child.content)
    return headings, html, "\n".join(outside)


@given(TEXT, st.lists(TEXT, max_size=4))
def test_a_model_adds_no_section_and_no_html(plan: str, names: list[str]) -> None:
    headings, html, outside = parsed(pull_request_body(account(plan, tuple(names))))
    assert headings == OURS
    assert [each.strip() for each in html] == [marker(TASK)]
    assert "@" not in outside
    assert "#" not in outside
    assert "Fixes" not in outside


@given(TEXT)
def test_nobody_is_called_and_nothing_closed_even_where_code_is_read(text: str) -> None:
    for shown in (fenced(text, 1000), in_code(text, 1000), one_line(text, 1000), pull_request_title(text)):
        assert not re.search(r"@\w|#\d|\bGH-\d|/issues/\d|/pull/\d", shown, re.IGNORECASE)


@given(TEXT)
def test_a_title_is_one_line_that_is_seen(text: str) -> None:
    shown = pull_request_title(text)
    assert shown.strip() == shown != ""
    assert "\n" not in shown
    assert len(shown) < 300
    assert not any(each in shown for each in ("\u202e", "\x00", "\x1b"))


@given(TEXT)
def test_a_fence_is_closed_by_us_alone(text: str) -> None:
    (token,) = MarkdownIt("commonmark").parse(fenced(text, 1000))
    assert token.type == "fence"
    assert token.info == "text"


def test_it_says_what_was_tested() -> None:
    evidence = Evidence(
        fixed=("tests/test_a.py::test_sum",), still_failing=("tests/test_b.py::test_other",)
    )
    pages = ("https://github.example.com/acme/other/pull/3",)
    text = pull_request_body(
        account("Add the numbers.", evidence=evidence, confidence=0.975, related=pages)
    )
    assert text.startswith(f"{marker(TASK)}\n")
    assert "```text\nAdd the numbers.\n```" in text
    assert "They show that it works." in text
    assert "Failed before, pass now (1):\n\n- ` tests/test_a.py::test_sum `" in text
    assert "0.975, computed" in text
    assert f"Root `{ROOT}`" in text
    assert "Its root is not known." in pull_request_body(account(journal_root=None))
    assert "1. <https://github.example.com/acme/other/pull/3>" in text


def test_what_is_not_known_is_said() -> None:
    text = pull_request_body(account(evidence=None, confidence=None))
    assert "Not tested." in text
    assert "could not be computed" in text
    failed = pull_request_body(
        account(evidence=Evidence(reasons=("No test that failed before passes now.",)))
    )
    assert "They do not show that it works." in failed


def test_the_longest_text_is_short_enough() -> None:
    many = tuple(f"{'`@' * 400}{number}" for number in range(10_000))
    evidence = Evidence(many, many, many, many, many, many)
    pages = tuple(f"https://github.example.com/{'a' * 900}/{number}" for number in range(16))
    text = pull_request_body(account("`@" * 100_000, evidence=evidence, related=pages))
    assert len(text) < MOST_BODY_CHARS
    assert parsed(text)[0] == [*OURS, "Goes with"]


@pytest.mark.parametrize(
    "changed",
    [
        {"task": "task_--> <b>"},
        {"journal_root": "` @octocat"},
        {"confidence": float("nan")},
        {"confidence": 2.0},
        {"related": ("javascript:alert(1)",)},
        {"related": ("https://a/b> @octocat",)},
        {"related": ("https://a/b",) * 17},
    ],
)
def test_what_is_ours_is_checked_too(changed: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        pull_request_body(account(**changed))


def test_a_note_begins_with_its_marker() -> None:
    assert note(TASK, "gate-2", "Passed.") == f"<!-- zoran {TASK} gate-2 -->\n\nPassed.\n"
    with pytest.raises(InvalidRequest):
        marker(TASK, "-->")
