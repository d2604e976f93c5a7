"""Every error this project raises on purpose.

    ZoranError
    ├── ConfigError                a file, flag or variable is wrong            exit 3
    │   ├── AlreadyRunning         the state directory or the port is in use
    │   ├── StateDamaged           what is kept on disk fails its checks; says what can be saved
    │   └── EmbedderMismatch       an index was made by another embedder; says how to make it anew
    ├── RequestError               the caller can mend it
    │   ├── InvalidRequest         400
    │   ├── Unauthenticated        401
    │   ├── PermissionDenied       403
    │   │   └── ConsentRequired    nobody consented to this use, or not any more
    │   ├── RouteNotFound          404
    │   ├── MethodNotAllowed       405
    │   ├── ModelNotFound          404 model_not_found
    │   ├── RecordNotFound         404, this tenant has no such record
    │   ├── UnknownRequest         404, a score for a request that nobody here remembers
    │   ├── BodyTooLarge           413
    │   ├── RateLimited            429, retry later
    │   ├── BudgetExceeded         402, a key's or the deployment's money is spent
    │   ├── Z5Error                a `Z5::` frame cannot be read
    │   │   ├── Z5Malformed        it is no frame, or not written as one
    │   │   ├── Z5UnknownVersion   written by a version that is not known here
    │   │   ├── Z5WrongDictionary  written with a dictionary that is not known here
    │   │   ├── Z5Truncated        its end is missing
    │   │   ├── Z5Corrupt          it is whole, and something in it was changed
    │   │   └── Z5TooLarge         its content is larger than the reader accepts: a bomb, perhaps
    │   ├── ZgsSyntaxError         a `.zgs` message is not valid; says in which line and column
    │   └── NoArmFits              400, no model can serve this request within its constraints
    ├── Unavailable                503, retry later
    │   ├── Overloaded             a bounded queue is full
    │   ├── StorageFull            the disk, or the room a part of the memory was given, is full
    │   ├── ShardBehind            a shard of the memory does not know yet what others wrote
    │   ├── NoReplica              the model has no replica that takes requests
    │   ├── AgentGivenUp           a role's process died too often
    │   ├── LeaseLost              another worker has the task that this one worked on
    │   ├── SandboxUnavailable     code can be run nowhere safe; says what was tried
    │   └── DeadlineExceeded       504
    ├── EngineError                the back end's fault
    │   ├── EngineMissing          vLLM is not installed
    │   ├── ModelLoadError         a model could not be loaded; says why and what to do
    │   ├── UpstreamError          502, the back end answered with nonsense or broke off
    │   ├── ProviderBusy           503, a provider asks for patience, retry later
    │   └── ProviderRefused        502, a provider refuses our key or does not know our model
    ├── ForgeRefused               a forge refuses our token or what is asked, or does not know it
    │   ├── PullRequestMoved       its head or its base is not what was tested any more: test again
    │   ├── NotMergeable           conflicts or rules of the branch keep it from being merged
    │   └── NoPullRequests         the remote knows none: operator mode is the end of the road
    ├── DeployRefused              a place to deploy to refuses our token or what is asked of it
    └── Unreachable                no server at this address                    exit 4

What each one means in HTTP is known to `zoran_ray.wire.errors` alone; what it means as an exit
status to `zoran_ray.cli` alone. Messages say what to do next. All survive pickling.
"""

from typing import Any, ClassVar


class ZoranError(Exception):
    """Root of the tree.

    Args:
        message: What is wrong and what to do about it, for a person.
        param: The request or configuration field at fault, if one is.
        retry_after_s: When trying again makes sense, in seconds from now.
    """

    code: ClassVar[str] = "internal_error"
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, param: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.param, self.retry_after_s)


def _rebuild(
    kind: type[ZoranError], message: str, param: str | None, retry_after_s: float | None
) -> ZoranError:
    return kind(message, param=param, retry_after_s=retry_after_s)


def plain(error: ZoranError) -> ZoranError:
    """The same error without what carried it here: Ray's wrapper has the actor's stack in its text."""
    for kind in type(error).__mro__:
        if kind.__module__ == __name__:
            return _rebuild(kind, error.message, error.param, error.retry_after_s)
    return error


