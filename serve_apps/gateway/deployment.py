"""The gateway as a Serve deployment: puts its parts together and hands Serve the ASGI application."""

import asyncio
import contextlib
import os
import random
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, generate_latest
from ray import serve

from actors.agent_client import RayAgents
from actors.autopilot_client import ask_autopilot
from actors.batch_client import ask_batch
from actors.deployment_sandbox import DeploymentSandbox
from actors.memory_client import memory_client
from actors.names import REGISTRY, RESONATOR, call, plain_errors
from actors.told import Telling, forget_names, tell
from serve_apps.gateway.agents import AgentRouter, Agents
from serve_apps.gateway.arms import Arms
from serve_apps.gateway.asked_actors import ROUTING_SILENT, lease, report, routing_state, wake
from serve_apps.gateway.batch_pages import add_batch_pages
from serve_apps.gateway.built_in import built_in, file_tools, kept_traces
from serve_apps.gateway.conversations import Conversations
from serve_apps.gateway.door import Door
from serve_apps.gateway.embedding import TextEmbedder, memory_key
from serve_apps.gateway.embedding_models import NamedModel
from serve_apps.gateway.exposition import Exposition
from serve_apps.gateway.file_pages import add_file_pages
from serve_apps.gateway.following import Following
from serve_apps.gateway.handle import Gateway
from serve_apps.gateway.incident_pages import add_incident_pages
from serve_apps.gateway.incoming import Receive, Scope, Send
from serve_apps.gateway.inside import ask_inside
from serve_apps.gateway.journal_pages import add_journal_pages
from serve_apps.gateway.lessons import Lessons
from serve_apps.gateway.local_relay import LocalRelay
from serve_apps.gateway.memory_chat import ChatMemory
from serve_apps.gateway.memory_desk import MemoryDesk
from serve_apps.gateway.memory_journal import MemoryJournal
from serve_apps.gateway.memory_pages import add_memory_pages
from serve_apps.gateway.pages import pages
from serve_apps.gateway.privacy_desk import PrivacyDesk
from serve_apps.gateway.privacy_pages import add_privacy_pages
from serve_apps.gateway.privacy_vault import NodeVault
from serve_apps.gateway.prompt_sizes import PromptSizes
from serve_apps.gateway.reporting import Reporting
from serve_apps.gateway.router import Router
from serve_apps.gateway.routing_pages import add_routing_pages
from serve_apps.gateway.spending import Spending
from serve_apps.gateway.strategies import Strategies
from serve_apps.gateway.task_pages import add_task_pages
from serve_apps.gateway.thinking import Thinking
from serve_apps.gateway.thinking_reach import Reach
from serve_apps.gateway.thinking_search import MemorySearch
from serve_apps.gateway.tool_desk import ToolDesk
from serve_apps.gateway.trace_pages import add_trace_pages
from serve_apps.gateway.upstream import Upstream
from serve_apps.gateway.waiting import WaitingRoom
from zoran_ray.access import Limits
from zoran_ray.batch.outcome import Outcome
from zoran_ray.engines.fleet import Fleet
from zoran_ray.engines.vllm.pinning import pin, plan_cores
from zoran_ray.listening import accept_in_groups
from zoran_ray.memory.embedder import chosen
from zoran_ray.memory.rules import rules_of
from zoran_ray.policy import ToolGate
from zoran_ray.privacy import Profiles, vault_folder
from zoran_ray.routing.reports import Scored
from zoran_ray.settings import Settings
from zoran_ray.telemetry import GatewayMetrics, Tracing, configure

# On a saturated machine a lease takes its time; a refusal would cost more.
_LEASE_S = 2.0
_BEAT_S = 1.0
_GRACEFUL_EXIT_S = 30.0
_LAST_WORDS_S = 2.0


