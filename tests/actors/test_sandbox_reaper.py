from pathlib import Path

from actors.sandbox_reaper import SandboxReaper
from zoran_ray.sandbox import Backend


async def test_without_a_daemon_it_looks_again_later(tmp_path: Path) -> None:
    reaper = SandboxReaper(Backend("a" * 32, "sha256:" + "0" * 64, f"unix://{tmp_path}/none.sock"))
    assert await reaper.look() == 0
    assert await reaper.look() == 0
