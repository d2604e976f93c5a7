"""A model that is asked through a gateway in the name of a key: `reasoning.Complete` for actors."""

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from actors.gateway_asking import GatewayAsking
from zoran_ray.batch.outcome import Answered, Outcome
from zoran_ray.error_codes import error_kind
from zoran_ray.errors import DeadlineExceeded, UpstreamError, ZoranError
from zoran_ray.reasoning.completion import Completion, Completions, Message, Sampling, Used

TRIES = 4
PATH = "/v1/chat/completions"

_FIRST_PAUSE_S = 1.0
_MOST_PAUSE_S = 20.0
_TEMPLATE_TOKENS = 64
_MOST_SHOWN_CHARS = 300


class GatewayModel:
    """Asks one model for one task.

    Args:
        ask: Asks a gateway.
        model: Its public name.
        key_id: In whose name.
        name: Beginning of the ids of its requests: the task's.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        ask: GatewayAsking,
        model: str,
        key_id: str,
        name: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._model = model
        self._key_id = key_id
        self._name = name
        self._clock = clock
        self._numbers = itertools.count(1)
        self._dearest = 0.0

    def most(self, messages: Sequence[Message], sampling: Sampling) -> Used:
        """The most that a call may use: no token is shorter than a byte.

        What a token costs, the gateway knows and says with each answer. So for the first call no money is
        reserved here, only by the gateway out of the key's own budget.
        """
        size = len(orjson.dumps([*messages, *sampling.tools])) + _TEMPLATE_TOKENS
        tokens = size + sampling.max_tokens * sampling.n
        return Used(1, size, 0, sampling.max_tokens * sampling.n, round(tokens * self._dearest))

    async def __call__(
        self, messages: Sequence[Message], sampling: Sampling, *, deadline: float
    ) -> Completions:
        """See `reasoning.Complete`; what may help is tried again.

        Raises:
            DeadlineExceeded: Not in time.
            ZoranError: What the gateway answered.
        """
        body = _body(self._model, messages, sampling)
        try:
            async with asyncio.timeout(deadline - self._clock()):
                return self._read(await self._tried(body))
        except TimeoutError:
            raise DeadlineExceeded(f"'{self._model}' did not answer in the time that was left.") from None

    async def _tried(self, body: Mapping[str, Any]) -> Outcome:
        pause_s = _FIRST_PAUSE_S
        for left in reversed(range(TRIES)):
            wait_s = pause_s
            try:
                outcome = await self._ask(self._key_id, PATH, body, f"{self._name}-{next(self._numbers)}")
                if not left or not isinstance(outcome, Answered) or not outcome.retryable:
                    return outcome
                wait_s = outcome.retry_after_s or pause_s
            except ZoranError as error:
                if not left or not error.retryable:
                    raise
                wait_s = error.retry_after_s or pause_s
            await asyncio.sleep(min(wait_s, _MOST_PAUSE_S))
            pause_s *= 2
        raise AssertionError("the last try returns or raises")

    def _read(self, outcome: Outcome) -> Completions:
        if not isinstance(outcome, Answered):
            raise UpstreamError(f"'{self._model}' gave no answer that can be read.")
        if not outcome.good:
            raise _failure(outcome)
        used = outcome.usage
        if tokens := used.prompt_tokens + used.completion_tokens:
            self._dearest = max(self._dearest, outcome.nano_usd / tokens)
        return Completions(
            _choices(outcome.body),
            Used(1, used.prompt_tokens, used.cached_tokens, used.completion_tokens, outcome.nano_usd),
        )


def _body(model: str, messages: Sequence[Message], sampling: Sampling) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model, "messages": list(messages), "temperature": sampling.temperature,
        "max_tokens": sampling.max_tokens,
    }  # fmt: skip
    if sampling.n != 1:
        body["n"] = sampling.n
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if sampling.tools:
        body |= {"tools": list(sampling.tools), "tool_choice": "auto" if sampling.may_call else "none"}
    return body


def _choices(body: bytes) -> tuple[Completion, ...]:
    """Raises: UpstreamError: There is none."""
    try:
        rows = [
            (row["message"], str(row.get("finish_reason") or "stop"))
            for row in orjson.loads(body)["choices"]
        ]
        found = tuple(
            Completion(
                str(message.get("content") or ""), finish, message if message.get("tool_calls") else None
            )
            for message, finish in rows
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        found = ()
    if not found:
        raise UpstreamError("The model's answer has no text in it.")
    return found


def _failure(outcome: Answered) -> ZoranError:
    """The error of an answer, as one of ours."""
    try:
        error = dict(orjson.loads(outcome.body)["error"])
    except (ValueError, KeyError, TypeError):
        error = {}
    kind = error_kind(str(error.get("code"))) or UpstreamError
    message = str(error.get("message") or f"The gateway answered {outcome.status} without a reason.")
    return kind(message[:_MOST_SHOWN_CHARS], retry_after_s=outcome.retry_after_s)
