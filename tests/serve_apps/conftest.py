"""A gateway under uvicorn in front of replicas with vLLM's wire format, all in the test's own loop."""

import asyncio
import contextlib
import json
import logging
import random
import time
from dataclasses import dataclass

import httpx
import pytest
import uvicorn
from prometheus_client import CollectorRegistry, generate_latest
from uvicorn.server import ServerState

from actors.access import AccessAuthority
from actors.told import Telling
from serve_apps.gateway.agents import AgentRouter, Agents
from serve_apps.gateway.arms import Arms
from serve_apps.gateway.conversations import Conversations
from serve_apps.gateway.door import Door
from serve_apps.gateway.handle import Gateway
from serve_apps.gateway.lessons import Lessons
from serve_apps.gateway.local_relay import LocalRelay
from serve_apps.gateway.pages import pages
from serve_apps.gateway.privacy_desk import PrivacyDesk
from serve_apps.gateway.privacy_pages import add_privacy_pages
from serve_apps.gateway.privacy_vault import NodeVault
from serve_apps.gateway.prompt_sizes import PromptSizes
from serve_apps.gateway.reporting import Reporting
from serve_apps.gateway.router import Router
from serve_apps.gateway.routing_pages import add_routing_pages
from serve_apps.gateway.spending import Spending
from serve_apps.gateway.strategies import NONE
from serve_apps.gateway.thinking import Thinking
from serve_apps.gateway.thinking_reach import Reach
from serve_apps.gateway.tool_desk import ToolDesk
from serve_apps.gateway.trace_folder import TraceFolder, traces_folder
from serve_apps.gateway.trace_pages import add_trace_pages
from serve_apps.gateway.traces import Traces
from serve_apps.gateway.upstream import Upstream
from serve_apps.gateway.waiting import WaitingRoom
from tests.serve_apps.fake_replica import FakeReplica
from tests.serve_apps.forgotten_stage import ForgottenHere
from zoran_ray.access import UNLIMITED, Ledger, Limits
from zoran_ray.engines.catalogue import Catalogue
from zoran_ray.engines.fleet import Fleet
from zoran_ray.messages import FleetSnapshot, KeySnapshot, ModelInfo, ReplicaInfo, ReplicaLoad
from zoran_ray.models_file import ModelsFile, ModelSpec
from zoran_ray.offers import ArmSpec
from zoran_ray.privacy import Profiles, vault_folder
from zoran_ray.settings import PrivacySettings, RoutingSettings, ServerSettings, ToolSettings
from zoran_ray.telemetry import GatewayMetrics, Tracing