class ConfigError(ZoranError):
    code = "config_error"


class AlreadyRunning(ConfigError):
    code = "already_running"


class StateDamaged(ConfigError):
    code = "state_damaged"


class EmbedderMismatch(ConfigError):
    code = "embedder_mismatch"


class RequestError(ZoranError):
    code = "invalid_request"


class InvalidRequest(RequestError):
    code = "invalid_value"


class Unauthenticated(RequestError):
    code = "invalid_api_key"


class PermissionDenied(RequestError):
    code = "permission_denied"


class ConsentRequired(PermissionDenied):
    code = "consent_required"


class RouteNotFound(RequestError):
    code = "unknown_url"


class MethodNotAllowed(RequestError):
    code = "method_not_allowed"


class ModelNotFound(RequestError):
    code = "model_not_found"


class RecordNotFound(RequestError):
    code = "record_not_found"


class UnknownRequest(RequestError):
    code = "unknown_request"


class BodyTooLarge(RequestError):
    code = "request_too_large"


class RateLimited(RequestError):
    code = "rate_limit_exceeded"
    retryable = True


class BudgetExceeded(RequestError):
    code = "budget_exceeded"


class NoArmFits(RequestError):
    code = "no_arm_fits"


class Z5Error(RequestError):
    code = "z5_invalid"


class Z5Malformed(Z5Error):
    code = "z5_malformed"


class Z5UnknownVersion(Z5Error):
    code = "z5_unknown_version"


class Z5WrongDictionary(Z5Error):
    code = "z5_wrong_dictionary"


class Z5Truncated(Z5Error):
    code = "z5_truncated"


class Z5Corrupt(Z5Error):
    code = "z5_corrupt"


class Z5TooLarge(Z5Error):
    code = "z5_too_large"


class ZgsSyntaxError(RequestError):
    """`param` is the place, `line:column`, both counted from 1; columns count characters."""

    code = "zgs_syntax"

    @classmethod
    def at(cls, line: int, column: int, what: str) -> "ZgsSyntaxError":
        """The error at a place; it survives pickling and HTTP, which carry `message` and `param`."""
        return cls(f"Line {line}, column {column}: {what}", param=f"{line}:{column}")

    @property
    def line(self) -> int:
        """Counted from 1; 0 where nobody said."""
        return self._place()[0]

    @property
    def column(self) -> int:
        """In characters, counted from 1; 0 where nobody said."""
        return self._place()[1]

    def _place(self) -> tuple[int, int]:
        line, _, column = (self.param or "").partition(":")
        return (int(line), int(column)) if line.isdecimal() and column.isdecimal() else (0, 0)


class Unavailable(ZoranError):
    code = "service_unavailable"
    retryable = True


class Overloaded(Unavailable):
    code = "overloaded"


class StorageFull(Unavailable):
    code = "storage_full"


class ShardBehind(Unavailable):
    code = "shard_behind"


class NoReplica(Unavailable):
    code = "no_replica"


class LeaseLost(Unavailable):
    code = "lease_lost"


class AgentGivenUp(Unavailable):
    code = "agent_given_up"


class SandboxUnavailable(Unavailable):
    code = "sandbox_unavailable"


class DeadlineExceeded(Unavailable):
    code = "deadline_exceeded"


class EngineError(ZoranError):
    code = "engine_error"


class EngineMissing(EngineError):
    code = "engine_missing"


class ModelLoadError(EngineError):
    code = "model_load_failed"


class UpstreamError(EngineError):
    code = "upstream_error"
    retryable = True


class ProviderBusy(EngineError):
    code = "provider_busy"
    retryable = True


class ProviderRefused(EngineError):
    code = "provider_refused"


class ForgeRefused(ZoranError):
    code = "forge_refused"


class PullRequestMoved(ForgeRefused):
    code = "pull_request_moved"


class NotMergeable(ForgeRefused):
    code = "not_mergeable"


class NoPullRequests(ForgeRefused):
    code = "no_pull_requests"


class DeployRefused(ZoranError):
    code = "deploy_refused"


class Unreachable(ZoranError):
    code = "unreachable"
    retryable = True
