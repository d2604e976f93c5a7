from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.config.document import MAX_BYTES, parse_document, read_document, scalar
from zoran_ray.errors import ConfigError

plain = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("abc:-# '\"é\n")
)
values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc é", min_size=1), inner, max_size=3)
    ),
)


@given(st.dictionaries(st.text("abcdef", min_size=1), values, max_size=4))
def test_what_is_written_is_read(data: dict[str, object]) -> None:
    assert parse_document(yaml.safe_dump(data, allow_unicode=True), "f").data == data


def test_words_stay_words() -> None:
    text = "a: off\nb: no\nc: 12:30:45\nd: 2026-01-02\ne: 0123\nf: .inf\ng: 1_000\nh: '8080'\n"
    assert parse_document(text, "f").data == {
        "a": "off", "b": "no", "c": "12:30:45", "d": "2026-01-02",
        "e": 123, "f": ".inf", "g": "1_000", "h": "8080",
    }  # fmt: skip


def test_every_value_knows_its_line() -> None:
    document = parse_document("a:\n  - x: 1\n    y:\n      - 2\n", "f")
    assert document.place(("a", 0, "y")) == "f:3"
    assert document.place(("a", 0, "y", 0)) == "f:4"
    assert document.place(("a", 0, "z", "deeper")) == "f:2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", r"f:3: 'a' is here twice \(first in line 1\)"),
        ("a: [1\nb: 2\n", "f:2: not valid YAML"),
        ("\n\na: !!python/object/apply:os.system [id]", "f:3: the tag"),
        ("a: !custom x", "f:1: the tag '!custom' is not allowed"),
        ("? [1]\n: 2", "f:1: a key must be a word"),
        ("a: &x [*x]", "nested too deeply"),
        ("a: *x", "f:1: not valid YAML"),
        ("a: !!int x", "f:1: not a value of type int"),
        ("a: 1e999", "f:1: not a value of type float"),
        ("a: " + 5000 * "9", "f:1: not a value of type int"),
        ("a: " + 300 * "[", "f"),
        ("a: " + 20_000 * "[", "nested too deeply"),
        ("a: \x00", "f: not valid YAML"),
        ("a: 1\n---\nb: 2", "f:2: not valid YAML"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_document(text, "f")


def test_aliases_do_not_multiply() -> None:
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    for level in range(1, 12):
        bomb += f"a{level}: &a{level} [{','.join(9 * [f'*a{level - 1}'])}]\n"
    with pytest.raises(ConfigError, match="aliases included"):
        parse_document(bomb, "f")


def test_an_alias_may_be_used() -> None:
    assert parse_document("a: &x {k: 1}\nb: *x\n", "f").data == {"a": {"k": 1}, "b": {"k": 1}}


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("# only a comment\n")
    assert read_document(tmp_path / "f").data == {}


def test_files_that_are_none(tmp_path: Path) -> None:
    for content, message in (
        (b"a" * (MAX_BYTES + 1), "larger than"),
        (b"a: 1\nb: \xff\n", ":2: not UTF-8"),
    ):
        (tmp_path / "f").write_bytes(content)
        with pytest.raises(ConfigError, match=message):
            read_document(tmp_path / "f")
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_document(path)


@given(st.text())
def test_any_text_is_a_scalar(text: str) -> None:
    assert isinstance(scalar(text), str | int | float | None)


def test_scalars_of_flags() -> None:
    assert [scalar(text) for text in ("8", "0.5", "true", "null", "", "fp8", "1e999", "a: b")] == [
        8, 0.5, True, None, None, "fp8", "1e999", "a: b",
    ]  # fmt: skip
