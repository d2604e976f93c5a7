"""What `/v1/models` says: models served here, arms of providers, the router and strategies among them."""

from collections.abc import Callable

from serve_apps.gateway.arms import Arms
from serve_apps.gateway.strategies import HOUSE, NONE, Strategies
from zoran_ray.engines.fleet import Fleet
from zoran_ray.engines.offering import offer_row
from zoran_ray.errors import ModelNotFound
from zoran_ray.messages import ModelInfo
from zoran_ray.offers import AUTO
from zoran_ray.routing.roles import role_of

Row = dict[str, object]


def model_rows(
    fleet: Fleet, arms: Arms, may: Callable[[str], bool], strategies: Strategies = NONE
) -> list[Row]:
    """A row for each model that the key may use.

    Args:
        may: Whether it may.
        strategies: Listed where there is a model that they can ask.
    """
    local = [_local(model, fleet, arms) for model in fleet.snapshot.models.values() if may(model.name)]
    remote = [_row(spec.name, spec.provider, 0, arms) for spec in arms.catalogue.arms if may(spec.name)]
    rows = local + remote
    thinking = [_strategy(name, text) for name, text in strategies.described.items() if may(HOUSE + name)]
    roles = [_role(name, text) for name, text in strategies.agents.items() if may(name)]
    return [*rows, _auto(), *thinking, *roles] if rows else []


def named(name: str, fleet: Fleet, arms: Arms, strategies: Strategies = NONE) -> str:
    """The public name of the model that a caller means; of a strategy without its inner model.

    Raises:
        ModelNotFound: There is none.
    """
    if name == AUTO or arms.is_remote(name):
        return name
    if parts := strategies.split(name):
        return parts[0]
    if name in strategies.agents:
        return name
    try:
        return fleet.model(name).name
    except ModelNotFound:
        raise unknown(name, fleet, arms, strategies) from None


def unknown(name: str, fleet: Fleet, arms: Arms, strategies: Strategies = NONE) -> ModelNotFound:
    """The error that says which models there are."""
    known = sorted({*fleet.snapshot.models, *(spec.name for spec in arms.catalogue.arms)})
    told = ", ".join([*known, AUTO, *strategies.names()] if known else ["none yet"])
    return ModelNotFound(
        f"The model '{name[:128]}' does not exist or is not loaded. Models here: {told[:512]}.",
        param="model",
    )


def _local(model: ModelInfo, fleet: Fleet, arms: Arms) -> Row:
    row = _row(model.name, "zoran", model.created, arms)
    ready = fleet.ready(model.name)
    asleep = "scaled to zero" if model.min_replicas == 0 else "loading"
    own = {
        "aliases": list(model.aliases),
        "source": model.source,
        "description": model.description,
        "ready_replicas": ready,
        "state": "ready" if ready else asleep,
        "why": None,
    }
    return row | {"zoran": {**_told(row), **own}}


def _row(name: str, owner: str, created: int, arms: Arms) -> Row:
    why = arms.why_not(name)
    told = offer_row(arms.catalogue[name]) if name in arms.catalogue else {}
    state = {"state": "unreachable" if why else "ready", "why": why}
    return {"id": name, "object": "model", "created": created, "owned_by": owner, "zoran": told | state}


def _told(row: Row) -> Row:
    told = row["zoran"]
    assert isinstance(told, dict)
    return told


def _auto() -> Row:
    return {
        "id": AUTO,
        "object": "model",
        "created": 0,
        "owned_by": "zoran",
        "zoran": {"description": "The best of the others for each request.", "state": "ready", "why": None},
    }


def _role(name: str, description: str) -> Row:
    told = {"description": description, "agent": role_of(name) or None, "state": "ready", "why": None}
    return {"id": name, "object": "model", "created": 0, "owned_by": "zoran", "zoran": told}


def _strategy(name: str, description: str) -> Row:
    return {
        "id": HOUSE + name,
        "object": "model",
        "created": 0,
        "owned_by": "zoran",
        "zoran": {"description": description, "strategy": name, "state": "ready", "why": None},
    }
