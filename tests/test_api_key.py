import copy
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.api_key import MAX_KEY_BYTES, ApiKey
from zoran_ray.errors import ConfigError

SECRET = "sk-proj-canary-5d0f1c9a7e42"
KEY = ApiKey(SECRET, "OPENAI_API_KEY")


def test_a_key_comes_from_the_variable_it_is_named_after() -> None:
    key = ApiKey.from_variable("OPENAI_API_KEY", {"OPENAI_API_KEY": f" {SECRET}\n"})
    assert key.header("Bearer ") == f"Bearer {SECRET}".encode()
    assert key.origin == "OPENAI_API_KEY"


def test_a_key_comes_from_a_mounted_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"{SECRET}\r\n")
    assert ApiKey.from_file(path).header() == SECRET.encode()


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(ConfigError, match="MISTRAL_API_KEY is not set") as caught:
        ApiKey.from_variable("MISTRAL_API_KEY", {})
    assert caught.value.param == "MISTRAL_API_KEY"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file") as caught:
        ApiKey.from_file(tmp_path / "absent")
    assert caught.value.param == str(tmp_path / "absent")


def test_a_folder_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        ApiKey.from_file(tmp_path)


@pytest.mark.parametrize("content", ["", " \n", f"{SECRET}\nsecond", f"{SECRET} x", f"{SECRET}é", "a\x00b"])
def test_what_is_no_key_is_refused_without_being_shown(content: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ApiKey.from_variable("K", {"K": content})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("content", [SECRET.encode() + b"\xff", SECRET.encode() * (MAX_KEY_BYTES // 8)])
def test_a_file_that_is_no_key_is_refused_without_being_shown(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        ApiKey.from_file(tmp_path / "key")
    assert SECRET not in repr(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_a_key_shows_its_origin_only() -> None:
    shown = [repr(KEY), str(KEY), f"{KEY}", f"{KEY!r:>40}", repr([KEY]), ascii(KEY)]
    assert all(SECRET not in each and "OPENAI_API_KEY" in each for each in shown)


@pytest.mark.parametrize("taken", [pickle.dumps, copy.copy, copy.deepcopy, lambda key: key.__getstate__()])
def test_a_key_is_neither_pickled_nor_copied(taken: object) -> None:
    assert callable(taken)
    with pytest.raises(TypeError, match="not copied or pickled") as caught:
        taken(KEY)
    assert SECRET not in str(caught.value)


@given(st.text(max_size=20), st.text(max_size=20), st.integers(8, len(SECRET)))
def test_a_quoted_key_or_its_beginning_is_hidden(before: str, after: str, length: int) -> None:
    hidden = KEY.hidden_in(f"{before}{SECRET[:length]}{after}")
    assert SECRET[:8] not in hidden
    assert hidden.startswith(before)


def test_text_without_the_key_stays_as_it_is() -> None:
    assert KEY.hidden_in("Rate limit reached for gpt-4o") == "Rate limit reached for gpt-4o"
