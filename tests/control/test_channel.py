"""Both ends of the control channel over real sockets."""

import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from zoran_ray.control import Control, ControlServer, Progress
from zoran_ray.errors import (
    AlreadyRunning,
    ConfigError,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
    PermissionDenied,
    Unreachable,
    UpstreamError,
    ZoranError,
)

Call = Callable[..., Awaitable[Any]]


async def load(args: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    progress("loading", args["model"])
    progress("ready", "")
    return {"model": args["model"]}


async def fail(args: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    raise ModelNotFound("No such model.", param="model")


async def crash(args: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    raise RuntimeError("secret detail")


HANDLERS = {"load": load, "fail": fail, "crash": crash}


@asynccontextmanager
async def serving(state_dir: Path, **options: Any) -> AsyncIterator[ControlServer]:
    server = ControlServer(state_dir, options.pop("handlers", HANDLERS), **options)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


def call(state_dir: Path, op: str, deadline_s: float = 10.0, **args: Any) -> Awaitable[Any]:
    return asyncio.to_thread(Control(state_dir).call, op, deadline_s, **args)


async def raw(state_dir: Path, sent: bytes) -> Any:
    reader, writer = await asyncio.open_unix_connection(state_dir / "control.sock")
    writer.write(sent)
    writer.write_eof()
    answer = json.loads(await reader.readline())
    writer.close()
    return answer


async def test_an_operation_is_done_and_its_steps_are_told(tmp_path: Path) -> None:
    steps: list[tuple[str, str]] = []
    async with serving(tmp_path):
        result = await call(tmp_path, "load", model="m", on_progress=lambda *step: steps.append(step))
    assert result == {"model": "m"}
    assert steps == [("loading", "m"), ("ready", "")]


async def test_errors_keep_their_kind(tmp_path: Path) -> None:
    async with serving(tmp_path):
        with pytest.raises(ModelNotFound, match="No such model") as caught:
            await call(tmp_path, "fail")
        with pytest.raises(InvalidRequest, match="known are crash, fail, load"):
            await call(tmp_path, "lod")
    assert caught.value.param == "model"


async def test_a_crash_is_told_without_its_details(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path):
        with pytest.raises(ZoranError, match="its log says why"):
            await call(tmp_path, "crash")
    assert "secret detail" in caplog.text


@pytest.mark.parametrize(
    "sent", [b"", b"\n", b"nonsense\n", b"[]\n", b"\xff\n", b"[" * 60_000 + b"\n", b"x" * 100_000]
)
async def test_nonsense_is_refused(tmp_path: Path, sent: bytes) -> None:
    async with serving(tmp_path):
        answer = await raw(tmp_path, sent)
        assert answer["error"]["code"] == "invalid_value"
        assert await call(tmp_path, "load", model="m") == {"model": "m"}


async def test_only_the_owner_is_listened_to(tmp_path: Path) -> None:
    async with serving(tmp_path, owner_uid=os.getuid() + 1):
        with pytest.raises(PermissionDenied, match="another user"):
            await call(tmp_path, "load", model="m")


async def test_files_are_private(tmp_path: Path) -> None:
    async with serving(tmp_path / "state"):
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "state/control.sock").stat().st_mode) == 0o600


async def test_a_state_directory_has_one_server(tmp_path: Path) -> None:
    async with serving(tmp_path):
        with pytest.raises(AlreadyRunning, match="zoran stop"):
            await ControlServer(tmp_path, HANDLERS).start()
        assert await call(tmp_path, "load", model="m") == {"model": "m"}
    async with serving(tmp_path):
        assert await call(tmp_path, "load", model="m") == {"model": "m"}


async def test_a_socket_that_was_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "control.sock"))
    with pytest.raises(Unreachable):
        await call(tmp_path, "load", model="m")
    async with serving(tmp_path):
        assert await call(tmp_path, "load", model="m") == {"model": "m"}


async def test_long_paths_work(tmp_path: Path) -> None:
    state_dir = tmp_path / ("long" * 30) / ("path" * 30)
    async with serving(state_dir):
        assert await call(state_dir, "load", model="m") == {"model": "m"}
    with pytest.raises(Unreachable):
        await call(state_dir, "load", model="m")


async def test_a_state_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be used as state directory"):
        await ControlServer(tmp_path / "file", HANDLERS).start()


def test_nobody_listens(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing", tmp_path / ("x" * 200)):
        with pytest.raises(Unreachable, match="zoran serve"):
            Control(folder).call("status", 1.0)


async def test_a_result_that_does_not_come(tmp_path: Path) -> None:
    async def hang(args: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    server = ControlServer(tmp_path, {"hang": hang})
    await server.start()
    with pytest.raises(DeadlineExceeded, match="'hang' within"):
        await call(tmp_path, "hang", deadline_s=0.1)
    waiting = asyncio.ensure_future(call(tmp_path, "hang"))
    while len(server._talks) < 2:
        await asyncio.sleep(0)
    await server.close(grace_s=0)
    with pytest.raises(Unreachable, match="went away"):
        await waiting


async def test_closing_lets_answers_out(tmp_path: Path) -> None:
    stopping = asyncio.Event()

    async def stop(args: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        stopping.set()
        return {}

    async with serving(tmp_path, handlers={"stop": stop}):
        answer = asyncio.ensure_future(call(tmp_path, "stop"))
        await stopping.wait()
    assert await answer == {}


async def test_a_client_that_leaves_does_no_harm(tmp_path: Path) -> None:
    gone, done = asyncio.Event(), asyncio.Event()

    async def slow(args: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        await gone.wait()
        for _ in range(10_000):
            progress("step", "x" * 100)
        done.set()
        return {}

    async with serving(tmp_path, handlers={"slow": slow}):
        _, writer = await asyncio.open_unix_connection(tmp_path / "control.sock")
        writer.write(b'{"op": "slow"}\n')
        await writer.drain()
        writer.transport.abort()
        gone.set()
        await done.wait()


@pytest.mark.parametrize("answer", [b"nonsense\n", b"[]\n", b"x" * 2_000_000 + b"\n"])
async def test_an_answer_of_another_protocol(tmp_path: Path, answer: bytes) -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(reply, tmp_path / "control.sock"):
        with pytest.raises(UpstreamError, match="same version"):
            await call(tmp_path, "status")
