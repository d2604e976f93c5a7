"""Who answers a request, decided by a gateway that knows so many models: plan and replica, all of it local.

The gateway's own router, catalogue, fleet and key ring; the router's picture is that of a real Resonator.
"""

import json
import random
import time
from typing import Any

from benchmarks.cluster.made_up import model_infos, models_file, models_of, replica_infos
from benchmarks.routing.gateway import WORDS
from benchmarks.serving.stats import percentiles
from serve_apps.gateway.arms import Arms
from serve_apps.gateway.conversations import Conversations
from serve_apps.gateway.door import ANYBODY, Door
from serve_apps.gateway.router import Router
from zoran_ray.engines.catalogue import Catalogue
from zoran_ray.engines.fleet import Fleet
from zoran_ray.messages import FleetSnapshot, KeySnapshot
from zoran_ray.offers import AUTO
from zoran_ray.routing import Snapshot
from zoran_ray.routing.live import LiveResonator
from zoran_ray.settings import RoutingSettings
from zoran_ray.wire import Endpoint, Limits, RequestBody, parse

REQUESTS = 1_000


def measure(replicas: int, *, alone: bool, requests: int = REQUESTS) -> dict[str, Any]:
    """Microseconds from a parsed body to the replica that is asked, p50 and p99.

    Args:
        alone: All replicas serve one model; else ten a model.

    Returns:
        `named_us` for a model by its name, `auto_us` for `zoran/auto`.
    """
    models = models_of(replicas, alone=alone)
    fleet, router = _gateway(replicas, models)
    rng = random.Random(4)
    took: dict[str, list[float]] = {"named_us": [], "auto_us": []}
    for _ in range(requests):
        for kind, model in (("named_us", rng.choice(router.names())), ("auto_us", AUTO)):
            body = _body(model, rng)
            began = time.perf_counter_ns()
            chosen = next(router.plan(body, ANYBODY).arms)
            assert fleet.choose(chosen, body.affinity) is not None
            took[kind].append((time.perf_counter_ns() - began) / 1e3)
    return {"replicas": replicas, "models": models} | {kind: percentiles(us) for kind, us in took.items()}


def _gateway(replicas: int, models: int) -> tuple[Fleet, Router]:
    fleet = Fleet(rng=random.Random(7))
    infos = tuple(replica_infos(replicas, models))
    fleet.update(FleetSnapshot("e", 1, models=model_infos(models), replicas=infos))
    file = models_file(models)
    arms = Arms({})
    arms.update(Catalogue(file))
    door = Door(open_without_keys=True)
    door.update(KeySnapshot())
    settings = RoutingSettings()
    router = Router(fleet, arms, door, Conversations(time.monotonic), settings)
    resonator = LiveResonator(settings, "e")
    resonator.follow(file.offers)
    picture: Snapshot | None = resonator.publication()
    assert picture is not None
    router.update(picture)
    return fleet, router


def _body(model: str, rng: random.Random) -> RequestBody:
    said = " ".join(rng.choices(WORDS, k=60))
    body = {"model": model, "messages": [{"role": "user", "content": said}], "max_tokens": 16}
    return parse(json.dumps(body).encode(), Endpoint.CHAT_COMPLETIONS, Limits())
