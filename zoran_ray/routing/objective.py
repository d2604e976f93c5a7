"""What one request wants of the router: the member `zoran` of its body, checked. Knows no arm."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from zoran_ray.errors import InvalidRequest

MOST_ARMS = 64
_MOST_CHARS = 256
_NUMBERS = {"max_usd": True, "latency_slo_ms": False, "quality_weight": True, "budget_usd_per_1k": True}
"""Fields that are numbers, and whether 0 makes sense."""
_FIELDS = (*_NUMBERS, "arms", "residency")


@dataclass(frozen=True, slots=True)
class Objective:
    """What one request wants.

    Attributes:
        max_usd: Most it may be expected to cost, in USD.
        latency_slo_ms: Longer than this is a miss.
        latency_weight: What a certain miss costs, in units of quality.
        quality_weight: Quality counts this much.
        usd_weight: What a dollar costs in units of quality; None: what the budget pacer says.
        budget_usd_per_1k: USD for 1000 requests like this one; None: no budget but the deployment's.
        arms: Names of the only arms it may go to; None: all.
        residency: "local": prompts must not leave this installation.
    """

    max_usd: float = math.inf
    latency_slo_ms: float | None = None
    latency_weight: float = 0.5
    quality_weight: float = 1.0
    usd_weight: float | None = None
    budget_usd_per_1k: float | None = None
    arms: tuple[str, ...] | None = None
    residency: Literal["local"] | None = None

    @classmethod
    def of(cls, given: object) -> "Objective":
        """The objective that a body's `zoran` states; None or an empty object states nothing.

        Raises:
            InvalidRequest: A field is unknown, of the wrong type, negative or not finite; `param` names it.
        """
        if given is None:
            return cls()
        if not isinstance(given, Mapping):
            raise _wrong("zoran", "an object", given)
        for name in given:
            if name not in _FIELDS:
                known = ", ".join(_FIELDS)
                raise InvalidRequest(
                    f"'zoran' has no field '{str(name)[:64]}'; there are {known}.",
                    param=f"zoran.{str(name)[:64]}",
                )
        said: dict[str, Any] = {
            name: _number(name, given[name], zero) for name, zero in _NUMBERS.items() if _has(given, name)
        }
        if _has(given, "arms"):
            said["arms"] = _names(given["arms"])
        if _has(given, "residency"):
            said["residency"] = _residency(given["residency"])
        return cls(**said)


def _has(given: Mapping[str, Any], name: str) -> bool:
    return given.get(name) is not None


def _number(name: str, value: object, zero: bool) -> float:
    place = f"zoran.{name}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(place, "a number", value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
        least = "at least 0" if zero else "above 0"
        raise InvalidRequest(f"'{place}' must be a finite number {least}.", param=place)
    return number


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise _wrong("zoran.arms", "an array of names", value)
    right = all(
        isinstance(name, str) and 0 < len(name) <= _MOST_CHARS and name.isprintable() for name in value
    )
    if not right or not 0 < len(value) <= MOST_ARMS:
        raise InvalidRequest(
            f"'zoran.arms' must hold 1 to {MOST_ARMS} names of models; GET /v1/models lists them.",
            param="zoran.arms",
        )
    return tuple(dict.fromkeys(value))


def _residency(value: object) -> Literal["local"]:
    if value != "local":
        raise InvalidRequest(
            "'zoran.residency' must be \"local\" where it is given.", param="zoran.residency"
        )
    return "local"


def _wrong(place: str, wanted: str, value: object) -> InvalidRequest:
    kind = _KINDS.get(type(value), "something else")
    return InvalidRequest(
        f"Invalid type for '{place}': expected {wanted}, but got {kind} instead.", param=place
    )


_KINDS = {
    dict: "an object", list: "an array", str: "a string", bool: "a boolean",
    int: "an integer", float: "a number", type(None): "null",
}  # fmt: skip
