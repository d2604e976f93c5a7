"""`zoran z5` from stdin to stdout."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from zoran_ray.cli.app import app

RAW = bytes(range(256)) * 5


def run(*args: str, input: bytes | str = b"") -> Any:
    return CliRunner().invoke(app, ["z5", *args], input=input, prog_name="zoran")


@pytest.mark.parametrize("content", [b"", b"\n", RAW, "Où est Zoé ?\n".encode()])
@pytest.mark.parametrize("kind", [(), ("--kind", "conversation")])
def test_there_and_back_byte_for_byte(content: bytes, kind: tuple[str, ...]) -> None:
    frame = run("encode", *kind, input=content)
    assert frame.exit_code == 0
    assert frame.stdout.startswith("Z5::2.")
    assert frame.stdout.endswith("\n")
    for end in ("\n", "\r\n", ""):
        back = run("decode", input=frame.stdout.rstrip("\n") + end)
        assert (back.exit_code, back.stdout_bytes) == (0, content)


def test_the_public_version_1() -> None:
    assert run("decode", input="Z5::eJzLSM3JyVcozy/KSQEAGgsEXQ==\n").stdout_bytes == b"hello world"


@pytest.mark.parametrize(
    ("args", "text", "told"),
    [
        (("decode",), "no frame", "begins with Z5::"),
        (("decode",), "", "begins with Z5::"),
        (("decode",), "Z5::9.0.AAAAAA.AA", "version 9"),
        (("decode",), "Z5::2.zzz.AAAAAA.AA", "dictionary zzz"),
        (("decode",), b"Z5::\xff\xfe", "base64"),
        (("decode", "--max-bytes", "10"), "Z5::eJzLSM3JyVcozy/KSQEAGgsEXQ==", "larger than 10 bytes"),
        (("encode", "--max-bytes", "10"), "more than ten", "more than 10 bytes"),
        (("encode", "--kind", "x"), "text", "conversation"),
    ],
)
def test_a_refusal_is_told_and_nothing_is_written(args: tuple[str, ...], text: Any, told: str) -> None:
    result = run(*args, input=text)
    assert (result.exit_code, result.stdout_bytes) == (1, b"")
    assert told in result.stderr


def test_a_dictionary_of_ones_own(tmp_path: Path) -> None:
    lines = "".join(f'{{"n": {n}, "square": {n * n}}}\n' for n in range(3000))
    made = run("train", "numbers", "--size", "2", input=lines)
    assert made.exit_code == 0
    file = tmp_path / "numbers.1.zdict"
    file.write_bytes(made.stdout_bytes)
    frame = run("encode", "--dictionary", str(file), "--kind", "numbers", input='{"n": 7777777}')
    assert frame.exit_code == 0
    assert run("decode", "--dictionary", str(file), input=frame.stdout).stdout == '{"n": 7777777}'
    unknown = run("decode", input=frame.stdout)
    assert (unknown.exit_code, "dictionary" in unknown.stderr) == (1, True)


def test_dictionaries_that_are_none(tmp_path: Path) -> None:
    assert run("decode", "--dictionary", str(tmp_path / "gone.zdict"), input="Z5::").exit_code == 3
    bad = tmp_path / "bad.zdict"
    bad.write_bytes(b"nothing")
    assert run("decode", "--dictionary", str(bad), input="Z5::").exit_code == 1
    assert run("train", "../x", input="a\n").exit_code == 2
    assert run("train", "few", input="a\nb\n").exit_code == 1
