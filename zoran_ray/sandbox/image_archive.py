"""Writes an image as the archive that `docker load` takes, so that the same files give the same digest.

Source: Docker Image Specification v1.2, "Combined Image JSON + Filesystem Changeset Format".
"""

import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from zoran_ray.sandbox.image_files import INTERPRETER, PREFIX, Taken

TAG = "zoran-sandbox-python:latest"

_FOLDERS = ("dev", "proc", "sys", "tmp", "work", "etc", "usr/bin")
_TEXTS = {
    "etc/passwd": "root:x:0:0::/:/bin/sh\nkeeper:x:65533:65533::/:/bin/sh\n"
    "sandbox:x:65534:65534::/work:/bin/sh\n",
    "etc/group": "root:x:0:\nkeeper:x:65533:\nsandbox:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
_ENVIRONMENT = (
    f"PATH={PREFIX}/bin:/usr/bin:/bin",
    "HOME=/work",
    "LANG=C.UTF-8",
    "PYTHONDONTWRITEBYTECODE=1",
    "PYTHONUNBUFFERED=1",
)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_COMPILE_S = 300
_EPOCH = "1970-01-01T00:00:00Z"


def write_archive(files: Iterable[Taken], target: Path) -> None:
    """Write the image to a file.

    Args:
        files: What goes in; Python sources are compiled too, because nothing can be written there later.
        target: The archive.

    Raises:
        OSError: A file cannot be read, or there is no room.
    """
    with tempfile.TemporaryDirectory() as folder:
        root, layer = Path(folder, "root"), Path(folder, "layer.tar")
        _stage(files, root)
        _write_layer(root, layer)
        config = _config(_sha256(layer))
        name = hashlib.sha256(config).hexdigest()
        manifest = [{"Config": f"{name}.json", "RepoTags": [TAG], "Layers": ["layer.tar"]}]
        with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
            _add(tar, f"{name}.json", config)
            _add(tar, "manifest.json", _json(manifest))
            with layer.open("rb") as file:
                tar.addfile(_member("layer.tar", layer.stat().st_size), file)


def _stage(files: Iterable[Taken], root: Path) -> None:
    """Lay the files out below a folder, with the byte code of each source.

    The byte code comes from a process of its own: what one wrote already changes what it writes next.
    """
    for one in files:
        target = root / str(one.target)[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(one.source, target)
        target.chmod(0o755 if os.access(one.source, os.X_OK) else 0o644)
    prefix = root / str(PREFIX)[1:]
    command = [sys.executable, "-I", "-m", "compileall", "-q", "-s", str(root), "-p", "/"]
    # It answers 1 where one source of many is of another Python; that one goes without.
    subprocess.run(
        [*command, "--invalidation-mode", "unchecked-hash", str(prefix)],
        stdout=subprocess.DEVNULL,
        timeout=_COMPILE_S,
        check=False,
    )


def _write_layer(root: Path, target: Path) -> None:
    made: set[PurePosixPath] = set()
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in _FOLDERS:
            _folders(tar, PurePosixPath("/", name), made)
        _link(tar, "bin", "usr/bin")
        for name, text in _TEXTS.items():
            _add(tar, name, text.encode())
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            name = path.relative_to(root).as_posix()
            _folders(tar, PurePosixPath("/", name).parent, made)
            _add(tar, name, path.read_bytes(), os.access(path, os.X_OK))
        for name in ("python", "python3"):
            _link(tar, f"{str(PREFIX)[1:]}/bin/{name}", INTERPRETER)


def _folders(tar: tarfile.TarFile, folder: PurePosixPath, made: set[PurePosixPath]) -> None:
    for one in (*reversed(folder.parents), folder):
        if one not in made and str(one) != "/":
            made.add(one)
            member = _member(str(one)[1:], 0)
            member.type, member.mode = tarfile.DIRTYPE, 0o1777 if str(one) == "/tmp" else 0o755  # noqa: S108
            tar.addfile(member)


def _link(tar: tarfile.TarFile, name: str, to: str) -> None:
    member = _member(name, 0)
    member.type, member.linkname, member.mode = tarfile.SYMTYPE, to, 0o777
    tar.addfile(member)


def _add(tar: tarfile.TarFile, name: str, content: bytes, executable: bool = False) -> None:
    member = _member(name, len(content))
    member.mode = 0o755 if executable else 0o644
    tar.addfile(member, io.BytesIO(content))


def _member(name: str, size: int) -> tarfile.TarInfo:
    """Owned by root, dated 1970: nothing in it differs from one building to the next."""
    member = tarfile.TarInfo(name)
    member.size = size
    return member


def _config(layer_digest: str) -> bytes:
    machine = platform.machine()
    return _json(
        {
            "architecture": _ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "created": _EPOCH,
            "config": {"Env": list(_ENVIRONMENT), "WorkingDir": "/work", "User": "65534:65534"},
            "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
            "history": [{"created": _EPOCH, "created_by": "zoran sandbox build"}],
        }
    )


def _json(data: Any) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
