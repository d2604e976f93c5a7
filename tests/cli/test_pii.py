import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TEXT = "Écrivez à jean@example.fr ou 06 12 34 56 78.\r\nsans fin de ligne"


def test_masked_and_put_back(zoran: Any, state_dir: Path) -> None:
    masked = zoran("pii", "mask", input=TEXT)
    assert masked.exit_code == 0
    assert "example" not in masked.output
    assert masked.stdout.count("[") == 2
    assert masked.stdout_bytes.endswith(b"\r\nsans fin de ligne")
    back = zoran("pii", "unmask", input=masked.stdout_bytes.decode())
    assert back.stdout_bytes.decode() == TEXT
    assert (state_dir / "privacy").stat().st_mode & 0o777 == 0o700


def test_json_tells_places_and_no_values(zoran: Any) -> None:
    told = json.loads(zoran("pii", "mask", "--json", input=TEXT).stdout)
    kinds = [(row["kind"], TEXT[row["start"] : row["end"]]) for row in told["findings"]]
    assert kinds == [("EMAIL", "jean@example.fr"), ("PHONE", "06 12 34 56 78")]
    assert all(row["placeholder"] in told["text"] for row in told["findings"])
    assert "example" not in json.dumps(told)
    back = json.loads(zoran("pii", "unmask", "--json", input=told["text"] * 2).stdout)
    assert back["text"] == TEXT * 2
    assert {row["placeholder"]: row["count"] for row in back["findings"]} == {
        row["placeholder"]: 2 for row in told["findings"]
    }


def test_only_the_same_tenant_can_put_back(zoran: Any) -> None:
    masked = zoran("pii", "mask", "--tenant", "acme", input=TEXT).stdout_bytes.decode()
    assert zoran("pii", "unmask", input=masked).stdout_bytes.decode() == masked
    assert zoran("pii", "unmask", "--tenant", "acme", input=masked).stdout_bytes.decode() == TEXT


def test_unmasking_before_anything_was_masked(zoran: Any, state_dir: Path) -> None:
    text = "[EMAIL_aaaaaaaaaaaaaaaa] and [EMAIL_"
    assert zoran("pii", "unmask", input=text).stdout == text
    assert not (state_dir / "privacy").exists()


def test_kinds_regions_and_refusal(zoran: Any) -> None:
    assert "06 12" in zoran("pii", "mask", "--kind", "EMAIL", input=TEXT).stdout
    assert "06 12" in zoran("pii", "mask", "--region", "US", input=TEXT).stdout
    refused = zoran("pii", "mask", "--reject", input=TEXT)
    assert refused.exit_code == 5
    assert "EMAIL × 1, PHONE × 1" in refused.stderr
    assert "example" not in refused.output
    assert zoran("pii", "mask", "--reject", input="nothing").stdout == "nothing"
    assert zoran("pii", "mask", "--kind", "NAME", input=TEXT).exit_code == 3


def test_the_configured_profile_says_what_is_looked_for(zoran: Any, tmp_path: Path) -> None:
    file = tmp_path / "z.yaml"
    file.write_text("privacy: {profiles: {mail: {kinds: [EMAIL], mode: reject}}, tenants: {acme: mail}}")
    told = [
        zoran("pii", "mask", "--config", str(file), *flags, input=TEXT).stdout
        for flags in (
            (),
            ("--tenant", "acme"),
            ("--profile", "mail"),
            ("--profile", "mail", "--kind", "PHONE"),
        )
    ]
    assert [("example" in text, "06 12" in text) for text in told] == [
        (False, False), (False, True), (False, True), (True, False)
    ]  # fmt: skip
    unknown = zoran("pii", "mask", "--config", str(file), "--profile", "nix", input=TEXT)
    assert unknown.exit_code == 3
    assert "there are default, mail" in unknown.stderr


def test_what_is_no_text_is_refused(zoran: Any) -> None:
    for command in ("mask", "unmask"):
        wrong = zoran("pii", command, input=b"caf\xe9")
        assert wrong.exit_code == 2
        assert "UTF-8" in wrong.stderr


def test_a_pipe_is_passed_on_while_it_runs(zoran: Any, state_dir: Path) -> None:
    masked = zoran("pii", "mask", input="jean@example.fr").stdout
    process = subprocess.Popen(
        [sys.executable, "-m", "zoran_ray.cli", "pii", "unmask"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        process.stdin.write(f"to {masked}, é".encode() + b"\xc3")
        process.stdin.flush()
        expected = "to jean@example.fr, é".encode()
        assert process.stdout.read(len(expected)) == expected
        process.stdin.write(b"\xa9")
        process.stdin.close()
        assert process.stdout.read() == "é".encode()
    assert process.returncode == 0
