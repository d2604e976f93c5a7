import zoran_ray.wire as wire
from zoran_ray.wire import Endpoint


def test_the_room_shows_these_names_and_no_others() -> None:
    assert set(wire.__all__) == {
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
    }
    assert all(hasattr(wire, name) for name in wire.__all__)


def test_endpoints_are_found_by_their_exact_path() -> None:
    assert Endpoint.at("/v1/messages/count_tokens") is Endpoint.COUNT_TOKENS
    assert Endpoint.at("/v1/messages/") is None
    assert {endpoint.method for endpoint in Endpoint} == {"POST"}
    assert [e for e in Endpoint if not e.streams] == [Endpoint.EMBEDDINGS, Endpoint.COUNT_TOKENS]
