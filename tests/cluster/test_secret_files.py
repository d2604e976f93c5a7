"""Files with secrets: what will not do is told, what they hold never."""

import secrets as random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.cluster_config import require_secrets, secret_problems
from zoran_ray.cluster_config.secret_files import secret_in
from zoran_ray.errors import ConfigError

GOOD = "b8a1f0c3" * 8


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        ("CHANGE_ME", "placeholder"),
        ("change-me-change-me-change-me-change-me", "placeholder"),
        ("<your token, 32 characters or more>", "blanks"),
        ("<your-token-of-32-characters-or-more>", "placeholder"),
        ("password1234567890abcdefghijklmnop", "placeholder"),
        ("a1b2c3", "can be guessed"),
        ("0" * 64, "can be guessed"),
        (f"{GOOD}\n{GOOD}", "line breaks"),
        ("é" * 40, "header cannot carry"),
        ("q7" * 4000, "longer than"),
    ],
)
def test_what_will_not_do_is_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "ray_token").write_text(text)
    (problem,) = secret_problems(tmp_path)
    assert told in problem
    assert "openssl rand" in problem
    if len(text.strip()) > 5:
        assert text.strip() not in problem


def test_the_same_secret_twice(tmp_path: Path) -> None:
    for name in ("ray_token", "redis_password"):
        (tmp_path / name).write_text(GOOD)
    with pytest.raises(ConfigError, match="are the same") as refused:
        require_secrets(tmp_path)
    assert GOOD not in refused.value.message


def test_no_folder_and_nothing_in_it(tmp_path: Path) -> None:
    assert "holds no secret" in secret_problems(tmp_path)[0]
    assert "cannot be read" in secret_problems(tmp_path / "none")[0]


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "ray_token").mkdir()  # what Docker makes of a bind mount whose source is not there
    assert "cannot be read" in secret_problems(tmp_path)[0]


@given(st.integers(min_value=24, max_value=64))
def test_what_is_drawn_at_random_will_do(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    path = tmp_path_factory.mktemp("secrets") / "ray_token"
    path.write_text(random.token_hex(size) + "\n")
    assert secret_in(path) == path.read_text().strip()
