"""Edits in every format, exactly there or refused; all or none."""

import contextlib
import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.autopilot.edits import Edit, EditError, Remove, Replace, Write, apply_edits, parse_edits

CODE = "def add(a, b):\n    return a - b\n\n\ndef sub(a, b):\n    return a - b\n"
FIXED = CODE.replace("a - b", "a + b", 1)

SEARCH = """I mend the sum.

src/calc.py
```python
<<<<<<< SEARCH
def add(a, b):
    return a - b
=======
def add(a, b):
    return a + b
>>>>>>> REPLACE
```
Done.
"""
SEARCH_FENCED = SEARCH.replace("src/calc.py\n```python\n", "```python\nsrc/calc.py\n")
WHOLE = f"Here it is:\n\n**src/calc.py**\n```python\n{FIXED}```\nand `1 + 1` is 2.\n"
UNIFIED = """```diff
--- a/src/calc.py
+++ b/src/calc.py
@@ -1,2 +1,2 @@
 def add(a, b):
-    return a - b
+    return a + b
```
"""
GIT = "diff --git a/src/calc.py b/src/calc.py\nindex 123..456 100644\n" + UNIFIED.split("\n", 1)[1].replace(
    "```\n", ""
)
PATCH = """*** Begin Patch
*** Update File: src/calc.py
@@ def add(a, b):
 def add(a, b):
-    return a - b
+    return a + b
*** End Patch
"""


@pytest.mark.parametrize(
    "answer",
    [SEARCH, SEARCH_FENCED, WHOLE, UNIFIED, GIT, PATCH, f"```\n{PATCH}```\n", SEARCH.replace("\n", "\r\n")],
)
def test_every_format_says_the_same(answer: str) -> None:
    assert apply_edits(parse_edits(answer), {"src/calc.py": CODE}) == {"src/calc.py": FIXED}


def test_several_blocks_and_files() -> None:
    answer = f"{SEARCH}\n<<<<<<< SEARCH\ndef sub(a, b):\n=======\ndef minus(a, b):\n>>>>>>> REPLACE\n" + (
        "new.py\n<<<<<<< SEARCH\n=======\nx = 1\n>>>>>>> REPLACE\n"
        "*** Begin Patch\n*** Delete File: old.py\n*** Add File: other.py\n+y = 2\n*** End Patch\n"
    )
    edits = parse_edits(answer)
    assert edits[1] == Replace("src/calc.py", "def sub(a, b):\n", "def minus(a, b):\n")
    assert edits[3:] == (Remove("old.py"), Write("other.py", "y = 2\n"))
    assert apply_edits(edits, {"src/calc.py": CODE, "old.py": "z\n"}) == {
        "src/calc.py": FIXED.replace("def sub", "def minus"),
        "new.py": "x = 1\n",
        "old.py": None,
        "other.py": "y = 2\n",
    }


def test_a_diff_that_makes_and_removes_files() -> None:
    answer = (
        "--- /dev/null\n+++ b/new.py\n@@ -0,0 +1 @@\n+x = 1\n"
        + "--- a/old.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-z\n"
    )
    assert parse_edits(answer) == (Write("new.py", "x = 1\n"), Remove("old.py"))


@pytest.mark.parametrize(
    "path", ["`src/calc.py`", "### src/calc.py", "**src/calc.py**:", "File: src/calc.py", "- src/calc.py"]
)
def test_models_dress_paths(path: str) -> None:
    assert parse_edits(SEARCH.replace("src/calc.py", path))[0].path == "src/calc.py"


def test_a_lone_fence_is_the_file_that_was_asked_about() -> None:
    answer = f"```python\n{FIXED}```\n"
    assert parse_edits(answer, "src/calc.py") == (Write("src/calc.py", FIXED),)
    with pytest.raises(EditError, match="changes nothing"):
        parse_edits(answer)


@pytest.mark.parametrize(
    "said", ["It prints:", "Usage:", "### Example", "**Output**", "", "Now it is right.", "```\nx\n```"]
)
def test_what_is_only_shown_is_no_edit(said: str) -> None:
    assert parse_edits(f"{SEARCH}\n{said}\n```sh\npython m\n```\n") == parse_edits(SEARCH)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("You should add, not subtract.", "changes nothing"),
        ("", "changes nothing"),
        ("a.py\n<<<<<<< SEARCH\nx\n=======\ny\n", "REPLACE part.*has no end"),
        ("a.py\n<<<<<<< SEARCH\nx\n", "SEARCH part.*has no end"),
        ("<<<<<<< SEARCH\nx\n=======\ny\n>>>>>>> REPLACE\n", "names no file"),
        ("a.md\n<<<<<<< SEARCH\nA\n=======\nB\n=======\nC\n>>>>>>> REPLACE\n", "more than one line"),
        (SEARCH + ">>>>>>> REPLACE\n", "belongs to no whole edit"),
        ("@@ -1 +1 @@\n-a\n+b\n" + SEARCH, "belongs to no whole edit"),
        ("--- a/x.py\n+++ b/x.py\nnothing\n", "no hunk"),
        ("*** Begin Patch\n*** Update File: a\n", "patch.*has no end"),
        ("*** Begin Patch\n*** Move File: a\n*** End Patch\n", "none of"),
        ("*** Begin Patch\n*** Add File: a\nx\n*** End Patch\n", "begins with '\\+'"),
        ("a.py\n```\nx = 1\n# ... rest of the code unchanged\n```\n", "leaves something out"),
        ("a.py\n```\nx = 1\n", "fence.*has no end"),
        ("a.py\n```\nx = 1\n```\nm\n```\ny = 2\n```\n", "'m'.* is no path"),
        ("git~1/hooks/pre-push\n```\ny\n```\na.py\n```\nx = 1\n```\n", "git~1.* is no path"),
        ("a.py\n```\nx = 1\n```\nFile: `m`:\n```\ny = 2\n```\n", "'m'.* is no path"),
        (SEARCH + "```sh a~1/b\ny\n```\n", "a~1/b.* is no path"),
        ("x" * 1_000_001, "longer than"),
        ("".join(f"a{n}.py\n```\nx\n```\n" for n in range(201)), "more than 200"),
    ],
)
def test_what_cannot_be_read_is_refused_and_never_dropped(answer: str, says: str) -> None:
    with pytest.raises(EditError, match=f"(?s){says}"):
        parse_edits(answer)


