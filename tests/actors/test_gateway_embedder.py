"""Vectors from a gateway: tried again where that helps, and told plainly where it does not."""

import pickle

import numpy as np
import pytest
from ray.exceptions import RayActorError

from actors.gateway_embedder import TRIES, GatewayEmbedder
from zoran_ray.errors import EmbedderMismatch, Overloaded, Unavailable, UpstreamError
from zoran_ray.memory.embedder import EmbedderId

ID = EmbedderId("local/minilm", 4)
VECTOR = np.array([1, 0, 0, 0], "<f4").tobytes()


class Gateway:
    """Answers as scripted; the last answer stays."""

    def __init__(self, *script):
        self.script, self.asked, self.slept = list(script), [], []

    def __call__(self, texts, tenant):
        self.asked.append((texts, tenant))
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, Exception):
            raise step
        return step

    def embedder(self):
        return GatewayEmbedder(ID, self, self.slept.append)


def test_vectors_come_as_rows():
    gateway = Gateway([VECTOR, VECTOR])
    assert gateway.embedder().embed(("a", "b"), "acme").tolist() == [[1, 0, 0, 0]] * 2
    assert gateway.asked == [(["a", "b"], "acme")]
    assert Gateway([]).embedder().embed([]).shape == (0, 4)


@pytest.mark.parametrize(
    "passing", [Overloaded("full"), TimeoutError(), RayActorError(), UpstreamError("x")]
)
def test_what_passes_is_waited_for(passing):
    gateway = Gateway(passing, passing, [VECTOR])
    assert len(gateway.embedder().embed(["a"])) == 1
    assert gateway.slept == [1.0, 2.0]


def test_a_mistake_is_told_at_once():
    gateway = Gateway(EmbedderMismatch("Set memory.dimension to 8."))
    with pytest.raises(EmbedderMismatch, match="Set memory"):
        gateway.embedder().embed(["a"])
    assert gateway.slept == []


def test_patience_ends():
    gateway = Gateway(TimeoutError())
    with pytest.raises(Unavailable, match="No gateway answers"):
        gateway.embedder().embed(["a"])
    assert len(gateway.asked) == TRIES
    assert 60 < sum(gateway.slept) < 180


def test_whoever_does_not_wait_asks_once():
    gateway = Gateway(TimeoutError())
    with pytest.raises(Unavailable):
        GatewayEmbedder(ID, gateway, gateway.slept.append, tries=1).embed(["a"])
    assert (len(gateway.asked), gateway.slept) == (1, [])


def test_another_number_of_numbers():
    with pytest.raises(UpstreamError, match="not of 4 numbers"):
        Gateway([VECTOR + VECTOR]).embedder().embed(["a"])


def test_it_goes_to_another_process():
    again = pickle.loads(pickle.dumps(GatewayEmbedder(ID)))
    assert EmbedderId.of(again) == ID
