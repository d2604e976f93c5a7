"""What `configs/models.yaml` holds: models served here, and models of others. Frozen values."""

from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails

from zoran_ray.offers import ArmSpec, Capability, Frozen, Offer, Use, fault


class ScalingSettings(Frozen):
    """How many replicas of one model, and when to change that."""

    min_replicas: int = Field(default=1, ge=0)
    """0 allows scale to zero: the next request waits for a cold start."""
    max_replicas: int = Field(default=1, ge=1)
    initial_replicas: int | None = Field(default=None, ge=0)
    target_kv_usage: float = Field(default=0.8, gt=0, le=1)
    """Add replicas when the mean share of KV cache in use is above this."""
    target_waiting: float = Field(default=4.0, gt=0)
    """Requests waiting inside one engine that are still acceptable."""
    target_ttft_s: float = Field(default=2.0, gt=0)
    """Time to first token that is still acceptable, in seconds."""
    upscale_delay_s: float = Field(default=2.0, ge=0)
    downscale_delay_s: float = Field(default=120.0, ge=0)
    zero_delay_s: float = Field(default=600.0, ge=0)
    """Idle time before the last replica goes, where `min_replicas` is 0."""

    @model_validator(mode="after")
    def _ordered(self) -> "ScalingSettings":
        if self.min_replicas > self.max_replicas:
            raise ValueError("min_replicas is above max_replicas")
        return self


class ModelSpec(Offer):
    """One local model: where it is and how vLLM runs it."""

    capabilities: tuple[Capability, ...] = ("json_schema", "logprobs")
    """vLLM has these two for every model that generates; `tools` needs a parser in `engine_args`. Unset for
    a model that pools (`minilm`, `runner: pooling`): embeddings alone."""
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:-]{0,127}$")
    """Served as `local/<name>`; the bare name works too."""
    source: str = "embedded"
    """`embedded`, `minilm` (extra `[embeddings]`), a folder, a hub id, or a running server's address."""
    description: str = ""
    engine_args: dict[str, Any] = Field(default_factory=dict)
    """vLLM's own argument names, checked by vLLM: `max_model_len`, `tensor_parallel_size`, …"""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment of the engine's processes, for `VLLM_*` settings."""
    num_gpus: float | None = Field(default=None, ge=0)
    """GPUs of one replica. Unset: tensor × pipeline parallel size on a GPU build, 0 on CPU."""
    num_cpus: float = Field(default=1.0, ge=0)
    resources: dict[str, float] = Field(default_factory=dict)
    """Custom Ray resources one replica needs."""
    pin_cores: Literal["auto", "off"] | list[int] = "auto"
    """Cores of the engine's own processes. `auto` pins those that spin, vLLM's own two on a CPU, where
    there are 8 cores or fewer."""
    scaling: ScalingSettings = ScalingSettings()
    queue_limit: int = Field(default=64, ge=0)
    """Requests per gateway that may wait while no replica is there."""
    queue_timeout_s: float = Field(default=120.0, gt=0)
    drain_timeout_s: float = Field(default=300.0, ge=0)
    """How long a leaving replica lets running requests finish."""
    load_timeout_s: float = Field(default=900.0, gt=0)

    @model_validator(mode="after")
    def _what_pools_generates_nothing(self) -> "ModelSpec":
        runner = self.engine_args.get("runner", "pooling" if self.source == "minilm" else None)
        if runner == "pooling" and "capabilities" not in self.model_fields_set:
            # Past the freeze, and still as if unset: what is written out is what was said.
            object.__setattr__(self, "capabilities", ("embeddings",))
        return self

    @field_validator("name")
    @classmethod
    def _bare(cls, value: str) -> str:
        return value.removeprefix("local/")

    @property
    def public_name(self) -> str:
        return f"local/{self.name}"


class ModelsFile(Frozen):
    """The content of `configs/models.yaml`."""

    use: Use = "commercial"
    """What this deployment is declared to be used for; every licence must allow it."""
    models: tuple[ModelSpec, ...] = ()
    """Models served here."""
    arms: tuple[ArmSpec, ...] = ()
    """Models served by others."""

    @property
    def offers(self) -> tuple[ModelSpec | ArmSpec, ...]:
        """All of them, in this order."""
        return (*self.models, *self.arms)

    @model_validator(mode="after")
    def _distinct(self) -> "ModelsFile":
        names = [m.name for m in self.models]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"model names must differ: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> "ModelsFile":
        if faults := [*self._empty(), *self._forbidden(), *self._ambiguous(), *self._astray()]:
            raise ValidationError.from_exception_data("ModelsFile", faults)
        return self

    def _empty(self) -> Iterator[InitErrorDetails]:
        if not self.models and not self.arms:
            place = ("models",) if "models" in self.model_fields_set else ()
            yield fault("expected at least one item under 'models' or 'arms'", *place)

    def _forbidden(self) -> Iterator[InitErrorDetails]:
        kinds: dict[str, Sequence[ModelSpec | ArmSpec]] = {"models": self.models, "arms": self.arms}
        for kind, offers in kinds.items():
            for number, offer in enumerate(offers):
                if self.use not in offer.licence_allows:
                    licence = f"licence '{offer.licence}'" if offer.licence else "licence"
                    allowed = ", ".join(offer.licence_allows) or "nothing"
                    yield fault(
                        f"the {licence} of '{offer.public_name}' allows {allowed}, but this deployment is"
                        f" declared for {self.use} use. Remove it, or set 'use' to what is true",
                        kind,
                        number,
                        "licence_allows",
                    )

    def _ambiguous(self) -> Iterator[InitErrorDetails]:
        taken = {model.name for model in self.models}
        for number, arm in enumerate(self.arms):
            if arm.name in taken:
                yield fault(
                    f"'{arm.name}' is here twice; names must differ, also from those of models",
                    *("arms", number, "name"),
                )
            taken.add(arm.name)

    def _astray(self) -> Iterator[InitErrorDetails]:
        """Fallbacks that lead nowhere or in a circle."""
        known = {offer.public_name for offer in self.offers}
        explicit = {arm.name: arm.fallbacks for arm in self.arms if arm.fallbacks != "auto"}
        for number, arm in enumerate(self.arms):
            named = explicit.get(arm.name, ())
            for unknown in dict.fromkeys(name for name in named if name not in known):
                text = f"'{unknown[:128]}' is neither an arm nor a model (local/<name>) of this file"
                yield fault(text, "arms", number, "fallbacks")
            if len(set(named)) < len(named):
                yield fault("a name is here twice; keep one", "arms", number, "fallbacks")
        try:
            TopologicalSorter(explicit).prepare()
        except CycleError as error:
            circle = error.args[1][::-1]
            number = next(n for n, arm in enumerate(self.arms) if arm.name == circle[0])
            yield fault(f"fallbacks run in a circle: {' → '.join(circle)}", "arms", number, "fallbacks")