MODEL = "local/m"
CANARY = "canary-8d41f7"
"""Part of every replica's secret; must never be seen by a client or in a log."""
PATIENCE_S = 10.0


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """OpenAI's error code; checks the error object on the way."""
        error = self.json["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return error["code"]


class Stack:
    """One gateway and its replicas.

    Args:
        folder: For the ledger of budgets.
        budget: Of the deployment.
        privacy: `PrivacySettings`, the defaults if None.
        strategies: Those that are models.
        agents: Facts of `Agents`: its link, and whether there is a folder; none if None.
        tools: Options of `ToolDesk`.
        settings: Fields of `ServerSettings`.
    """

    def __init__(
        self,
        folder,
        open_without_keys=True,
        budget=UNLIMITED,
        environ=None,
        privacy=None,
        strategies=NONE,
        agents=None,
        tools=None,
        **settings,
    ):
        self.fleet = Fleet(rng=random.Random(7))
        self.door = Door(open_without_keys=open_without_keys)
        self.door.update(KeySnapshot())
        self.ledger = Ledger(time.monotonic, "epoch")
        self.limits = Limits(self._lease, time.monotonic, lambda: 1, deadline_s=PATIENCE_S)
        self.upstream, self.woken = Upstream(), []
        self.registry = CollectorRegistry()
        self.metrics = GatewayMetrics(self.registry)
        self.waiting = WaitingRoom(self.fleet, self._wake, self.metrics)
        self.arms = Arms(environ or {})
        self.authority = AccessAuthority(folder / "keys.sqlite", budget)
        self.spending = Spending(self._authority)
        self.reports = []
        self.reporting = Reporting(self._report)
        conversations = Conversations(time.monotonic)
        self.draws = random.Random(7)
        profiles = Profiles(privacy or PrivacySettings())
        self.privacy = PrivacyDesk(
            profiles, NodeVault(privacy or PrivacySettings(), vault_folder(folder)), self.metrics
        )
        seen = self.fleet, self.arms, self.door, conversations, RoutingSettings(), self.draws.random
        self.roles = agents and AgentRouter(*seen, strategies, Agents(*agents, self.privacy.passes))
        self.router = Router(*seen, strategies, self.roles)
        self.state = {}
        server = ServerSettings(**settings)
        app = pages(self.fleet, self.arms, self.door, self._exposition, strategies)
        add_routing_pages(app, self.door, self.router, server, self._score, self._state, self.roles)
        add_privacy_pages(app, self.door, self.privacy, server)
        self.told = []
        self.trace_folder = TraceFolder(traces_folder(folder))
        self.forgotten = ForgottenHere(folder)
        self.traces = Traces(self.trace_folder, Telling(self._tell), self.forgotten)
        add_trace_pages(app, self.door, self.traces)
        options = {"settings": ToolSettings(), **(tools or {})}
        self.tool_calls = Telling(self._tell)
        self.tools = ToolDesk(
            environ=environ or {}, telling=self.tool_calls, privacy=self.privacy, **options
        )
        reach = Reach(self.fleet, self.upstream, self.waiting, self.arms, PromptSizes())
        self.gateway = Gateway(
            server,
            fleet=self.fleet,
            door=self.door,
            limits=self.limits,
            router=self.router,
            local=LocalRelay(self.fleet, self.upstream, self.waiting),
            arms=self.arms,
            spending=self.spending,
            lessons=Lessons(self.reporting, conversations),
            privacy=self.privacy,
            metrics=self.metrics,
            tracing=Tracing(),
            pages=app,
            thinking=Thinking(reach, self.traces, self.tools),
        )
        self.model = {"queue_timeout_s": PATIENCE_S}
        self.replicas, self._loads, self.answers = {}, {}, []

    async def __aenter__(self):
        self.upstream.start()
        config = uvicorn.Config(self.gateway, log_config=None, ws="none", access_log=False)
        config.load()
        # uvicorn's protocol without its main loop, whose naps would take most of a test's time.
        self.uvicorn = ServerState()
        self._server = await asyncio.get_running_loop().create_server(
            lambda: config.http_protocol_class(config, self.uvicorn, {}), "127.0.0.1", 0
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", timeout=PATIENCE_S, verify=False, trust_env=False
        )
        self.publish()
        return self

    async def __aexit__(self, *exc):
        await self._client.aclose()
        for replica in self.replicas.values():
            await replica.stop()
        self._server.close()
        for connection in self.uvicorn.connections:
            connection.transport.abort()
        await asyncio.gather(*self.uvicorn.tasks)
        await self.spending.flush(PATIENCE_S)
        await self.tools.close()
        self.privacy.close()
        await self.upstream.close()
        self.forgotten.close()
        await self.arms.close()

    async def replica(self, replica_id="r1", running=0, *, dead=False):
        """A replica of the model that says it runs `running` requests; a dead one's port is closed."""
        replica = await FakeReplica(replica_id).start()
        self.replicas[replica_id], self._loads[replica_id] = replica, running
        if dead:
            await replica.stop()
        self.publish()
        return replica

    def publish(self, **fields):
        """Let the gateway see the model, with other fields if given, and all replicas."""
        self.model.update(fields)
        model = ModelInfo(MODEL, ("m",), "g1", "app", "embedded", "A model.", 5, **self.model)
        infos = tuple(
            ReplicaInfo(
                name, MODEL, "g1", f"http://127.0.0.1:{replica.port}", f"{CANARY}-{name}", 8, 2048,
                ("generate",), load=ReplicaLoad(running=self._loads[name]),
            )
            for name, replica in self.replicas.items()
        )  # fmt: skip
        snapshot = FleetSnapshot("epoch", 1, models={MODEL: model}, replicas=infos)
        self.fleet.update(snapshot)
        self.metrics.observe_fleet(snapshot)
        self.waiting.notify()

    async def post(self, path, body, headers=None, method="POST"):
        """One request; a dict becomes JSON."""
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        got = await self._client.request(method, path, content=content, headers=headers)
        answer = Answer(got.status_code, dict(got.headers), got.content)
        self.answers.append(answer)
        return answer

    async def get(self, path, headers=None):
        return await self.post(path, None, headers, "GET")

    async def chat(self, headers=None, **fields):
        body = {"model": "m", "messages": [{"role": "user", "content": "2+2"}], **fields}
        return await self.post("/v1/chat/completions", body, headers)

    def counted(self, name, **labels):
        """A metric's value, 0 if it was never touched."""
        return self.registry.get_sample_value(name, labels) or 0

    def held(self):
        """Requests this gateway counts on its replicas."""
        return sum(seat.mine for seat in self.fleet._seats.values())

    def catalogue(self, *arms, **prices):
        """Give the gateway these arms (dicts of `ArmSpec`), and the local model with these prices."""
        local = {"name": "m", "context_tokens": 2048, **prices}
        file = ModelsFile(models=(ModelSpec(**local),), arms=tuple(ArmSpec(**arm) for arm in arms))
        self.arms.update(Catalogue(file))
        self.metrics.observe_catalogue([arm["name"] for arm in arms])

    async def reported(self):
        """What the Resonator was told so far."""
        await self.reporting.flush()
        return self.reports

    async def _authority(self, actor, method, *args, timeout_s=PATIENCE_S):
        assert actor == "access"
        return await getattr(self.authority, method)(*args)

    async def _report(self, batch):
        self.reports += batch

    async def _tell(self, events, durable=True):
        self.told += events
        return len(self.told)

    async def _score(self, scored):
        await self.reporting.flush()
        self.reports.append(scored)
        return "counted"

    async def _state(self):
        return self.state

    async def _lease(self, asks, settlements):
        return self.ledger.lease(asks, settlements)

    async def _wake(self, model):
        self.woken.append(model.app)

    async def _exposition(self):
        return generate_latest(self.registry).decode()


class _Log(logging.Handler):
    """Everything that is logged, `extra` fields included."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.lines = []

    def emit(self, record):
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        self.lines.append(f"{record.getMessage()} {vars(record)} {trace}")


@pytest.fixture
async def make_stack(tmp_path):
    """Starts gateways; afterwards nothing they said may hold a replica's secret or address."""
    log, root = _Log(), logging.getLogger()
    level = root.level
    root.addHandler(log)
    root.setLevel(logging.DEBUG)
    stacks = []
    async with contextlib.AsyncExitStack() as running:

        async def make(**settings):
            folder = tmp_path / str(len(stacks))
            folder.mkdir(mode=0o700)
            stacks.append(await running.enter_async_context(Stack(folder, **settings)))
            return stacks[-1]

        yield make
    root.removeHandler(log)
    root.setLevel(level)
    for stack in stacks:
        said = [f"{a.headers} {a.body!r}" for a in stack.answers] + log.lines + [await stack._exposition()]
        for secret in (CANARY, *(f"127.0.0.1:{replica.port}" for replica in stack.replicas.values())):
            assert not [text for text in said if secret in text]
        assert stack.held() == 0
        assert stack.counted("zoran_requests_inflight") == 0


@pytest.fixture
async def stack(make_stack):
    return await make_stack()
