"""Composes the Serve applications: one for the gateway, one for each generation of each model."""

import logging
import time
import uuid
from collections.abc import Collection
from typing import Any

from serve_apps.gateway.deployment import gateway_app
from serve_apps.vllm_replica import replica_app
from zoran_ray.engines.offering import fingerprint
from zoran_ray.messages import ModelInfo
from zoran_ray.models_file import ModelSpec
from zoran_ray.settings import Settings

GATEWAY_APP = "gateway"
_MODEL_APP = "model-"


def start_serve(settings: Settings) -> None:
    """Start Serve's controller and its proxy."""
    from ray import serve
    from ray.serve.config import HTTPOptions

    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    serve.start(
        proxy_location="HeadOnly" if settings.cluster.address is None else "EveryNode",
        http_options=HTTPOptions(host=settings.server.host, port=settings.server.port),
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
    )


def shut_serve_down() -> None:
    """End Serve with all its applications; waits until they are gone."""
    from ray import serve

    serve.shutdown()


def deploy_gateway(settings: Settings, *, pin: bool) -> None:
    """Deploy the gateway without waiting for it."""
    app = gateway_app(settings, open_without_keys=settings.server.loopback, pin_to_rest=pin)
    _run(app, GATEWAY_APP, route_prefix="/")


def models_left() -> frozenset[str]:
    """Generations that a server before has left running in this cluster; blocks for a moment."""
    from ray import serve

    applications = serve.status().applications.items()
    names = (name for name, app in applications if app.status not in ("DELETING", "DEPLOY_FAILED"))
    return frozenset(name.removeprefix(_MODEL_APP) for name in names if name.startswith(_MODEL_APP))


def model_app(generation: str) -> str:
    """Name of a generation's application."""
    return f"{_MODEL_APP}{generation}"


def describe(spec: ModelSpec, description: str, left: Collection[str] = ()) -> ModelInfo:
    """The model as a generation: one of `left` that runs with these settings, or a new one.

    Args:
        description: One line about it, if its specification has none.
        left: Generations that a server before has left running.
    """
    mark = fingerprint(spec)
    known = next((each for each in left if each.startswith(mark)), None)
    generation = known or mark + uuid.uuid4().hex[:8]
    adapters = (_adapter_name(a) for a in spec.engine_args.get("lora_modules") or ())
    return ModelInfo(
        name=spec.public_name,
        aliases=(spec.name, *(a for a in adapters if a)),
        generation=generation,
        app=model_app(generation),
        source=spec.source,
        description=spec.description or description,
        created=int(time.time()),
        min_replicas=spec.scaling.min_replicas,
        queue_limit=spec.queue_limit,
        queue_timeout_s=spec.queue_timeout_s,
    )


def _adapter_name(adapter: Any) -> str:
    """Name of a LoRA adapter in either of vLLM's notations, `name=path` or a mapping."""
    return str(adapter.get("name", "")) if isinstance(adapter, dict) else str(adapter).split("=", 1)[0]


def deploy_model(spec: ModelSpec, model: ModelInfo, settings: Settings) -> None:
    """Deploy the replicas of one generation without waiting for them."""
    _run(replica_app(spec, model.generation, settings.cluster), model.app, route_prefix=None)


def delete_app(name: str) -> None:
    """Take an application down; its replicas drain first, this call does not wait for them."""
    import ray
    from ray import serve

    # A load that the server's end interrupts comes here last: Serve would start another cluster for it.
    if ray.is_initialized():
        serve.delete(name, _blocking=False)


def _run(app: Any, name: str, *, route_prefix: str | None) -> None:
    from ray.serve.api import RunTarget, run_many

    run_many(
        [RunTarget(app, name=name, route_prefix=route_prefix)],
        wait_for_ingress_deployment_creation=False,
        wait_for_applications_running=False,
    )
