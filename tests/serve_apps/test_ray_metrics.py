"""What is taken of Ray's pages: real HTTP, nodes that are played."""

import aiohttp
import pytest
from aiohttp import web

from actors.single_flight import SingleFlight
from serve_apps.gateway.ray_metrics import serve_parts

PAGE = """# HELP ray_serve_proxy_status how it is
# TYPE ray_serve_proxy_status gauge
ray_serve_proxy_status{NodeAddress="127.0.0.1"} 1.0
# HELP ray_serve_proxy_status_of_another not this one
ray_serve_proxy_status_of_another 2.0
ray_node_mem_used{ip="127.0.0.1"} 5.0
ray_serve_deployment_processing_latency_ms_bucket{le="1"} 3.0
"""


@pytest.fixture
async def port():
    async def page(request):
        return web.Response(text=PAGE)

    app = web.Application()
    app.router.add_get("/metrics", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.fixture
async def session():
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2.0)) as made:
        yield made


def node(name, port, alive=True):
    return {"NodeName": name, "NodeManagerAddress": "127.0.0.1", "MetricsExportPort": port, "Alive": alive}


async def test_few_families_of_each_node_that_is_there(session, port):
    nodes = [node("a", port), node("b", 1), node("gone", port, alive=False)]
    parts = await serve_parts(session, SingleFlight(lambda: nodes))
    assert [labels for labels, _ in parts] == [{"ray_node": "a"}, {"ray_node": "b"}]
    assert parts[0][1].splitlines() == PAGE.splitlines()[:3]
    assert parts[1][1] is None


async def test_without_ray_there_is_none(session):
    def broken():
        raise ConnectionError

    assert await serve_parts(session, SingleFlight(broken)) == []
