"""What a provider's refusal means: status, headers and body become one of our errors.

Knows the error bodies of OpenAI, Anthropic, Gemini, Mistral, Ollama and FastAPI, and no connection. What
the caller can mend keeps the provider's own message, cleaned as `zoran_ray.wire` cleans an engine's;
everything else gets a message of ours, because theirs may quote our key or speak of our account.

Sources: OpenAI "Error codes", Anthropic "Errors" (its 400s about the account: as users quote them), Google
AI "Troubleshooting guide", OpenRouter "Errors and debugging"; `retry-after` is RFC 9110 section 10.2.3,
`retry-after-ms` is OpenAI's.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from zoran_ray.api_key import ApiKey
from zoran_ray.errors import InvalidRequest, ProviderBusy, ProviderRefused, UpstreamError, ZoranError
from zoran_ray.wire import normalise_upstream

MAX_RETRY_AFTER_S = 86_400.0
"""Longest wait believed. A provider that names a longer one is as good as gone until somebody looks."""
MAX_PARAM_CHARS = 200

_BUSY = frozenset({408, 409, 429, 503, 529})
_OUR_SIDE = frozenset({401, 402, 403})
_THE_CALLERS = frozenset({400, 413, 422})

# `code`, `type`, `status` or `reason` of an error object, in lower case.
_MEANS_OUR_SIDE = frozenset(
    {
        "account_deactivated",
        "api_key_invalid",
        "authentication_error",
        "billing_error",
        "billing_hard_limit_reached",
        "billing_not_active",
        "insufficient_quota",
        "invalid_api_key",
        "invalid_model",
        "model_not_found",
        "permission_denied",
        "permission_error",
        "unauthenticated",
    }
)
_MEANS_BUSY = frozenset(
    {
        "overloaded",
        "overloaded_error",
        "rate_limit_error",
        "rate_limit_exceeded",
        "resource_exhausted",
        "server_is_overloaded",
        "service_unavailable_error",
        "slow_down",
        "unavailable",
    }
)

# How Anthropic's messages about our account begin. Their status and type, 400 `invalid_request_error`, are
# those of the caller's mistakes.
_ABOUT_OUR_ACCOUNT = (
    "Your credit balance is too low",
    "You have reached your specified API usage limits",
    "This organization has been disabled",
)

_SECONDS = re.compile(r"[+-]?\d{1,12}(?:\.\d{1,12})?")


@dataclass(frozen=True, slots=True)
class Refusals:
    """Turns what one provider says into errors.

    Args:
        provider: What messages call it.
        key: Hidden wherever the provider quotes it.
        now: Unix time in seconds, for dates in headers of servers that do not tell the time.
    """

    provider: str
    key: ApiKey | None
    now: Callable[[], float]

    def of(self, status: int, headers: Mapping[str, str], body: bytes) -> ZoranError:
        """The error behind an answer that is no success.

        Args:
            status: Any but 2xx.
            headers: With names in lower case, or a mapping that does not care.
            body: As much of it as was read; may be anything.
        """
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            document = None
        said = _read(document)
        wait_s = retry_after_s(headers, self.now())
        return self._judged(status, said, said.wait_s if wait_s is None else wait_s)

    def reported(self, document: object) -> ZoranError:
        """The error behind an error object in an answer that began as a success."""
        said = _read(document)
        if said.status is not None:
            return self._judged(said.status, said, said.wait_s)
        if said.words & _MEANS_BUSY:
            return self._busy(said.wait_s)
        if said.our_side:
            return self._our_side(None)
        return UpstreamError(f"{self.provider} reported an error in its answer. Try again.")

    def _judged(self, status: int, said: "_Said", wait_s: float | None) -> ZoranError:
        if status in _OUR_SIDE or (status < 500 and said.our_side):
            return self._our_side(status)
        if status in _BUSY:
            return self._busy(wait_s)
        if status >= 500:
            return UpstreamError(
                f"{self.provider} failed with status {status}. Try again.", retry_after_s=wait_s
            )
        about_parameter = said.param is not None and said.param != "model"
        if status in _THE_CALLERS or (status == 404 and about_parameter):
            return self._the_callers(status, said)
        return self._our_side(status)

    def _busy(self, wait_s: float | None) -> ProviderBusy:
        return ProviderBusy(
            f"{self.provider} cannot take more requests now. Try again later.", retry_after_s=wait_s
        )

    def _our_side(self, status: int | None) -> ProviderRefused:
        how = "refused our request" if status is None else f"refused our request with status {status}"
        return ProviderRefused(
            f"{self.provider} {how}: the operator must check its API key, its account, "
            "its base URL and the name of the model there."
        )

    def _the_callers(self, status: int, said: "_Said") -> ZoranError:
        # Hidden before `normalise_upstream` shortens the message, which could leave half a key.
        message, param = self._hidden(said.message), said.param and self._hidden(said.param)
        error = normalise_upstream(400, orjson.dumps({"error": {"message": message, "param": param}}))
        if not isinstance(error, InvalidRequest):
            return UpstreamError(f"{self.provider} answered {status} without saying why. Try again.")
        told = f"{self.provider}: {error.message}"
        return InvalidRequest(told, param=error.param and error.param[:MAX_PARAM_CHARS])

    def _hidden(self, text: str) -> str:
        return self.key.hidden_in(text) if self.key else text


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until the provider wants to be asked again, 0..`MAX_RETRY_AFTER_S`; None if it does not say.

    A date is measured against the server's own `date` header where there is one, so that clocks that
    differ do no harm.

    Args:
        headers: With names in lower case, or a mapping that does not care.
        now: Unix time in seconds.
    """
    wait_s = _number(headers.get("retry-after-ms"))
    if wait_s is not None:
        wait_s /= 1000
    else:
        named = headers.get("retry-after")
        wait_s = _number(named)
        if wait_s is None and (then := _date(named)) is not None:
            told = _date(headers.get("date"))
            wait_s = then - (now if told is None else told)
    return None if wait_s is None else min(max(wait_s, 0.0), MAX_RETRY_AFTER_S)


