"""What gateways tell the Resonator: frozen, checked, and without a word of what was asked or answered."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoran_ray.errors import InvalidRequest
from zoran_ray.routing.features import TASKS

Vector = NDArray[np.float64]

MOST_ID_CHARS = 128
MOST_NAME_CHARS = 256
MOST_COMMENT_CHARS = 10_000
_MOST_SIZE = 4096
_MOST_TOKENS = 10**10
_MOST_LATENCY_S = 86_400.0
_MOST_USD = 1_000_000.0


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that `zoran/auto` routed and that is over, whether it ended well or not.

    Attributes:
        request_id: As the caller knows it.
        arm: Name of who answered in the end, or failed last.
        chosen: Name of who was chosen first; another than `arm` where it failed.
        propensity: How likely that choice was, in (0, 1].
        snapshot_version: Of the snapshot that decided.
        x: The prompt's vector, float[size]; kept as the bytes of little-endian float32.
        task: One of `TASKS`.
        input_tokens: Of the prompt.
        output_tokens: Of the answer, None where nobody counted.
        latency_s: Seconds from request to last byte, None where that means nothing.
        usd: What it cost.
        failed: It ended with an error, or later than it should have.
        score: What the signs say of the answer, 0..1; None: nothing.
        key_id: Whose request it was; "" where there are no keys.
        at: Unix time of its end in seconds.
    """

    request_id: str
    arm: str
    chosen: str
    propensity: float
    snapshot_version: int
    x: bytes | Vector
    task: str
    input_tokens: float
    output_tokens: float | None
    latency_s: float | None
    usd: float
    failed: bool
    score: float | None
    key_id: str
    at: float

    def __post_init__(self) -> None:
        """Raises: InvalidRequest: A value that no request can have."""
        _check_text("request_id", self.request_id, MOST_ID_CHARS)
        _check_text("arm", self.arm, MOST_NAME_CHARS)
        _check_text("chosen", self.chosen, MOST_NAME_CHARS)
        _check_text("key_id", self.key_id, MOST_ID_CHARS, least=0)
        _check_number("propensity", self.propensity, 1.0)
        _check_number("snapshot_version", self.snapshot_version, 2.0**53)
        _check_number("input_tokens", self.input_tokens, _MOST_TOKENS)
        _check_number("output_tokens", self.output_tokens, _MOST_TOKENS)
        _check_number("latency_s", self.latency_s, _MOST_LATENCY_S)
        _check_number("usd", self.usd, _MOST_USD)
        _check_number("score", self.score, 1.0)
        _check_number("at", self.at, 2.0**53)
        if self.propensity == 0 or self.task not in TASKS or type(self.failed) is not bool:
            raise InvalidRequest("report: propensity is above 0, task one of the known, failed a boolean")
        object.__setattr__(self, "x", _packed(self.x))

    def vector(self) -> Vector:
        """float64[size], the prompt."""
        return np.frombuffer(self.blob, dtype="<f4").astype(np.float64)

    @property
    def blob(self) -> bytes:
        """The prompt's vector as bytes."""
        assert isinstance(self.x, bytes)
        return self.x


@dataclass(frozen=True, slots=True)
class Scored:
    """What somebody, or a sign that came late, says of an answer.

    Attributes:
        request_id: Which answer.
        score: 0..1.
        key_id: Who says so; only whose request it was may.
        at: Unix time in seconds.
        comment_chars: Length of the comment; its text goes nowhere.
        implicit: Read off a sign, as when the user asked the same again; counts less.
    """

    request_id: str
    score: float
    key_id: str
    at: float
    comment_chars: int = 0
    implicit: bool = False

    def __post_init__(self) -> None:
        """Raises: InvalidRequest: A value that no score can have; `param` names it."""
        _check_text("request_id", self.request_id, MOST_ID_CHARS)
        _check_text("key_id", self.key_id, MOST_ID_CHARS, least=0)
        if self.score is None:
            raise InvalidRequest("'score' must be a number from 0 to 1.", param="score")
        _check_number("score", self.score, 1.0)
        _check_number("at", self.at, 2.0**53)
        _check_number("comment_chars", self.comment_chars, MOST_COMMENT_CHARS)


def _packed(x: bytes | Vector) -> bytes:
    if isinstance(x, np.ndarray):
        with np.errstate(over="ignore", invalid="ignore"):
            x = x.astype("<f4").tobytes()
    if type(x) is not bytes or len(x) % 4 or not 0 < len(x) <= 4 * _MOST_SIZE:
        raise InvalidRequest("report: 'x' is not a vector of float32", param="x")
    if not np.isfinite(np.frombuffer(x, dtype="<f4")).all():
        raise InvalidRequest("report: 'x' is not finite", param="x")
    return x


def _check_text(name: str, value: object, most: int, least: int = 1) -> None:
    if not isinstance(value, str) or not least <= len(value) <= most or not value.isprintable():
        raise InvalidRequest(f"'{name}' must be {least} to {most} printable characters.", param=name)


def _check_number(name: str, value: object, most: float) -> None:
    """Whether it is None or a number from 0 to `most`."""
    if value is None:
        return
    right = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not right or not 0 <= value <= most:  # type: ignore[operator]
        raise InvalidRequest(f"'{name}' must be a number from 0 to {most:g}.", param=name)
