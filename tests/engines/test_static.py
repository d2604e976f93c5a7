"""A server somebody else runs, taken as a replica."""

import asyncio

import pytest

from zoran_ray.engines.static import is_static, probe
from zoran_ray.models_file import ModelSpec


@pytest.fixture
async def port():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def spec(source, **engine_args):
    return ModelSpec(name="m", source=source, engine_args=engine_args)


@pytest.mark.parametrize(
    ("source", "static"),
    [("http://h:1", True), ("https://h", True), ("embedded", False), ("org/http", False), ("/http", False)],
)
def test_addresses_are_static(source, static):
    assert is_static(spec(source)) is static


async def test_a_port_that_answers_is_a_replica(port):
    found = await probe(spec(f"http://127.0.0.1:{port}/", max_num_seqs=7, max_model_len=99), "g1")
    assert (found.replica_id, found.model, found.generation) == ("m-static", "local/m", "g1")
    assert found.base_url == f"http://127.0.0.1:{port}"
    assert (found.capacity, found.max_model_len, found.secret) == (7, 99, "")


async def test_a_port_that_does_not_is_none():
    assert await probe(spec("http://127.0.0.1:1"), "g1") is None