class GatewayReplica:
    """One gateway process.

    Args:
        settings: Server limits, log format, tracing endpoint.
        open_without_keys: Whether everybody may come in while no key was ever created.
        pin_to_rest: Keep off the engines' cores where cores are few.
    """

    def __init__(self, settings: Settings, open_without_keys: bool, pin_to_rest: bool) -> None:
        configure(settings.log.format if settings.log.format != "auto" else "json", settings.log.level)
        self._id = f"gw-{uuid.uuid4().hex[:8]}"
        self._settings = settings
        self._fleet = Fleet()
        self._door = Door(open_without_keys=open_without_keys)
        self._limits = Limits(
            lease, time.monotonic, lambda: max(1, self._fleet.snapshot.gateways), _LEASE_S
        )
        self._upstream = Upstream()
        self._arms = Arms(os.environ)
        self._spending = Spending()
        self._reporting = Reporting(report)
        self._conversations = Conversations(time.monotonic)
        self._prometheus = CollectorRegistry()
        self._metrics = GatewayMetrics(self._prometheus)
        self._waiting = WaitingRoom(self._fleet, wake, self._metrics)
        self._vault = NodeVault(settings.privacy, vault_folder(settings.state_dir))
        self._privacy = PrivacyDesk(Profiles(settings.privacy), self._vault, self._metrics)
        self._tracing = Tracing.from_endpoint(settings.otlp_endpoint, "zoran-gateway")
        self._traces = kept_traces(settings.state_dir)
        sandbox = DeploymentSandbox(settings.sandbox, settings.state_dir)
        runner = sandbox if "code" in settings.tools.permissions else None
        strategies = built_in(runner, settings.reasoning.verifiers)
        self._router, roles = self._routers(strategies)
        self._embedder = TextEmbedder(settings.memory, self._embedding_model())
        desk = self._memory_desk()
        self._memory = ChatMemory(desk, self._metrics.memory_lost)
        telling, files = Telling(tell), file_tools(settings)
        policy = ToolGate(settings.autopilot.policy_file)
        self._tools = ToolDesk(
            *(settings.tools, os.environ, telling, self._privacy),
            memory=desk,
            runner=runner,
            policy=policy,
            more=files,
        )
        self._gateway = self._built(self._pages(strategies, roles, desk), desk)
        seen = self._fleet, self._door, self._arms, self._router, self._waiting
        self._following = Following(*seen, self._metrics)
        self._tasks: list[asyncio.Task[Any]] = []
        if pin_to_rest:
            pin([os.getpid()], plan_cores(os.sched_getaffinity(0), "auto").rest)

    def _routers(self, strategies: Strategies) -> tuple[Router, AgentRouter]:
        """What chooses among models, and what chooses among roles."""
        settings, draw = self._settings, random.random
        seen = self._fleet, self._arms, self._door, self._conversations, settings.routing, draw
        searches = settings.agents.folder is not None
        agents = Agents(RayAgents(settings), searches, self._privacy.passes)
        roles = AgentRouter(*seen, strategies, agents)
        return Router(*seen, strategies, roles), roles

    def _embedding_model(self) -> NamedModel:
        """The model of the memory's vectors, asked as any other."""
        return NamedModel(
            chosen(self._settings.memory).id,
            fleet=self._fleet,
            upstream=self._upstream,
            waiting=self._waiting,
            arms=self._arms,
            spending=self._spending,
            mask=self._privacy.shown_for_good,
        )

    def _memory_desk(self) -> MemoryDesk:
        rules, journal = rules_of(self._settings.memory_file), MemoryJournal(tell, forget_names)
        forget = self._traces.forget_all
        return MemoryDesk(memory_client(), self._embedder, journal, rules, traces=forget)

    def _pages(self, strategies: Strategies, roles: AgentRouter, desk: MemoryDesk) -> FastAPI:
        """Everything that asks no model."""
        door, settings = self._door, self._settings
        server, sentry = settings.server, settings.autopilot.sentry
        exposition = Exposition(self._id, self._fleet, lambda: generate_latest(self._prometheus).decode())
        app = pages(self._fleet, self._arms, door, exposition.text, strategies)
        add_routing_pages(app, door, self._router, server, self._score, routing_state, roles)
        add_privacy_pages(app, door, self._privacy, server)
        add_journal_pages(app, door)
        add_file_pages(app, door, ask_batch, server)
        add_batch_pages(app, door, ask_batch, server)
        add_task_pages(app, door, ask_autopilot, server)
        add_incident_pages(app, door, ask_autopilot, sentry, server)
        add_memory_pages(app, door, desk, server)
        add_trace_pages(app, door, self._traces)
        return app

    def _built(self, app: FastAPI, desk: MemoryDesk) -> Gateway:
        """The path of a request, from the parts that are there."""
        reach = Reach(self._fleet, self._upstream, self._waiting, self._arms, PromptSizes())
        return Gateway(
            self._settings.server,
            fleet=self._fleet,
            door=self._door,
            limits=self._limits,
            router=self._router,
            local=LocalRelay(self._fleet, self._upstream, self._waiting),
            arms=self._arms,
            spending=self._spending,
            lessons=Lessons(self._reporting, self._conversations),
            privacy=self._privacy,
            metrics=self._metrics,
            tracing=self._tracing,
            pages=app,
            memory=self._memory,
            thinking=Thinking(reach, self._traces, self._tools, MemorySearch(desk, self._privacy)),
        )

    async def __serve_build_asgi_app__(self) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
        """Called by Serve inside the replica's event loop, before the first request."""
        accept_in_groups()
        self._upstream.start()
        await self._following.first()
        loops = (
            *(self._following.run, self._beat, self._gateway.sweep, self._limits.run),
            *(self._spending.run, self._reporting.run),
            *(self._vault.keep_swept, self._memory.run, self._traces.run, self._tools.run),
        )
        self._tasks = [asyncio.create_task(loop()) for loop in loops]
        gateway = self._gateway

        # A plain function: Serve takes a bound method for an ASGI 2 application.
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                await _lifespan(receive, send)
                return
            await gateway(scope, receive, send)

        return app

    async def embed(self, texts: list[str], tenant: str) -> list[bytes]:
        """Vectors of the memory's embedder, for actors; see `TextEmbedder`. The deployment pays."""
        return await self._embedder(texts, memory_key(tenant))

    async def ask(self, path: str, body: bytes, key_id: str, request_id: str) -> Outcome:
        """Answers one request in the name of a key, for actors; see `ask_inside`."""
        return await ask_inside(self._gateway, path, body, key_id, request_id)

    async def check_health(self) -> None:
        """Serve's probe: raises if one of the loops has ended."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def _score(self, scored: Scored) -> str:
        """Give a score to the Resonator, behind all outcomes that this gateway has for it."""
        with contextlib.suppress(Exception):
            await self._reporting.flush()
        with plain_errors(ROUTING_SILENT):
            counted: str = await call(RESONATOR, "score", scored)
        return counted

    async def _beat(self) -> None:
        """Tell the registry that this gateway is there, and what it has counted."""
        while True:
            with contextlib.suppress(Exception):
                self._metrics.map_entries.labels("replicas").set(len(self._fleet))
                self._metrics.map_entries.labels("limited_keys").set(len(self._limits))
                text = generate_latest(self._prometheus).decode()
                await call(REGISTRY, "gateway_heartbeat", self._id, text)
            await asyncio.sleep(_BEAT_S)

    async def __del__(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._spending.flush(_LAST_WORDS_S)
        says = self._reporting.flush, self._memory.flush, self._traces.last_words, self._tools.last_words
        for last_words in (*says, self._tools.close):
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_LAST_WORDS_S):
                    await last_words()
        self._privacy.close()
        await self._upstream.close()
        await self._arms.close()
        self._tracing.close()


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def gateway_app(settings: Settings, *, open_without_keys: bool, pin_to_rest: bool) -> serve.Application:
    """The Serve application of the public endpoint."""
    deployment = serve.deployment(
        serve.ingress()(GatewayReplica),
        name="gateway",
        num_replicas=settings.server.gateways,
        # Its own account says more; Serve's line for each request costs 8 % of a request.
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
        # The gateway's own admission refuses with a proper body; Serve's must never come first.
        max_ongoing_requests=1_000_000,
        health_check_period_s=1,
        health_check_timeout_s=10,
        graceful_shutdown_timeout_s=_GRACEFUL_EXIT_S,
        graceful_shutdown_wait_loop_s=0.1,
        ray_actor_options={"num_cpus": 0},
    )
    return deployment.bind(settings, open_without_keys, pin_to_rest)
