import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.errors import ConfigError
from zoran_ray.journal import SigningKey, VerifierKey, load_key, load_or_make_key, parse_checkpoint
from zoran_ray.journal.checkpoint import sign
from zoran_ray.journal.keys import decode64, encode64

# Source: the example of golang.org/x/mod/sumdb/note.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
)
GO_SIGNATURE = (
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
)


def test_another_program_made_this_signature() -> None:
    key = VerifierKey.parse(GO_KEY)
    signature = decode64(GO_SIGNATURE)
    assert signature is not None
    assert str(key) == GO_KEY
    assert signature[:4] == key.mark
    assert key.verifies(signature[4:], GO_NOTE.encode())
    assert not key.verifies(signature[4:], GO_NOTE.encode() + b" ")
    assert not key.verifies(b"", b"")


def test_a_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "journal.key"
    made = load_or_make_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load_or_make_key(path) == load_key(path) == made
    assert [each.name for each in path.parent.iterdir()] == ["journal.key"]
    assert made.name.startswith("zoran-journal/")
    assert SigningKey.new().name != made.name
    secret = encode64(b"\x01" + made.seed)
    assert secret in path.read_text()
    assert secret not in repr(made) + str(made)
    assert repr(made.seed)[2:-1] not in repr(made)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o610])
def test_a_key_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "journal.key"
    load_or_make_key(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_or_make_key(path)


def test_what_is_no_key_file(tmp_path: Path) -> None:
    real, link, pipe = tmp_path / "real.key", tmp_path / "link.key", tmp_path / "pipe.key"
    load_or_make_key(real)
    link.symlink_to(real)
    os.mkfifo(pipe, 0o600)
    for path in (link, pipe, tmp_path, tmp_path / "missing"):
        with pytest.raises(ConfigError):
            load_key(path)
    dangling = tmp_path / "dangling.key"
    dangling.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError):
        load_or_make_key(dangling)
    assert not (tmp_path / "nowhere").exists()


@given(st.data())
def test_a_key_with_one_wrong_letter(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("key") / "journal.key"
    text = SigningKey("zoran-journal/x", bytes(32)).secret_text()
    at = data.draw(st.integers(0, len(text) - 1))
    wrong = (
        text[:at]
        + data.draw(st.sampled_from("AZaz09+/=- é").filter(lambda c: c != text[at]))
        + text[at + 1 :]
    )
    path.write_text(wrong)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="no signing key") as caught:
        load_key(path)
    assert text[-20:] not in str(caught.value)


@given(st.data())
def test_a_verifier_key_with_one_wrong_letter(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GO_KEY) - 1))
    wrong = data.draw(st.sampled_from("AZaz09+/=- é").filter(lambda c: c != GO_KEY[at]))
    with pytest.raises(ConfigError):
        VerifierKey.parse(GO_KEY[:at] + wrong + GO_KEY[at + 1 :])


@given(st.integers(0, 10**18 - 1), st.binary(min_size=32, max_size=32))
def test_a_checkpoint_as_text(size: int, root: bytes) -> None:
    key = SigningKey("zoran-journal/x", bytes(32))
    made = sign(size, root, key, size // 2, size // 3)
    read = parse_checkpoint(made.note)
    assert read == made == parse_checkpoint(made.note.rstrip("\n"))
    assert read.is_signed_by(key.verifier)
    assert not read.is_signed_by(SigningKey("zoran-journal/x", b"\x01" * 32).verifier)
    assert not read.is_signed_by(SigningKey("zoran-journal/y", bytes(32)).verifier)


@given(st.data())
def test_a_checkpoint_with_one_wrong_letter(data: st.DataObject) -> None:
    key = SigningKey("zoran-journal/x", bytes(32))
    note = sign(1234, bytes(range(32)), key).note
    at = data.draw(st.integers(0, len(note) - 2))
    wrong = data.draw(st.sampled_from("AZaz09+/=- \né—").filter(lambda c: c != note[at]))
    try:
        read = parse_checkpoint(note[:at] + wrong + note[at + 1 :])
    except ConfigError:
        return
    assert not read.is_signed_by(key.verifier)


def test_cosignatures_are_looked_past() -> None:
    key = SigningKey("zoran-journal/x", bytes(32))
    body, _, line = sign(7, bytes(32), key).note.partition("\n\n")
    witnessed = parse_checkpoint(f"{body}\n\n— witness.example/w AAAAAAAA\n{line}")
    assert witnessed.is_signed_by(key.verifier)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "a\n1\n\n",
        "a\n01\n" + encode64(bytes(32)) + "\ncommit 0 0\n\n— a AAAA\n",
        "x" * 5000,
        "a\nb\nc\nd",
    ],
)
def test_what_is_no_checkpoint(text: str) -> None:
    with pytest.raises(ConfigError, match="no checkpoint"):
        parse_checkpoint(text)


@pytest.mark.parametrize("text", ["A", "AB==", "AA==\n", "*", "é", "AAA"])
def test_base64_that_could_be_written_otherwise(text: str) -> None:
    assert decode64(text) is None
