"""Render, Vercel and Fly.io as servers of our own, for tests.

What they are not: nothing is built, and time passes only when a test says so. They know the requests of the
adapters and the fields that those read; their shapes are from the descriptions that the adapters name.
Whether the real ones still speak so, nobody can tell by them.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

OLD, NEW, UNKNOWN = "a" * 40, "b" * 40, "f" * 40
TOKEN = "a-token-of-nobody"
Answer = tuple[int, Any, dict[str, str]]
Json = dict[str, Any]


class Fault(Exception):
    """A place that behaves otherwise. Args: act: Writes to the peer, or waits for the test's end."""

    def __init__(self, act: Callable[[BaseHTTPRequestHandler, threading.Event], None]) -> None:
        self.act = act


@dataclass
class Render:
    """One service. Source: api-docs.render.com, reference of deploys."""

    deploys: list[Json] = field(default_factory=list)
    queues: bool = False
    """Whether a new deploy is answered with 202 and nothing else."""

    def __post_init__(self) -> None:
        self.add(OLD, "live", "manual")

    def add(self, commit: str, status: str, trigger: str) -> Json:
        number = len(self.deploys) + 1
        made = {
            "id": f"dep-{number}", "commit": {"id": commit, "message": ""}, "status": status,
            "trigger": trigger, "createdAt": f"2026-01-01T00:00:{number:02}Z", "finishedAt": None,
        }  # fmt: skip
        self.deploys.insert(0, made)
        return made

    def settle(self, status: str) -> None:
        """The newest deploy comes to an end."""
        if status == "live":
            for each in self.deploys:
                each["status"] = "deactivated" if each["status"] == "live" else each["status"]
        self.deploys[0]["status"] = status

    def answer(self, method: str, path: str, query: Json, said: Json) -> Answer:
        assert path.startswith("/v1/services/srv-1/")
        match method, path.removeprefix("/v1/services/srv-1/").split("/"):
            case "GET", ["deploys"]:
                return 200, [{"deploy": each, "cursor": each["id"]} for each in self.deploys], {}
            case "GET", ["deploys", name]:
                return next(((200, each, {}) for each in self.deploys if each["id"] == name), (404, {}, {}))
            case "POST", ["deploys"]:
                if said["commitId"] == UNKNOWN:
                    return 400, {"message": f"commit {UNKNOWN} of {TOKEN} not found"}, {}
                made = self.add(said["commitId"], "build_in_progress", "api")
                return (202, None, {}) if self.queues else (201, made, {})
            case "POST", ["rollback"]:
                before = next(each for each in self.deploys if each["id"] == said["deployId"])
                return 201, self.add(before["commit"]["id"], "update_in_progress", "rollback"), {}
        return 404, {}, {}


@dataclass
class Vercel:
    """One project. Source: vercel.com/docs/rest-api."""

    deployments: dict[str, Json] = field(default_factory=dict)
    request: Json | None = None
    staged: bool = False

    def __post_init__(self) -> None:
        self.add(OLD, {})
        self.settle("READY")

    def add(self, commit: str, meta: Json) -> Json:
        name = f"dpl_{len(self.deployments) + 1}"
        self.deployments[name] = {
            "id": name, "uid": name, "url": f"{name}.vercel.app", "readyState": "QUEUED", "state": "QUEUED",
            "target": "production", "aliasAssigned": None, "aliasError": None,
            "createdAt": len(self.deployments) + 1, "meta": {"githubCommitSha": commit, **meta},
        }  # fmt: skip
        return self.deployments[name]

    @property
    def newest(self) -> Json:
        return list(self.deployments.values())[-1]

    def settle(self, state: str) -> None:
        self.newest["readyState"] = state
        if state == "READY":
            self.newest["readySubstate"] = "STAGED" if self.staged else "PROMOTED"
            self.newest["aliasAssigned"] = None if self.staged else 1

    def answer(self, method: str, path: str, query: Json, said: Json) -> Answer:
        assert query["teamId"] == "team_1"
        match method, path.strip("/").split("/"):
            case "GET", ["v9", "projects", "prj_1"]:
                live = [each for each in self.deployments.values() if each["aliasAssigned"]]
                targets = {"production": live[-1]} if live else {}
                return 200, {"id": "prj_1", "targets": targets, "lastAliasRequest": self.request}, {}
            case "GET", ["v6", "deployments"]:
                assert (query["projectId"], query["target"]) == ("prj_1", "production")
                rows = [each for each in self.deployments.values()
                        if each["meta"]["githubCommitSha"] == query["sha"]]  # fmt: skip
                return 200, {"deployments": rows, "pagination": {"count": len(rows)}}, {}
            case "GET", ["v13", "deployments", name]:
                return (200, self.deployments[name], {}) if name in self.deployments else (404, {}, {})
            case "POST", ["v13", "deployments"]:
                source = said["gitSource"]
                assert (source["type"], source["repoId"], source["ref"]) == ("github", "42", "main")
                assert (said["project"], said["target"], said["name"]) == ("prj_1", "production", "shop")
                if source["sha"] == UNKNOWN:
                    return 400, {"error": {"code": "incorrect_git_source_info", "message": TOKEN}}, {}
                return 200, self.add(source["sha"], said["meta"]), {}
            case "POST", ["v1", "projects", "prj_1", "rollback", name]:
                self.request = {"type": "rollback", "toDeploymentId": name, "jobStatus": "in-progress",
                                "fromDeploymentId": self.newest["id"], "requestedAt": 99}  # fmt: skip
                return 201, None, {}
        return 404, {}, {}


