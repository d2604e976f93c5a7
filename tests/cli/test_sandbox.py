from pathlib import Path
from typing import Any


def test_without_a_daemon_every_command_says_so(zoran: Any, state_dir: Path, tmp_path: Path) -> None:
    digest = "sha256:" + "0" * 64
    env = {"ZORAN_SANDBOX__DOCKER_HOST": f"unix://{tmp_path}/none.sock", "ZORAN_SANDBOX__IMAGE": digest}
    for command in (("check",), ("run", "--", "true"), ("reap",)):
        done = zoran("sandbox", *command, env=env)
        assert done.exit_code == 1, done.output
        assert "none.sock" in done.stderr


def test_without_an_image_it_says_how_to_make_one(zoran: Any) -> None:
    done = zoran("sandbox", "run", "--", "true")
    assert done.exit_code == 1
    assert "zoran sandbox build" in done.stderr
