"""Which files of a folder are read: no link, no secret, nothing ignored, nothing that is no text."""

import os
from pathlib import Path

import pytest

from zoran_ray.errors import InvalidRequest
from zoran_ray.rag import FileBounds, Folder
from zoran_ray.rag.files import SECRET_MARK
from zoran_ray.rag.ignores import Ignores


def write(root: Path, files: dict[str, str | bytes]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)


def names(folder: Folder) -> list[str]:
    return [file.path for file in folder.texts()]


def test_texts_and_what_is_none(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "b.md": "two\r\nlines", "a/x.py": "x = 1\n", "a.bin": b"\x00\x01", "latin.txt": b"\xe9",
            "large.txt": "x" * 101, "utf16.txt": "\u00e9".encode("utf-16"), "bom.txt": b"\xef\xbb\xbfx",
            "empty": "", ".git/config": "[core]", "node_modules/m.js": "1", "caf\u00e9.txt": "x",
        },
    )  # fmt: skip
    os.mkfifo(tmp_path / "pipe")
    folder = Folder(tmp_path, FileBounds(file_bytes=100))
    texts = {file.path: file.text for file in folder.texts()}
    assert texts == {
        "a/x.py": "x = 1\n", "b.md": "two\nlines", "bom.txt": "x", "caf\u00e9.txt": "x", "empty": "",
        "utf16.txt": "\u00e9",
    }  # fmt: skip
    assert folder.left_out == {"not text": 2, "too large": 1, "no file": 1}
    again = Folder(tmp_path, FileBounds(file_bytes=100))
    assert [file.digest for file in folder.texts()] == [file.digest for file in again.texts()]


def test_no_link_leads_out(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    write(tmp_path, {"outside/secret.txt": "never", "root/in/x.txt": "here"})
    (root / "file").symlink_to(outside / "secret.txt")
    (root / "folder").symlink_to(outside)
    (root / "round").symlink_to(root)
    (root / "inner").symlink_to(root / "in" / "x.txt")
    (root / "nowhere").symlink_to("/does/not/exist")
    folder = Folder(root)
    assert names(folder) == ["in/x.txt"]
    assert folder.left_out == {"link": 5}
    for path in ("file", "folder/secret.txt", "../outside/secret.txt", "in/../../outside/secret.txt"):
        assert folder.read(path) is None or ".." in path
    # `..` is opened like any other part; a path of the index never has one.
    assert Folder(tmp_path / "root").read("in/x.txt") is not None


def test_a_root_that_is_a_link_is_the_callers_choice(tmp_path: Path) -> None:
    write(tmp_path, {"root/x.txt": "here"})
    (tmp_path / "link").symlink_to(tmp_path / "root")
    assert names(Folder(tmp_path / "link")) == ["x.txt"]
    with pytest.raises(InvalidRequest):
        Folder(tmp_path / "none")


def test_secrets_stay_out(tmp_path: Path) -> None:
    key = "sk-proj-Zx81Kq0PvNw7RtLm3YbCe5HdUf9"
    write(
        tmp_path,
        {
            ".env": "A=1", ".env.local": "A=1", ".env.example": "A=", "server.pem": "x", "id_ed25519": "x",
            "Credentials.json": "{}", "ID_RSA": "x", "secrets.yaml": "x",
            "note.md": f"first\nthe key is {key} here\nlast",
            "key.txt": "a\n-----BEGIN PRIVATE KEY-----\n" + "QUJD" * 16 + "\n-----END PRIVATE KEY-----\nb",
            "url.txt": "postgres://me:hunter2hunter@db.test/x",
        },
    )  # fmt: skip
    folder = Folder(tmp_path)
    texts = {file.path: file.text for file in folder.texts()}
    assert set(texts) == {".env.example", "key.txt", "note.md", "url.txt"}
    assert folder.left_out == {"looks like a secret": 7}
    assert texts["note.md"] == f"first\nthe key is {SECRET_MARK} here\nlast"
    assert texts["key.txt"].split("\n")[-1] == "b"
    assert texts["key.txt"].count("\n") == 4
    assert "QUJD" not in texts["key.txt"]
    assert "hunter2" not in texts["url.txt"]


def test_gitignore_as_git_reads_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            ".gitignore": "*.log\nbuild/\n/only-here.txt\n!keep.log\n# comment\n\ndoc/*.tmp\n",
            "a.log": "x", "keep.log": "x", "build/x.txt": "x", "only-here.txt": "x",
            "sub/only-here.txt": "x",
            "sub/.gitignore": "!b.log\n*.txt\n", "sub/b.log": "x", "sub/c.txt": "x", "sub/deep/d.txt": "x",
            "sub/deep/.gitignore": "!d.txt", "doc/a.tmp": "x", "doc/in/a.tmp": "x",
        },
    )  # fmt: skip
    found = [name for name in names(Folder(tmp_path)) if not name.endswith(".gitignore")]
    assert found == ["keep.log", "doc/in/a.tmp", "sub/b.log", "sub/deep/d.txt"]


def test_a_gitignore_made_to_harm(tmp_path: Path) -> None:
    ignores = Ignores()
    ignores.add("", "*a" * 40 + "b\n*.txt\n!\n\\\n[\n" + "x\n" * 10_000)
    assert ignores.leaves_out("a.txt")
    assert not ignores.leaves_out("a" * 200)
    write(tmp_path, {".gitignore": b"\xff\xfe\x00*.txt", "a.txt": "x"})
    assert "a.txt" in names(Folder(tmp_path))


def test_strange_names_and_bounds(tmp_path: Path) -> None:
    write(tmp_path, {"line\nbreak": "x", "a": "x", "b": "x", "c": "x"})
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))).write_text("x")
    folder = Folder(tmp_path, FileBounds(files=2))
    assert names(folder) == ["a", "b"]
    assert folder.left_out == {"strange name": 2, "beyond the bounds of an index": 1}
    assert names(Folder(tmp_path, FileBounds(total_bytes=1))) == ["a"]


def test_a_very_deep_folder_ends(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(100):
        deep = deep / "d"
        deep.mkdir()
    (deep / "x").write_text("x")
    folder = Folder(tmp_path)
    assert names(folder) == []
    assert folder.left_out == {"too deep": 1}