def test_lines_that_differ_in_blanks_alone_are_found_and_moved() -> None:
    files = {"a.py": "class A:\n        def f(self):\n                return 1\n"}
    edit = Replace("a.py", "def f(self):\n        return 1\n", "def f(self):\n        return 2\n")
    assert apply_edits([edit], files) == {
        "a.py": "class A:\n        def f(self):\n                return 2\n"
    }


def test_ambiguous_missing_and_odd_edits_are_told_all_at_once() -> None:
    files = {"a.py": "x = 1\ny = 2\nx = 1\n", "b.py": "value = 41\n", "dir/c.py": "", "new.py": "n\n"}
    edits: list[Edit] = [
        Replace("a.py", "x = 1\n", "x = 2\n"),
        Replace("b.py", "value = 42\n", "value = 43\n"),
        Replace("b.py", "nothing at all like this, by far\n", ""),
        Replace("c.py", "x\n", "y\n"),
        Replace("dir/c.py", "x\n", "y\n"),
        Replace("new.py", "", "n\n"),
        Remove("gone.py"),
    ]
    with pytest.raises(EditError) as caught:
        apply_edits(edits, files)
    said = str(caught.value)
    for part in (
        "a.py: the passage stands in 2 places (lines 1, 3)",
        "nearest lines, from line 1:\nvalue = 41",
        "Nothing in it is like it",
        "c.py: there is no such file. Is it dir/c.py?",
        "dir/c.py: the file is empty",
        "new.py: the file is there already",
        "gone.py: there is no such file",
    ):
        assert part in said


def test_edits_that_change_nothing_are_refused() -> None:
    with pytest.raises(EditError, match="so already"):
        apply_edits([Write("a.py", "x\n")], {"a.py": "x\n"})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a\r\nb\r\n", "a\r\nc\r\n"),
        ("a\nb", "a\nc"),
        ("a\r\nx\nb\n", "a\r\nx\nc\n"),
        ("a\x0cq\nb\n", "a\x0cq\nc\n"),
    ],
)
def test_line_ends_stay_as_they_are(before: str, after: str) -> None:
    assert apply_edits([Replace("f", "b\n", "c\n")], {"f": before}) == {"f": after}


LINES = st.lists(st.sampled_from(["a", "b", "  b", "", "c = 1", "-", "+x", "@@ q", "\tz"]), max_size=12)


@given(before=LINES, after=LINES, context=st.integers(0, 3))
def test_a_diff_leads_where_it_was_made_for_or_is_refused(
    before: list[str], after: list[str], context: int
) -> None:
    old, new = ("".join(f"{line}\n" for line in lines) for lines in (before, after))
    diff = "".join(
        difflib.unified_diff(old.splitlines(True), new.splitlines(True), "a/f.py", "b/f.py", n=context)
    )
    if not diff:
        return
    try:
        changed = apply_edits(parse_edits(diff), {"f.py": old})
    except EditError:
        return
    if context == 3 and diff.count("@@ -") == 1:
        assert changed == {"f.py": new}


@given(st.text(max_size=300))
def test_whatever_a_model_says_there_is_an_answer(answer: str) -> None:
    with contextlib.suppress(EditError):
        assert parse_edits(answer, "a.py")


PIECES = [
    *("<<<<<<< SEARCH\n", "=======\n", ">>>>>>> REPLACE\n", "```\n", "```python\n", "a.py\n", "x = 1\n"),
    *("--- a/f\n", "+++ b/f\n", "@@ -1 +1 @@\n", "-x\n", "+y\n", "\n"),
    *("*** Begin Patch\n", "*** End Patch\n", "*** Add File: b\n"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_no_mark_of_a_block_is_dropped(answer: str) -> None:
    """Each begun block is an edit, or the answer is refused."""
    try:
        edits = parse_edits(answer, "a.py")
    except EditError:
        return
    for edit in edits:
        assert not isinstance(edit, Replace) or ">>>>>>> REPLACE" not in edit.old + edit.new
    inside = sum(str(getattr(edit, "text", "")).count(PIECES[0]) for edit in edits)
    inside += sum((edit.old + edit.new).count(PIECES[0]) for edit in edits if isinstance(edit, Replace))
    blocks = sum(isinstance(edit, Replace) for edit in edits)
    assert answer.count(PIECES[0]) <= blocks + inside
