"""A zoran cluster of several hosts: Redis, a head and workers, each started by our own commands.

Who runs a node restarts it when it ends, as systemd, Docker or KubeRay do; so does every host here. Knows
the command line, the ports and the files; nothing of the server's insides.
"""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from tests.cluster_hosts.network import WAIT_S, Host, Switch
from tests.cluster_hosts.scripted import ARM
from tests.waiting import until
from zoran_ray.autopilot.demo import demo_repository
from zoran_ray.control import Control
from zoran_ray.errors import ZoranError

ROOT = Path(__file__).parents[2]
PORT = 8080
REDIS_PORT = 6379
GCS_PORT = 6380
WORKERS = ("alpha", "beta")
START_S = 450.0
REQUEST_S = 30.0
"""Deadline of a request, as the server is told."""
SHOP = "/mnt/shop"
"""A repository on the head, which tasks are about."""
STATE_BYTES = 256 * 1024**2
"""What the head's state may take; it has the journal."""
RESTART_S = 1
JOINS_S = 120.0
LEAVE_S = 90.0
MODEL: dict[str, Any] = {
    "name": "pocket",
    "source": "embedded",
    # Each worker says that it has one GPU; so a replica belongs on each, whatever else is free.
    "num_gpus": 1,
    "num_cpus": 0.5,
    "pin_cores": "off",
    # Nothing is compiled, as in the image `cpu`: a minute less at each start, slower answers.
    "engine_args": {"gpu_memory_utilization": 0.1, "max_num_seqs": 8, "enforce_eager": True},
    "env": {"VLLM_CPU_KVCACHE_SPACE": "1"},
    "scaling": {"min_replicas": 2, "max_replicas": 2},
    "queue_timeout_s": 25,
    "drain_timeout_s": 20,
}
_ZORAN = (sys.executable, "-m", "zoran_ray.cli")
_AGAIN = (
    f'while [ ! -e /mnt/leaves ]; do "$@"; echo "--- ended with $?, once more" >&2; sleep {RESTART_S}; done'
)


