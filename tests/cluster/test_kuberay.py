"""What the RayService deploys: running when the server answers, unhealthy when it is gone, no orphan."""

import os
import signal
import sys

import pytest

from serve_apps.kuberay import ServerKeeper
from zoran_ray.errors import ConfigError, ZoranError

READY = "import sys, time; print('{}', flush=True); time.sleep(60)"


def _server(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_it_runs_until_it_is_stopped() -> None:
    keeper = ServerKeeper(_server(READY))
    pid = keeper._process.pid
    keeper.check_health()
    keeper.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(ConfigError, match="needs an API key"):
        ServerKeeper(_server("import sys; sys.exit('listening on 0.0.0.0 needs an API key')"))


def test_a_server_that_is_gone_is_not_healthy() -> None:
    keeper = ServerKeeper(_server(READY))
    os.kill(keeper._process.pid, signal.SIGKILL)
    keeper._process.wait(10)
    with pytest.raises(ZoranError, match="status -9"):
        keeper.check_health()
    keeper.stop()


def test_a_server_that_never_answers_is_given_up() -> None:
    with pytest.raises(ZoranError, match=r"within 0\.5 s"):
        ServerKeeper(_server("import time; time.sleep(60)"), ready_s=0.5)


def test_much_output_does_not_stop_it() -> None:
    text = "import sys; print('ready', flush=True); sys.stdout.write('x' * 10_000_000)"
    keeper = ServerKeeper(_server(text))
    assert keeper._process.wait(30) == 0
    keeper.stop()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray Serve's own, when it is imported
def test_the_application_stays_on_the_head() -> None:
    from serve_apps.kuberay import keeper_app

    deployment = keeper_app({"config": "/tmp/zoran.yaml"})._bound_deployment
    assert deployment.num_replicas == 1
    assert deployment.ray_actor_options["resources"] == {"node:__internal_head__": 0.001}
    assert deployment.init_args[0][-1] == "--config=/tmp/zoran.yaml"
