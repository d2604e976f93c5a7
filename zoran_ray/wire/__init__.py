"""What goes over the wire to and from clients: OpenAI and Anthropic bodies, errors, event streams.

The path of one request:
    endpoint = Endpoint.at(path)
    body = parse(raw, endpoint, limits)
    sent = body.encoded({**body.usage_options(), "cache_salt": salt})
    stream = UsageFilter(endpoint, drop_usage=body.lacks_usage)      # or usage_of(answer)
    normalise_upstream(status, answer) -> ZoranError -> answer(error, …) or event(error, …)

Knows bytes and JSON; no sockets, no Ray, no engine.
"""

from zoran_ray.wire.answers import normalised
from zoran_ray.wire.document import read, spliced
from zoran_ray.wire.endpoint import Dialect, Endpoint
from zoran_ray.wire.errors import Answer, answer, event
from zoran_ray.wire.request import Limits, RequestBody, parse
from zoran_ray.wire.sse import UsageFilter
from zoran_ray.wire.upstream import normalise_upstream
from zoran_ray.wire.usage import Usage, usage_of

__all__ = [
    "Answer",
    "Dialect",
    "Endpoint",
    "Limits",
    "RequestBody",
    "Usage",
    "UsageFilter",
    "answer",
    "event",
    "normalise_upstream",
    "normalised",
    "parse",
    "read",
    "spliced",
    "usage_of",
]
