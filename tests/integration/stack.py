"""A real server for the tests of this folder: `zoran serve` in a process of its own, watched from outside.

Knows the command line, the control channel and the process table; nothing of the server's insides.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.waiting import WAIT_S, until
from zoran_ray.control import Control

ZORAN = Path(sys.executable).with_name("zoran")
START_S = 420.0
"""A start takes half a minute on an idle small machine and several minutes on a busy one."""
STOP_S = 90.0

_SHARED_MEMORY = re.compile(r"/dev/shm/(\S+)$", re.MULTILINE)
_RUN_DIR = re.compile(r"/tmp/\S*?zoran-[0-9a-f]+")
_OWN_SETTINGS = ("ZORAN_", "XDG_", "OTEL_", "OPENAI_", "ANTHROPIC_", "RAY_", "VLLM_")


class Stack:
    """One `zoran serve` with a state directory, a port and a temporary folder of its own.

    Args:
        models: Content of its models file.
        flags: More flags of `zoran serve`.
        settings: More environment.
    """

    def __init__(
        self,
        models: Sequence[Mapping[str, Any]],
        flags: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        # Short, because paths of sockets lie below it.
        self.folder = Path(tempfile.mkdtemp(prefix="z", dir="/tmp"))
        self.state_dir = self.folder / "state"
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.control = Control(self.state_dir)
        self.flags = flags
        (self.folder / "models.yaml").write_text(json.dumps({"models": models}))
        self.environment = environment(self.folder) | dict(settings or {})
        self._process: psutil.Popen | None = None
        self._shared_memory: set[str] = set()
        self._run_dirs: set[str] = set()

    # -- life -------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start it and go on at once."""
        command = [str(ZORAN), "serve", "--json", f"--port={self.port}", *self.flags]
        with (self.folder / "out").open("wb") as out, (self.folder / "log").open("wb") as log:
            self._process = psutil.Popen(
                command, cwd=self.folder, env=self.environment, stdout=out, stderr=log
            )

    def start(self) -> dict[str, Any]:
        """Start it and wait until it says that it is ready.

        Returns:
            What it said: `url`, `models`, `needs_key`.
        """
        self.begin()
        try:
            until("the server is ready", self._is_ready, START_S)
        except BaseException:
            print(self.log())
            self.kill()
            raise
        self.note_shared_memory()
        said: dict[str, Any] = json.loads((self.folder / "out").read_text())
        return said

    def stop(self, signum: int = signal.SIGINT) -> int:
        """End it as Ctrl-C does.

        Returns:
            Its exit status.
        """
        assert self._process is not None
        self.note_shared_memory()
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.send_signal(signum)
        try:
            status = self._process.wait(STOP_S)
        except psutil.TimeoutExpired:
            print(self.log())
            self.kill()
            raise
        return int(status or 0)

    def kill(self) -> None:
        """End all of it by force."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if self._process is not None:
            self._process.wait(STOP_S)

    def end(self) -> None:
        """End it as Ctrl-C does, which must go well, and delete its folder."""
        status = self.stop()
        self.kill()
        assert status == 0, self.log()
        self.forget()

    def kill_server_alone(self) -> None:
        """`kill -9` of the process that started all others."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_S)

    def _is_ready(self) -> bool:
        assert self._process is not None
        if (status := self._process.poll()) is not None:
            raise RuntimeError(f"zoran serve ended with {status}")
        return (self.folder / "out").read_text().endswith("\n")

    def log(self) -> str:
        """The last of what the server wrote."""
        return (self.folder / "log").read_text(errors="replace")[-8000:]

    # -- what it consists of ------------------------------------------------------------------

    def processes(self) -> list[psutil.Process]:
        """Everything that has a file of this server's folder open: its log is handed down to every child,
        so this finds orphans too."""
        return [p for p in psutil.process_iter() if _works_in(p.pid, self.folder)]

    def process(self, title: str) -> psutil.Process:
        """The process whose command line has this in it, once there is exactly one."""
        found: list[psutil.Process] = []

        def one() -> bool:
            found[:] = [p for p in self.processes() if title in title_of(p)]
            return len(found) == 1

        until(f"there is one process '{title}'", one)
        return found[0]

    def replicas(self, model: str = "local/pocket") -> list[dict[str, Any]]:
        """What the registry knows of the model's replicas: address, secret, pids, load."""
        known = self.control.call("replicas", 15)["replicas"]
        return [replica for replica in known if replica["model"] == model]

    def note_shared_memory(self) -> set[str]:
        """Names of shared memory that belongs to the server now; remembered for `left_behind`."""
        for process in self.processes():
            with contextlib.suppress(OSError):
                maps = Path(f"/proc/{process.pid}/maps").read_text()
                self._shared_memory |= set(_SHARED_MEMORY.findall(maps))
            self._run_dirs |= set(_RUN_DIR.findall(title_of(process)))
        return {name for name in self._shared_memory if Path("/dev/shm", name).exists()}

    def folders(self) -> list[Path]:
        """Where it writes, as far as is known since the last `note_shared_memory`."""
        return [self.folder, *map(Path, self._run_dirs)]

    def left_behind(self) -> dict[str, Any]:
        """What a server that has ended should not have left: processes, shared memory, temporary files."""
        return {
            "processes": [f"{p.pid} {title_of(p)[:100]}" for p in self.processes()],
            "shared memory": sorted(n for n in self._shared_memory if Path("/dev/shm", n).exists()),
            "temporary files": sorted(
                str(p)
                for p in (*self.folder.iterdir(), *map(Path, self._run_dirs))
                if p.is_socket() or (p.name.startswith("zoran-") and p.exists())
            ),
        }

    def forget(self) -> None:
        """Delete its folder, logs and all."""
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- talking to it ------------------------------------------------------------------------

    def zoran(self, *arguments: str, timeout_s: float = WAIT_S) -> "subprocess.CompletedProcess[str]":
        """Run another `zoran` command on this server's state directory."""
        return subprocess.run(
            [str(ZORAN), *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    def ready(self) -> bool:
        """Whether `/ready` answers 200."""
        try:
            with urllib.request.urlopen(f"{self.base_url}/ready", timeout=5) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def engine_metric(self, replica: Mapping[str, Any], name: str) -> float:
        """Sum of one of vLLM's own series, asked of the replica itself."""
        request = urllib.request.Request(
            f"{replica['base_url']}/metrics", headers={"x-zoran-replica-secret": replica["secret"]}
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            lines = response.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(rf"{name}[{{ ]", line))


def environment(folder: Path) -> dict[str, str]:
    """This process's environment without its settings, with `folder` for home and temporary files."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OWN_SETTINGS)}
    return kept | {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "ZORAN_STATE_DIR": str(folder / "state"),
        "ZORAN_MODELS_FILE": str(folder / "models.yaml"),
    }


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def title_of(process: psutil.Process) -> str:
    """Its command line, which Ray and vLLM set to what they do."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline()) or str(process.name())
    return ""


def _works_in(pid: int, folder: Path) -> bool:
    """Whether a process has its working directory or an open file below `folder`."""
    if pid == os.getpid():
        return False
    inside = f"{folder}/"
    if f"{_target(Path(f'/proc/{pid}/cwd'))}/".startswith(inside):
        return True
    with contextlib.suppress(OSError):
        return any(_target(fd).startswith(inside) for fd in Path(f"/proc/{pid}/fd").iterdir())
    return False


def _target(link: Path) -> str:
    with contextlib.suppress(OSError):
        return str(link.readlink())
    return ""
