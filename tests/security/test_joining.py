"""Who may not join a cluster: another token, other versions, another time; told before anything starts."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest

from actors.head_notice import PERIOD_S, PLAUSIBLE_S, _ahead_s
from tests.security.ray_head import ANOTHER, TOKEN, Head, ray_head
from zoran_ray.cli.head_check import MOST_SKEW_S, judge, require_fit
from zoran_ray.errors import ConfigError, Unreachable
from zoran_ray.ray_start import Endpoint

VERSION = version("zoran_ray")
OURS = {"ray": "2.60.0", "python": "3.11.7", "zoran": "0.1.0"}
FITS: dict[str, Any] = {**OURS, "ahead_s": 0.5}


@pytest.mark.parametrize(
    "said",
    [
        FITS,
        {name: OURS[name] for name in ("ray", "python")},
        {**FITS, "ahead_s": None},
        {**FITS, "ahead_s": -MOST_SKEW_S},
        {"ray": None, "python": None},
    ],
    ids=["all", "no server yet", "a server that stopped telling", "nearly too late", "an old head"],
)
def test_who_fits(said: dict[str, Any]) -> None:
    judge(said, OURS)


@pytest.mark.parametrize(
    ("said", "param", "words"),
    [
        ({"refused": True}, "token_file", "Copy the file that the head was started with"),
        ({**FITS, "ray": "2.59.0"}, "version", "Ray 2.59.0 (here 2.60.0)"),
        ({**FITS, "python": "3.12.1"}, "version", "Python 3.12.1 (here 3.11.7)"),
        ({**FITS, "zoran": "0.2.0"}, "version", "zoran_ray 0.2.0 (here 0.1.0)"),
        ({**FITS, "ahead_s": 95.4}, "clock", "95 s ahead of the head's"),
        ({**FITS, "ahead_s": -3600.0}, "clock", "3600 s behind the head's"),
    ],
)
def test_who_does_not(said: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        judge(said, OURS)
    assert refused.value.param == param
    assert words in refused.value.message


def test_a_plausible_clock_is_taken_at_its_word() -> None:
    def again() -> dict[str, Any]:
        raise AssertionError("it was asked a second time")

    assert _ahead_s(100.0, again, lambda: 100.0 + PERIOD_S) == PERIOD_S
    assert _ahead_s(100.0, again, lambda: 100.0 - PLAUSIBLE_S) == -PLAUSIBLE_S


@pytest.mark.parametrize("ours", [500.0, -500.0])
def test_one_that_is_off_is_looked_at_again(ours: float) -> None:
    """What stands there may be old: a server that stopped long ago is no clock."""
    said = iter([100.0, 100.0, 105.0])
    assert _ahead_s(100.0, lambda: {"clock_s": next(said)}, lambda: ours) == ours - 105.0


def test_what_listens_may_be_no_head() -> None:
    """A server that answers nonsense, as Redis would at Ray's usual port."""
    program = (
        "import socket\ns = socket.create_server(('127.0.0.1', 0))\nprint(s.getsockname()[1], flush=True)\n"
        "while True:\n    c, _ = s.accept(); c.sendall(b'-ERR no\\r\\n' * 9); c.close()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            head = Endpoint("127.0.0.1", int(server.stdout.readline()))
            with pytest.raises(Unreachable, match="does not answer as Ray's head does"):
                require_fit(head, dict(os.environ), patience_s=5)
        finally:
            server.kill()


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with ray_head() as found:
        yield found


@pytest.mark.integration
@pytest.mark.parametrize(
    ("token", "zoran", "words"),
    [(ANOTHER, VERSION, "refuses this token"), (TOKEN, "0.0.9", "zoran_ray 0.0.9")],
    ids=["wrong token", "wrong version"],
)
def test_a_real_head_and_who_does_not_fit(head: Head, token: str, zoran: str, words: str) -> None:
    head.tells(zoran, time.time())
    done = head.join(token)
    assert done.returncode == 3, done.stderr
    assert words in done.stderr
    for secret in (TOKEN, ANOTHER):
        assert secret not in done.stderr + done.stdout
    assert not list(head.folder.glob("zoran-*")), "nothing is half started"


@pytest.mark.integration
def test_a_real_head_with_another_clock(head: Head) -> None:
    """It goes on telling: what stood there first might have been old."""
    with head.telling(VERSION, behind_s=3600):
        done = head.join(TOKEN)
    assert done.returncode == 3, done.stderr
    assert "s ahead of the head's" in done.stderr


@pytest.mark.integration
def test_what_a_server_tells_is_read(head: Head) -> None:
    """As `zoran serve` tells it while it runs."""
    head.run(
        "import asyncio, contextlib, sys, ray\nfrom actors.head_notice import keep_telling\n"
        "ray.init(address=sys.argv[1], namespace='zoran', log_to_driver=False, logging_level='ERROR')\n"
        "async def main():\n    with contextlib.suppress(TimeoutError):\n"
        "        await asyncio.wait_for(keep_telling(), 1)\nasyncio.run(main())\nray.shutdown()\n"
    )
    require_fit(Endpoint("127.0.0.1", head.port), head.variables)
