"""`zoran journal` on a journal's file."""

import asyncio
import json
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest

from actors.journal import JournalWriter
from zoran_ray.journal import Entry, Event, Journal, Kind, SigningKey, load_or_make_key, open_journal


def _append(state_dir: Path, count: int) -> None:
    journal = _opened(state_dir)
    entries = [
        Entry(Kind.MEMORY_WRITE, 1_700_000_000_000, {"record": f"r-{number}", "kept": True, "by": None})
        for number in range(journal.size, journal.size + count)
    ]
    journal.append(entries)
    journal.close()


def _opened(state_dir: Path) -> Journal:
    return open_journal(state_dir / "journal.log", load_or_make_key(state_dir / "journal.key"))


@pytest.fixture
def file(state_dir: Path) -> Path:
    _append(state_dir, 30)
    return state_dir / "journal.log"


def test_the_head_is_copied_and_the_journal_checked_against_it(
    zoran: Any, state_dir: Path, file: Path, tmp_path: Path
) -> None:
    head = zoran("journal", "head")
    assert head.exit_code == 0
    lines = head.stdout.splitlines()
    assert (lines[0].startswith("zoran-journal/"), lines[1]) == (True, "30")
    copy = tmp_path / "head.txt"
    copy.write_text(head.stdout)
    told = json.loads(zoran("journal", "head", "--json").stdout)
    assert (told["size"], told["note"]) == (30, head.stdout)
    assert f"Verifier key: {told['key']}" in head.stderr
    _append(state_dir, 3)
    good = zoran("journal", "verify", "--against", str(copy))
    assert good.exit_code == 0
    assert good.stdout.splitlines()[:3] == [
        "Integrity:    intact",
        "Completeness: complete",
        "Entries:      33",
    ]
    piped = zoran("journal", "verify", "--against", "-", "--json", input=head.stdout)
    assert json.loads(piped.stdout)["key_given"] is True


def test_anybody_can_verify_with_the_file_and_the_key_alone(zoran: Any, file: Path, tmp_path: Path) -> None:
    key = json.loads(zoran("journal", "head", "--json").stdout)["key"]
    copy = tmp_path / "elsewhere.log"
    copy.write_bytes(file.read_bytes())
    assert zoran("journal", "verify", "--file", str(copy), "--key", key).exit_code == 0
    without = zoran("journal", "verify", "--file", str(copy))
    assert without.exit_code == 0
    assert "does not show who wrote it" in without.stderr
    assert "--against" in without.stderr
    other = str(SigningKey.new().verifier)
    assert zoran("journal", "verify", "--file", str(copy), "--key", other).exit_code == 1
    assert zoran("journal", "verify", "--file", str(copy), "--key", "nonsense").exit_code == 3


def test_tampering_and_crashes(zoran: Any, state_dir: Path, file: Path, tmp_path: Path) -> None:
    intact = file.read_bytes()
    _append(state_dir, 1)
    copy = tmp_path / "head.txt"
    copy.write_text(zoran("journal", "head").stdout)
    file.write_bytes(intact)
    cut = json.loads(zoran("journal", "verify", "--against", str(copy), "--json").stdout)
    assert (cut["integrity"], cut["completeness"], cut["entries"]) == ("intact", "incomplete", 30)
    assert zoran("journal", "verify", "--against", str(copy)).exit_code == 1
    file.write_bytes(intact + b"half")
    torn = zoran("journal", "verify")
    assert (torn.exit_code, "Integrity:    torn" in torn.stdout) == (1, True)
    assert zoran("journal", "head").exit_code == 0  # a write may be going on
    file.write_bytes(intact.replace(b"r-7", b"r-8"))
    assert "checksum" in zoran("journal", "verify").stdout
    file.write_bytes(intact + intact[-300:])
    assert zoran("journal", "verify").exit_code == 1
    file.write_bytes(b"x")
    for command in (["head"], ["tail"], ["prove", "1"]):
        assert zoran("journal", *command).exit_code == 3
    assert json.loads(zoran("journal", "verify", "--json").stdout)["integrity"] == "damaged"