class Town:
    """The hosts and what runs on them.

    Args:
        switch: The network.
        models: Those of the models file.
        settings: More `ZORAN_*` variables of the head.
    """

    def __init__(
        self,
        switch: Switch,
        models: tuple[dict[str, Any], ...] = (MODEL,),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.switch = switch
        self.hosts: dict[str, Host] = {}
        self._holders: list[subprocess.Popen[bytes]] = []
        self._models = models
        self._settings = dict(settings or {})
        self._token, self._password = secrets.token_hex(32), secrets.token_hex(32)
        self.key = ""
        self.began = 0.0

    # -- life -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start all of it at once, as machines that get current again; returns without waiting."""
        self.began = time.monotonic()
        self._start_redis()
        head = self._host("head", {"state": STATE_BYTES})
        demo_repository(head.disk / Path(SHOP).name)
        self.configure(*self._models)
        self.key = self._make_key()
        self.start_head()
        for name in WORKERS:
            self.start_worker(name)

    def configure(self, *models: dict[str, Any]) -> None:
        """Write the models file; a server that runs reads it again by itself."""
        path = self.hosts["head"].disk / "models.yaml"
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps({"models": models, "arms": [ARM]}))
        draft.replace(path)

    def close(self) -> None:
        """Switch every host off."""
        for host in self.hosts.values():
            host.power_off()
        for holder in self._holders:
            holder.wait(WAIT_S)

    def start_head(self) -> None:
        """`zoran cluster head`, again and again."""
        redis = f"{self.hosts['redis'].address}:{REDIS_PORT}"
        options = [f"--port={GCS_PORT}", f"--redis={redis}", "--redis-password-file=/mnt/redis_password"]
        self._keep_running("head", "head", *options)

    def add_worker(self, name: str) -> None:
        """One more host; returns once it has joined."""
        if name in self.hosts and not self.hosts[name].on:
            self.power_on(name)
        else:
            self.start_worker(name)
        until(f"{name} has joined", lambda: bool(self.hosts[name].named("raylet/raylet")), JOINS_S, 0.5)

    def start_worker(self, name: str) -> Host:
        """A host that joins the cluster, again and again."""
        host = self._host(name)
        self._keep_running(name, "join", f"{self.hosts['head'].address}:{GCS_PORT}", "--wait=120")
        return host

    def power_off(self, name: str) -> None:
        """All of that host dies at once."""
        self.hosts[name].power_off()

    def power_on(self, name: str) -> None:
        """A worker that boots again joins again."""
        (self.hosts[name].disk / "leaves").unlink(missing_ok=True)
        self.hosts[name].power_on()
        self.start_worker(name)

    def leave(self, name: str) -> None:
        """Take a worker out in order: its node is asked to end, and is not started again."""
        host = self.hosts[name]
        (host.disk / "leaves").touch()
        for process in host.named("ray.scripts.scripts start"):
            process.terminate()
        until(f"{name} has left", lambda: not host.named("raylet/raylet"), LEAVE_S)

    def restore(self) -> None:
        """Undo what a test may have left undone when it broke off."""
        for name, host in self.hosts.items():
            host.plug()
            if not host.on and name in WORKERS:
                self.power_on(name)
        if not self.hosts["redis"].named("redis-server"):
            self.start_redis()

    def _start_redis(self) -> None:
        host = self._host("redis")
        (host.disk / "redis.conf").write_text(
            f"bind 0.0.0.0\nport {REDIS_PORT}\nprotected-mode no\nrequirepass {self._password}\n"
            "appendonly yes\ndir /mnt\n"
        )
        self.start_redis()

    def start_redis(self) -> None:
        """Redis with what it had on disk."""
        host = self.hosts["redis"]
        argv = ["redis-server", "/mnt/redis.conf"]
        self._holders.append(host.start(argv, self.environment("redis"), self.log_file("redis")))

    def _host(self, name: str, sizes: Mapping[str, int] | None = None) -> Host:
        """The host of this name, switched on, with the secrets on its disk."""
        if name not in self.hosts:
            self.hosts[name] = self.switch.host(name, sizes)
            for file, text in (("ray_token", self._token), ("redis_password", self._password)):
                path = self.hosts[name].disk / file
                path.touch(mode=0o600)
                path.write_text(text)
        return self.hosts[name]

    def _keep_running(self, name: str, command: str, *options: str) -> None:
        argv = [*_ZORAN, "cluster", command, *options, "--token-file=/mnt/ray_token"]
        scripted = [sys.executable, "-m", "tests.cluster_hosts.scripted"]
        for program in (scripted, ["sh", "-c", _AGAIN, "sh", *argv]):
            started = self.hosts[name].start(program, self.environment(name), self.log_file(name))
            self._holders.append(started)

    # -- commands -------------------------------------------------------------------------------

    def environment(self, name: str) -> dict[str, str]:
        """What a command of that host finds in its environment."""
        gpus = "1" if name not in ("head", "redis") else "0"
        found = {
            "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": str(ROOT),
            "HOME": "/mnt/home",
            "LANG": os.environ.get("LANG", "C.UTF-8"),
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "ZORAN_STATE_DIR": "/mnt/state",
            "ZORAN_CLUSTER__NUM_CPUS": "4",
            "ZORAN_CLUSTER__NUM_GPUS": gpus,
        }
        if name == "head":
            found |= {
                "ZORAN_MODELS_FILE": "/mnt/models.yaml",
                "ZORAN_SERVER__HOST": "0.0.0.0",
                "ZORAN_SERVER__PORT": str(PORT),
                "ZORAN_SERVER__GATEWAYS": "3",
                "ZORAN_SERVER__REQUEST_TIMEOUT_S": str(REQUEST_S),
                "ZORAN_AUTOPILOT__PATHS": json.dumps([SHOP]),
                "ZORAN_AUTOPILOT__LEASE_S": "5",
                **self._settings,
            }
        return found

    def zoran(self, *arguments: str, timeout_s: float = 60.0) -> "subprocess.CompletedProcess[str]":
        """Run a `zoran` command on the head."""
        return self.hosts["head"].run([*_ZORAN, *arguments], self.environment("head"), timeout_s)

    def _make_key(self) -> str:
        done = self.zoran("keys", "create", "tests")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    # -- what can be seen -----------------------------------------------------------------------

    def url(self, name: str) -> str:
        """Where that host answers."""
        return f"http://{self.hosts[name].address}:{PORT}"

    def client(self, name: str, timeout_s: float = REQUEST_S + 10) -> httpx.Client:
        """Asks that host, with a key."""
        return httpx.Client(
            base_url=self.url(name), timeout=timeout_s, headers={"authorization": f"Bearer {self.key}"}
        )

    def answers(self, name: str) -> bool:
        """Whether that host answers a question now."""
        with suppress(httpx.HTTPError), self.client(name, 10) as client:
            return client.post("/v1/chat/completions", json=question(2, 3)).status_code == 200
        return False

    def replicas(self) -> list[dict[str, Any]]:
        """What the registry knows of replicas; nothing while it does not answer."""
        with suppress(ZoranError):
            # The socket is a file, and the head's disk is a folder of ours.
            found: list[dict[str, Any]] = Control(self.hosts["head"].disk / "state").call("replicas", 15)[
                "replicas"
            ]
            return found
        return []

    def models_read(self) -> int:
        """How often the server has read its models file."""
        found = Control(self.hosts["head"].disk / "state").call("models", 20)
        return int(found["models_file"]["version"])

    def starts(self) -> int:
        """How often the head has become ready."""
        return self.log_file("head").read_text(errors="replace").count("Ready at ")

    def engine_count(self, name: str, series: str) -> float:
        """One of vLLM's own series, of the replica on that host."""
        (row,) = (row for row in self.serving() if self.hosts[name].address in row["base_url"])
        secret = {"x-zoran-replica-secret": row["secret"]}
        text = httpx.get(f"{row['base_url']}/metrics", headers=secret, timeout=10).text
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(series + "{")
        )

    def log_file(self, name: str) -> Path:
        """What the commands of that host have printed."""
        return self.switch.folder / f"{name}.log"

    def told(self) -> str:
        """The last of what each host printed, for a test that failed."""
        parts = []
        for name in self.hosts:
            with suppress(OSError):
                parts.append(f"== {name}\n{self.log_file(name).read_text(errors='replace')[-3000:]}")
        return "\n".join(parts)

    def whole(self, entries: tuple[str, ...], replicas: int = 2) -> bool:
        """Whether each of these hosts answers, and as many replicas serve."""
        return all(map(self.answers, entries)) and len(self.serving()) == replicas

    def serving(self) -> list[dict[str, Any]]:
        """Replicas that take requests."""
        return [row for row in self.replicas() if row["state"] == "ready"]

    def until_whole(self, entries: tuple[str, ...] = ("head", *WORKERS), replicas: int = 2) -> float:
        """Wait for `whole`. Returns: seconds."""
        return until("the cluster is whole", lambda: self.whole(entries, replicas), START_S, 0.5)


def question(one: int, other: int) -> dict[str, Any]:
    """A request for a sum."""
    return {
        "model": "local/pocket",
        "messages": [{"role": "user", "content": f"What is {one}+{other}?"}],
        "temperature": 0,
        "max_tokens": 8,
    }
