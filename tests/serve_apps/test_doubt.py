import pytest

from serve_apps.gateway.doubt import DOUBT_S, Doubt
from zoran_ray.messages import FleetSnapshot, ModelInfo, ReplicaInfo

MODELS = {"local/m": ModelInfo("local/m", (), "g1", "app", "embedded")}
REPLICAS = (ReplicaInfo("r", "local/m", "g1", "http://x", "s", 8, 64, ("generate",)),)


def snapshot(epoch, models=MODELS, replicas=REPLICAS):
    return FleetSnapshot(epoch, 1, models=models, replicas=replicas)


@pytest.mark.parametrize(
    ("fresh", "known", "taken"),
    [
        (snapshot("a"), FleetSnapshot(), True),
        (snapshot("a", replicas=()), snapshot("a"), True),
        (snapshot("a", {}, ()), snapshot("a"), True),
        # A registry that has just restarted knows nobody yet.
        (snapshot("b", {}, ()), snapshot("a"), False),
        (snapshot("b", replicas=()), snapshot("a"), False),
        (snapshot("b", models={}), snapshot("a"), False),
        (snapshot("b"), snapshot("a"), True),
        (snapshot("b", replicas=()), snapshot("a", replicas=()), True),
    ],
)
def test_a_restarted_registry_makes_nobody_forget(fresh, known, taken):
    assert Doubt(lambda: 0.0).accepts(fresh, known) is taken


def test_doubt_ends():
    now = 0.0
    doubt = Doubt(lambda: now)
    empty = snapshot("b", {}, ())
    assert not doubt.accepts(empty, snapshot("a"))
    now = DOUBT_S + 0.1
    assert doubt.accepts(empty, snapshot("a"))