def test_proofs(zoran: Any, state_dir: Path, file: Path, tmp_path: Path) -> None:
    old, proof = tmp_path / "old.txt", tmp_path / "proof.json"
    old.write_text(zoran("journal", "head").stdout)
    _append(state_dir, 20)
    key = json.loads(zoran("journal", "head", "--json").stdout)["key"]
    for args in (["17"], ["--since", str(old)]):
        made = zoran("journal", "prove", *args)
        assert made.exit_code == 0
        proof.write_text(made.stdout)
        held = zoran("journal", "verify", "--proof", str(proof), "--key", key, "--json")
        assert (held.exit_code, json.loads(held.stdout)["holds"]) == (0, True)
        assert zoran("journal", "verify", "--proof", "-", input=made.stdout).exit_code == 0
        proof.write_text(made.stdout.replace('"path": ["', '"path": ["' + 64 * "0" + '", "'))
        assert zoran("journal", "verify", "--proof", str(proof)).exit_code == 1
    assert json.loads(zoran("journal", "prove", "17").stdout)["index"] == 17
    assert zoran("journal", "prove", "50").exit_code == 1
    assert zoran("journal", "prove").exit_code == 2
    assert zoran("journal", "prove", "1", "--since", str(old)).exit_code == 2
    assert zoran("journal", "prove", "--since", str(tmp_path / "missing")).exit_code == 3
    assert zoran("journal", "verify", "--proof", str(old)).exit_code == 3


def test_a_proof_needs_a_key_from_elsewhere(zoran: Any, state_dir: Path, file: Path) -> None:
    made = zoran("journal", "prove", "1").stdout
    (state_dir / "journal.key").unlink()
    assert zoran("journal", "verify", "--proof", "-", input=made).exit_code == 2


def test_the_tail(zoran: Any, file: Path) -> None:
    shown = zoran("journal", "tail", "-n", "2").stdout.splitlines()
    assert shown[0].split() == ["NUMBER", "TIME", "KIND", "DETAILS"]
    assert [line.split()[0] for line in shown[1:]] == ["28", "29"]
    for piece in ("2023-11-14 22:13:20 UTC", "memory.write", "record=r-29", "kept=yes", "by=-"):
        assert piece in shown[2]
    told = json.loads(zoran("journal", "tail", "--json").stdout)
    assert (told["size"], len(told["entries"])) == (30, 20)
    assert told["entries"][-1]["meta"] == {"record": "r-29", "kept": True, "by": None}
    assert len(json.loads(zoran("journal", "tail", "-n", "99", "--json").stdout)["entries"]) == 30
    assert zoran("journal", "tail", "-n", "0").exit_code == 2


def test_beside_the_server_that_writes(zoran: Any, state_dir: Path, tmp_path: Path) -> None:
    """The file is read while it grows: whatever is seen of it holds."""
    begun, enough = Flag(), Flag()

    async def serve() -> None:
        writer = JournalWriter(state_dir)
        while not enough.is_set():
            await writer.append(tuple(Event(Kind.MEMORY_WRITE, {"n": n}, "acme", "ada") for n in range(50)))
            begun.set()
        await writer.stop()

    server = Thread(target=lambda: asyncio.run(serve()))
    server.start()
    try:
        assert begun.wait(60)
        copy = tmp_path / "head.txt"
        copy.write_text(zoran("journal", "head").stdout)
        for _ in range(5):
            assert zoran("journal", "tail").exit_code == 0
            made = zoran("journal", "prove", "17").stdout
            assert zoran("journal", "verify", "--proof", "-", input=made).exit_code == 0
            since = zoran("journal", "prove", "--since", str(copy)).stdout
            assert zoran("journal", "verify", "--proof", "-", input=since).exit_code == 0
            seen = json.loads(zoran("journal", "verify", "--against", str(copy), "--json").stdout)
            assert seen["completeness"] == "complete"
            assert seen["integrity"] != "damaged"
    finally:
        enough.set()
        server.join(60)
    assert zoran("journal", "verify", "--against", str(copy)).exit_code == 0


def test_no_journal_yet(zoran: Any, state_dir: Path) -> None:
    for command in (["head"], ["tail"], ["prove", "1"], ["verify"]):
        missing = zoran("journal", *command)
        assert (missing.exit_code, "cannot be used" in missing.stderr) == (3, True)
    assert list(state_dir.iterdir()) == []