def _number(text: str | None) -> float | None:
    """A plain decimal; NaN and infinity are none."""
    found = _SECONDS.fullmatch(text.strip()) if text is not None else None
    return float(found[0]) if found else None


def _date(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text is not None else None
    except (ValueError, OverflowError, OSError):
        return None


@dataclass(frozen=True, slots=True)
class _Said:
    """An error body, read.

    Attributes:
        status: An HTTP status stated within the body.
        wait_s: When it wants to be asked again, in seconds, if the body says.
    """

    message: str = ""
    param: str | None = None
    words: frozenset[str] = frozenset()
    status: int | None = None
    wait_s: float | None = None

    @property
    def our_side(self) -> bool:
        """Whether our key, account or configuration is at fault."""
        return bool(self.words & _MEANS_OUR_SIDE) or self.message.startswith(_ABOUT_OUR_ACCOUNT)


def _read(document: object) -> _Said:
    """Whatever an error body says, in any of the shapes that are about."""
    if isinstance(document, list) and document:
        document = document[0]  # Gemini, where a stream was asked for
    if not isinstance(document, Mapping):
        return _Said()
    error = document.get("error") or document
    if isinstance(error, str):
        return _Said(message=error)
    if not isinstance(error, Mapping):
        return _Said()
    message, param = _message(error)
    if isinstance(stated := error.get("param"), str):
        param = stated
    codes = [error.get(name) for name in ("code", "type", "status")]
    details = _details(error)
    words = [code for code in codes if isinstance(code, str)] + _reasons(details)
    return _Said(message, param, frozenset(map(str.lower, words)), _status(codes), _retry_delay_s(details))


def _message(error: Mapping[str, Any]) -> tuple[str, str | None]:
    """The message, and the parameter it is about if the message is a list of validation errors.

    Mistral puts FastAPI's `{"detail": [{"loc": ["body", "seed"], "msg": …}]}` under `message`.
    """
    said = error.get("message") or error.get("detail")
    if isinstance(said, Mapping):
        said = said.get("detail")
    if isinstance(said, str):
        return said, None
    entries = [each for each in said if isinstance(each, Mapping)] if isinstance(said, list) else []
    told = [(_path(each.get("loc")), each["msg"]) for each in entries if isinstance(each.get("msg"), str)]
    message = "; ".join(f"{path}: {text}" if path else text for path, text in told[:3])
    return message, (told[0][0] or None) if told else None


def _path(loc: object) -> str:
    parts = loc if isinstance(loc, list) else []
    return ".".join(str(part) for part in parts if part != "body")


def _details(error: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    details = error.get("details")
    return [each for each in details if isinstance(each, Mapping)] if isinstance(details, list) else []


def _reasons(details: list[Mapping[str, Any]]) -> list[str]:
    """Gemini's reasons. Source: `google.rpc.ErrorInfo`."""
    found = [each.get("reason") for each in details]
    return [reason for reason in found if isinstance(reason, str)]


def _retry_delay_s(details: list[Mapping[str, Any]]) -> float | None:
    """Gemini's `"retryDelay": "34.07s"`. Source: `google.rpc.RetryInfo`; durations in protobuf's JSON."""
    for each in details:
        if isinstance(delay := each.get("retryDelay"), str) and delay.endswith("s"):
            wait_s = _number(delay[:-1])
            return None if wait_s is None else min(max(wait_s, 0.0), MAX_RETRY_AFTER_S)
    return None


def _status(codes: list[Any]) -> int | None:
    for code in codes:
        if isinstance(code, str) and code.isdecimal() and len(code) == 3:
            code = int(code)
        if type(code) is int and 400 <= code <= 599:
            return code
    return None
