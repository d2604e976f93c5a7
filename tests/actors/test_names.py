"""What callers of actors hear instead of Ray's errors: ours, without what the actor's stack holds."""

import warnings

import pytest

with warnings.catch_warnings():
    # Ray's own use of pydantic, at import.
    warnings.simplefilter("ignore", DeprecationWarning)
    from ray.exceptions import ActorUnavailableError, RayTaskError

from actors.names import plain_errors
from zoran_ray.errors import InvalidRequest, Unavailable


def raised(cause):
    """As Ray raises what an actor raised."""
    return RayTaskError("ask", "a stack with a prompt", cause).as_instanceof_cause()


def test_ours_come_without_the_stack():
    with pytest.raises(InvalidRequest) as error, plain_errors("Asleep.", broken="It failed"):
        raise raised(InvalidRequest("No such task.", param="task"))
    assert type(error.value) is InvalidRequest
    assert (error.value.message, error.value.param) == ("No such task.", "task")
    assert "prompt" not in str(error.value)


@pytest.mark.parametrize("cause", [KeyError("a prompt"), ValueError("a prompt"), TimeoutError("a prompt")])
def test_a_bug_is_told_by_its_kind_alone(cause):
    with pytest.raises(Unavailable) as error, plain_errors("Asleep.", broken="It failed"):
        raise raised(cause)
    assert error.value.message == f"It failed ({type(cause).__name__}); the server's log says more."
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def test_a_bug_is_silence_where_nothing_else_is_to_be_said():
    with pytest.raises(Unavailable, match=r"Asleep\."), plain_errors("Asleep."):
        raise raised(KeyError("a prompt"))


@pytest.mark.parametrize(
    "silent", [TimeoutError(), ValueError("no actor has this name"), ActorUnavailableError("gone", None)]
)
def test_silence_is_told_as_it_was_asked_for(silent):
    with pytest.raises(Unavailable) as error, plain_errors("Asleep.", broken="It failed"):
        raise silent
    assert (error.value.message, error.value.retry_after_s) == ("Asleep.", 2.0)
    lost = LookupError("this shard")
    with pytest.raises(LookupError) as other, plain_errors(lost, broken="It failed"):
        raise silent
    assert other.value is lost