@dataclass
class Fly:
    """Three machines, one of which runs no requests. Source: fly.io/docs/machines/api/machines-resource."""

    machines: dict[str, Json] = field(default_factory=dict)
    updates: list[str] = field(default_factory=list)
    stop_after: int | None = None
    """After so many updates the next one is not answered."""

    def __post_init__(self) -> None:
        for name, group in (("1", "app"), ("2", "app"), ("3", "fly_app_release_command")):
            self.machines[name] = {
                "id": name, "state": "started", "instance_id": f"{name}-1", "events": [],
                "config": {"image": f"registry.fly.io/shop:{OLD}", "env": {"A": "1"},
                           "metadata": {"fly_process_group": group}},
                "image_ref": {"registry": "registry.fly.io", "repository": "shop", "digest": "sha256:01"},
                "checks": [{"name": "servicecheck-00-http-8080", "status": "passing"},
                           {"name": "bg_deployments_compat", "status": "critical"}],
            }  # fmt: skip

    def settle(self, status: str) -> None:
        for machine in self.machines.values():
            machine["state"] = "started"
            machine["checks"][0]["status"] = status

    def answer(self, method: str, path: str, query: Json, said: Json) -> Answer:
        match method, path.strip("/").split("/"):
            case "GET", ["v1", "apps", "shop", "machines"]:
                return 200, list(self.machines.values()), {}
            case "POST", ["v1", "apps", "shop", "machines", name]:
                if self.stop_after == len(self.updates):
                    raise Fault(lambda peer, ended: None)
                machine = self.machines[name]
                if said["current_version"] != machine["instance_id"]:
                    return 409, {"status": "aborted", "message": f"version mismatch {TOKEN}"}, {}
                if UNKNOWN in said["config"]["image"]:
                    return 400, {"error": "failed to get manifest"}, {}
                self.updates.append(name)
                machine.update(
                    config=said["config"], state="replacing", instance_id=machine["instance_id"] + "+"
                )
                machine["image_ref"]["digest"] = "sha256:02"
                machine["checks"][0]["status"] = "critical"
                return 200, machine, {}
        return 404, {}, {}


Place = Render | Vercel | Fly


class Served:
    """A place behind HTTP, from `with` to its end. `fault` stands in for its next answers."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.fault: Answer | Fault | None = None
        self.asked: list[str] = []
        self._ended = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                outer._answer(self)

            do_POST = do_GET

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _answer(self, peer: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(peer.path)
        assert TOKEN not in peer.path
        raw = peer.rfile.read(int(peer.headers.get("content-length", 0)))
        self.asked.append(f"{peer.command} {parts.path}")
        try:
            if isinstance(self.fault, Fault):
                raise self.fault
            if peer.headers["authorization"] != f"Bearer {TOKEN}":
                found: Answer = (401, {"error": {"code": "forbidden", "message": "Not authorized"}}, {})
            else:
                found = self.fault or self.place.answer(
                    peer.command,
                    unquote(parts.path),
                    dict(parse_qsl(parts.query)),
                    json.loads(raw or b"{}"),
                )
        except Fault as fault:
            fault.act(peer, self._ended)
            peer.close_connection = True
            return
        status, said, headers = found
        body = b"" if said is None else json.dumps(said).encode()
        peer.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            peer.send_header(name, value)
        peer.end_headers()
        peer.wfile.write(body)

    def __enter__(self) -> "Served":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
