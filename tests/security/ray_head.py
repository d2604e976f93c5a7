"""A real Ray head with a token, and what stands around it: what it tells, who joins."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.integration.stack import ZORAN, environment, free_port, until

TOKEN, ANOTHER = "9f" + "3ab1c07e" * 8, "7d" + "51c0ffee" * 8
_RAY = [sys.executable, "-m", "ray.scripts.scripts"]
_START_S = 120.0


@dataclass
class Head:
    """A head that runs.

    Attributes:
        folder: Where it and those who join write.
        port: Of its GCS, on all interfaces.
        variables: The environment with which it was started.
    """

    folder: Path
    port: int
    variables: dict[str, str]

    def run(self, program: str, *arguments: str) -> str:
        """What a Python program prints that gets the head's address, and these, as arguments."""
        command = [sys.executable, "-c", program, f"127.0.0.1:{self.port}", *arguments]
        done = subprocess.run(
            command, env=self.variables, check=True, timeout=90, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    def tells(self, zoran: str, clock_s: float) -> None:
        """Write what a server on the head would."""
        said = json.dumps({"zoran": zoran, "clock_s": clock_s})
        self.run(
            "import sys; from ray._raylet import GcsClient\n"
            "gcs = GcsClient(address=sys.argv[1])\n"
            "gcs.internal_kv_put(b'head', sys.argv[2].encode(), True, b'zoran', 10)\n",
            said,
        )

    @contextmanager
    def telling(self, zoran: str, behind_s: float) -> Iterator[None]:
        """Let a server tell it every second, by a clock that is behind, until the block ends."""
        program = (
            "import json, sys, time; from ray._raylet import GcsClient\n"
            "gcs = GcsClient(address=sys.argv[1])\n"
            "while True:\n"
            "    said = {'zoran': sys.argv[2], 'clock_s': time.time() - float(sys.argv[3])}\n"
            "    gcs.internal_kv_put(b'head', json.dumps(said).encode(), True, b'zoran', 10)\n"
            "    print(flush=True); time.sleep(1)\n"
        )
        command = [sys.executable, "-c", program, f"127.0.0.1:{self.port}", zoran, str(behind_s)]
        with subprocess.Popen(command, env=self.variables, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            server.stdout.readline()
            try:
                yield
            finally:
                server.kill()

    def join(self, token: str) -> "subprocess.CompletedProcess[str]":
        """`zoran cluster join`, which must end by itself."""
        return subprocess.run(
            self.joining(token), env=self.variables, capture_output=True, text=True, timeout=120
        )

    def joining(self, token: str) -> list[str]:
        """Its command line."""
        file = self.folder / "token-here"
        file.write_text(token)
        address = f"127.0.0.1:{self.port}"
        return [str(ZORAN), "cluster", "join", address, f"--token-file={file}", "--wait=5"]


@contextmanager
def ray_head(more: Mapping[str, str] | None = None) -> Iterator[Head]:
    """Start it with these variables besides; ends with the block."""
    with tempfile.TemporaryDirectory(prefix="z", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), free_port()  # short: sockets are in it
        (folder / "token").write_text(TOKEN)
        variables = environment(folder) | {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
            "RAY_USAGE_STATS_ENABLED": "0",
            **(more or {}),
        }
        command = [*_RAY, "start", "--head", "--block", "--num-cpus=1", f"--port={port}"]
        command += ["--include-dashboard=false", "--object-store-memory=83886080"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
        try:
            until("the head is there", lambda: _well(port, variables), _START_S)
            yield Head(folder, port, variables)
        except BaseException:
            print((folder / "log").read_text()[-3000:])
            raise
        finally:
            process.terminate()
            process.wait(60)


def _well(port: int, variables: Mapping[str, str]) -> bool:
    check = [*_RAY, "health-check", f"--address=127.0.0.1:{port}"]
    done = subprocess.run(check, env=dict(variables), capture_output=True, timeout=60)
    return done.returncode == 0
