"""`zoran zgs` from stdin to stdout."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from zoran_ray.cli.app import app
from zoran_ray.memory.z5 import codec

GOOD = "SIG:PERSIST ⟦ΔM11.3⟧ ΦSYNC ⟦4CHAMP:0807-FULL⟧ Z5::...\nSIG:PING\n"
BAD = "SIG:PING\nsig:ping\nSIG:A ⟦a\n"


def run(*args: str, input: bytes | str = b"") -> Any:
    return CliRunner().invoke(app, ["zgs", *args], input=input, prog_name="zoran")


@pytest.mark.parametrize("text", [GOOD, GOOD.rstrip("\n"), "", "SIG:A ⟦a: ⟧ ΦSYNC∴x\n"])
def test_there_and_back(text: str) -> None:
    assert run("check", input=text).exit_code == 0
    decoded = run("decode", input=text)
    assert decoded.exit_code == 0
    back = run("encode", input=decoded.stdout)
    assert back.exit_code == 0
    assert back.stdout.rstrip("\n") == text.rstrip("\n")


def test_check_tells_line_and_column_of_each_faulty_line() -> None:
    result = run("check", input=BAD)
    assert (result.exit_code, result.stdout) == (1, "3 messages, 2 faulty.\n")
    first, second = result.stderr.splitlines()
    assert first.startswith("Line 2, column 1: ")
    assert second.startswith("Line 3, column 9: ")
    told = json.loads(run("check", "--json", input=BAD).stdout)
    assert (told["messages"], told["faulty"]) == (3, 2)
    assert [(each["line"], each["column"]) for each in told["faults"]] == [(2, 1), (3, 9)]
    assert run("check", input="SIG:A\n").stdout == "1 message, none faulty.\n"


def test_many_faults_are_counted_and_some_are_told() -> None:
    told = json.loads(run("check", "--json", input="x\n" * 5000).stdout)
    assert (told["faulty"], len(told["faults"])) == (5000, 100)


@pytest.mark.parametrize(
    ("command", "text", "told"),
    [
        ("decode", BAD, "Line 2, column 1"),
        ("decode", "SIG:A\n\n", "Line 2, column 1"),
        ("decode", b"SIG:A\nSIG:\xff", "Line 2, column 5"),
        ("encode", "{}\n", "Line 1: verb"),
        ("encode", '{"verb": "A"}\n{"verb": \n', "Line 2, column"),
        ("encode", '{"verb": "a"}\n', "Line 1 makes no message"),
        ("encode", '{"verb": "\\ud800"}\n', "Line 1, column"),
        ("encode", "[" * 1_000_000, "Line 1"),
        ("encode", b"\xff\xff", "Line 1"),
        ("encode", '{"verb": "A", "items": [{"block": [{"key": "a", "value": "b⟧ ΦSYNC ⟦c"}]}]}', "Line 1"),
    ],
)
def test_a_refusal_has_a_place_and_nothing_is_written(command: str, text: Any, told: str) -> None:
    result = run(command, input=text)
    assert (result.exit_code, result.stdout) == (1, "")
    assert told in result.stderr


def test_a_payload_is_opened_when_asked() -> None:
    text = f"SIG:A {codec().encode('Où ?'.encode(), 'conversation')}\nSIG:B\n"
    first, second = map(json.loads, run("decode", "--open", input=text).stdout.splitlines())
    assert first["opened"] == "Où ?"
    assert "opened" not in second
    assert "opened" not in run("decode", input=text).stdout
    broken = run("decode", "--open", input="SIG:A Z5::...\n")
    assert (broken.exit_code, broken.stdout) == (1, "")
