"""`Zoran`: the runtime as a Python object, on a server that runs or on one it starts for itself."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from zoran_ray.client import AsyncClient, Client
from zoran_ray.errors import ZoranError

_STOP_S = 60.0


class EmbeddedServer:
    """A server of our own on a free port of this machine, in processes of its own.

    Nothing of it runs in the caller's process: Ray keeps its threads, signals and environment to itself.

    Args:
        models: As for `zoran serve --model`; empty for the embedded model.
        start_timeout_s: Longest wait until it answers, in seconds.

    Raises:
        ZoranError: It did not start; carries what it said.
    """

    def __init__(self, models: Sequence[str] = (), start_timeout_s: float = 900.0) -> None:
        self._state_dir = Path(tempfile.mkdtemp(prefix="zoran-embedded-"))
        self._log = (self._state_dir / "serve.log").open("w+b")
        command = [sys.executable, "-m", "zoran_ray.cli", "serve", "--json", "--port", str(_free_port())]
        command += ["--state-dir", str(self._state_dir), *(f"--model={model}" for model in models)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True)
        try:
            self.url = self._await_url(start_timeout_s)
        except BaseException:
            self.close()
            raise

    def _await_url(self, timeout_s: float) -> str:
        assert self._process.stdout is not None
        said: list[str] = []
        reader = threading.Thread(target=_read_line, args=(self._process.stdout, said), daemon=True)
        reader.start()
        reader.join(timeout_s)
        if not said or not said[0].strip():
            raise ZoranError(f"The embedded server did not start: {self._last_words()}")
        return str(json.loads(said[0])["url"])

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing in time"

    def close(self) -> None:
        """End it and everything it started."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._log.close()
        shutil.rmtree(self._state_dir, ignore_errors=True)


def _read_line(stream: IO[str], into: list[str]) -> None:
    into.append(stream.readline())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Zoran(Client):
    """Asks models; starts what it needs.

    Args:
        base_url: A server that runs; None starts one for as long as this object lives.
        api_key: Key of that server.
        models: What an own server serves, as for `zoran serve --model`.
        options: As for `Client`.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        models: Sequence[str] = (),
        **options: Any,
    ) -> None:
        self._server = EmbeddedServer(models) if base_url is None else None
        super().__init__(base_url or (self._server.url if self._server else ""), api_key, **options)

    def close(self) -> None:
        """Close all connections, and the server if it is our own."""
        super().close()
        if self._server is not None:
            self._server.close()


class AsyncZoran(AsyncClient):
    """The asynchronous twin of `Zoran`. Making one without `base_url` blocks until its server is there."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        models: Sequence[str] = (),
        **options: Any,
    ) -> None:
        self._server = EmbeddedServer(models) if base_url is None else None
        super().__init__(base_url or (self._server.url if self._server else ""), api_key, **options)

    async def close(self) -> None:
        """Close all connections, and the server if it is our own."""
        await super().close()
        if self._server is not None:
            self._server.close()
