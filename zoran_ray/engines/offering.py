"""What is offered to callers: the models served now and all arms, as the newest good file describes them.

Pure. A local model's entry has two halves: how it runs, which only another generation can change, and what
it can do, costs and is called to people, which is taken over from the file at once.
"""

from collections.abc import Iterable
from hashlib import sha256

from zoran_ray.models_file import ModelsFile, ModelSpec
from zoran_ray.offers import ArmSpec, Offer

_TOLD = frozenset(Offer.model_fields) | {"description"}
"""Fields of a model that say nothing of how it runs."""
_NAMED = 10
"""Most names in a message."""


def runs_alike(one: ModelSpec, other: ModelSpec) -> bool:
    """Whether the same engine serves both; prices and the like may differ."""
    return one.model_dump(exclude=set(_TOLD)) == other.model_dump(exclude=set(_TOLD))


def fingerprint(spec: ModelSpec) -> str:
    """Eight hexadecimal digits, the same for models that `runs_alike`."""
    return sha256(spec.model_dump_json(exclude=set(_TOLD)).encode()).hexdigest()[:8]


def described(spec: ModelSpec, file: ModelsFile) -> ModelSpec:
    """A model that is served, with what the file says of it now; one that the file lacks stays as it is."""
    entry = next((model for model in file.models if model.name == spec.name), None)
    return spec if entry is None else spec.model_copy(update={name: getattr(entry, name) for name in _TOLD})


def offered(file: ModelsFile, served: Iterable[ModelSpec]) -> ModelsFile:
    """What gateways are told: these models and the file's arms, without anything that may be secret.

    Args:
        file: The newest good one.
        served: Models that are served now, whether the file has them or not.
    """
    models = (described(spec, file) for spec in served)
    bare = tuple(model.model_copy(update={"env": {}, "engine_args": {}}) for model in models)
    # Not validated again: a fallback may have been unloaded, and nothing at all may be left.
    return file.model_copy(update={"models": bare})


def left_alone(before: ModelsFile, after: ModelsFile, served: Iterable[ModelSpec]) -> tuple[str, ...]:
    """Models that an edit of the file would have run otherwise, or no more, or besides; by bare name.

    Args:
        before: What the file said.
        after: What it says now.
        served: Models that are served now; one that already runs as the file says is not named.
    """
    old, new = ({model.name: model for model in file.models} for file in (before, after))
    running = {spec.name: spec for spec in served}
    return tuple(
        name
        for name in old | new
        if not _alike(old.get(name), new.get(name)) and not _alike(running.get(name), new.get(name))
    )


def difference(before: ModelsFile, after: ModelsFile) -> str:
    """What an edit changed, for people; empty if nothing."""
    old, new = ({each.public_name: each for each in file.offers} for file in (before, after))
    kinds = (
        ("new", [name for name in new if name not in old]),
        ("changed", [name for name in new if name in old and new[name] != old[name]]),
        ("gone", [name for name in old if name not in new]),
    )
    told = [f"{kind}: {_listed(names)}" for kind, names in kinds if names]
    if before.use != after.use:
        told.append(f"declared for {after.use} use")
    return "; ".join(told)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _alike(one: ModelSpec | None, other: ModelSpec | None) -> bool:
    return runs_alike(one, other) if one and other else one is other


def offer_row(entry: ModelSpec | ArmSpec) -> dict[str, object]:
    """What callers may know of a model: the part of its row in `/v1/models` that the catalogue has."""
    own: dict[str, object]
    if isinstance(entry, ArmSpec):
        fallbacks = entry.fallbacks if entry.fallbacks == "auto" else list(entry.fallbacks)
        own = {"source": entry.upstream, "provider": entry.provider, "fallbacks": fallbacks}
    else:
        own = {"source": entry.source, "provider": "zoran", "fallbacks": []}
    return own | {
        "description": entry.description,
        "data_goes": entry.data_goes,
        "context_tokens": entry.context_tokens,
        "max_output_tokens": entry.max_output_tokens,
        "modalities": list(entry.modalities),
        "capabilities": list(entry.capabilities),
        "usd_per_million_input": entry.usd_per_million_input,
        "usd_per_million_output": entry.usd_per_million_output,
        "usd_per_million_cached_input": entry.usd_per_million_cached_input,
        "licence": entry.licence,
    }
