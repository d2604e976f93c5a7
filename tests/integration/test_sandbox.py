"""The sandbox on a real Docker daemon, against programs that want out."""

import asyncio
import json
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.integration.sandbox_place import containers, host, nothing_left, wait_until
from zoran_ray.autopilot.testing import Outcome, changed_lines, run_tests
from zoran_ray.errors import InvalidRequest, SandboxUnavailable
from zoran_ray.policy import read_policy, shipped_policy_file
from zoran_ray.sandbox import Backend, Job, JobRequest, JobResult, Limits, Sandbox, reap
from zoran_ray.sandbox.container import container_config
from zoran_ray.sandbox.daemon import connected
from zoran_ray.sandbox.inspection import inspect
from zoran_ray.sandbox.labels import Labels

pytestmark = pytest.mark.docker

MIB = 1024 * 1024


def run(backend: Backend, program: str, timeout_s: float = 30.0, **limits: float) -> JobResult:
    """A Python program in the sandbox."""
    request = JobRequest({"p.py": program.encode()}, ("python3", "p.py"), timeout_s, Limits(**limits))  # type: ignore[arg-type]
    return Job(backend, request).run()


def test_files_in_and_out(backend: Backend) -> None:
    done = Job(
        backend,
        JobRequest(
            {"a/same.txt": b"1", "a/changed.txt": b"1", "gone.txt": b"1"},
            (
                "sh",
                "-c",
                "printf 2 > a/changed.txt; printf 3 > a/new.txt; rm gone.txt; echo out; echo err >&2; "
                "exit 7",
            ),
            20.0,
        ),
    ).run()
    assert (done.ending, done.exit_status, done.timed_out) == ("exited", 7, False)
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")
    assert done.files_out == {"a/changed.txt": b"2", "a/new.txt": b"3"}


def test_pytest_writes_its_report(backend: Backend) -> None:
    files = {"test_it.py": b"def test_good(): pass\n\ndef test_bad(): assert 1 == 2\n"}
    done = Job(
        backend, JobRequest(files, ("python3", "-m", "pytest", "-q", "--junitxml=report.xml"), 60.0)
    ).run()
    assert done.exit_status == 1, done.stdout
    assert b'tests="2"' in done.files_out["report.xml"]


async def test_a_test_that_hangs_fails_and_lines_that_run_are_noted(backend: Backend) -> None:
    code = b"def add(a, b):\n    while a > 9:\n        pass\n    return a + b\n"
    tests = b"import c\n\ndef test_1():\n    assert c.add(1, 1) == 2\n\ndef test_2():\n    c.add(10, 1)\n"
    changed = changed_lines({}, {"c.py": code})
    command = read_policy(shipped_policy_file()).commands["test"].argv
    sandbox = Sandbox(backend, slots=1)
    run, _ = await run_tests(
        sandbox, {"c.py": code, "test_c.py": tests}, command=command, timeout_s=20.0, changed=changed
    )
    sandbox.close()
    assert run.honest
    assert run.outcomes == {"test_c::test_1": Outcome.PASSED, "test_c::test_2": Outcome.FAILED}
    assert run.coverage == 1.0


def test_an_exit_behind_pytests_back_leaves_no_report(backend: Backend) -> None:
    files = {"test_it.py": b"import os\nos._exit(0)\n"}
    done = Job(
        backend, JobRequest(files, ("python3", "-m", "pytest", "-q", "--junitxml=report.xml"), 60.0)
    ).run()
    assert done.exit_status == 0
    assert "report.xml" not in done.files_out


def test_a_program_that_is_not_there(backend: Backend) -> None:
    done = Job(backend, JobRequest({}, ("no-such-program",), 10.0)).run()
    assert done.exit_status in (126, 127)


def test_every_bound_holds(backend: Backend) -> None:
    found = inspect(backend)
    assert found.is_good, found.held
    assert len(found.held) == 12


def test_every_bound_holds_with_gvisor(backend: Backend) -> None:
    with connected(backend.host) as client:
        if "runsc" not in client.info()["Runtimes"]:
            pytest.skip("NO GVISOR: this Docker daemon has no runtime runsc")
    found = inspect(Backend(backend.deployment, backend.image, backend.host, "runsc"))
    assert found.is_good, found.held


def test_a_fork_bomb_is_bounded(backend: Backend) -> None:
    bomb = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n"
    done = run(backend, bomb, timeout_s=4.0)
    assert done.timed_out
    assert run(backend, "print('alive')").stdout == b"alive\n"


def test_what_a_fork_bomb_leaves_running_is_ended(backend: Backend) -> None:
    program = (
        "import os, time\nn = 0\nwhile n < 40:\n    n += 1\n"
        "    if os.fork() == 0:\n        time.sleep(600)\n"
        "open('n.txt', 'w').write(str(n))\n"
    )
    done = run(backend, program)
    assert (done.exit_status, done.files_out.get("n.txt")) == (0, b"40")


def test_a_memory_bomb_is_killed(backend: Backend) -> None:
    done = run(backend, "x = []\nwhile True: x.append(bytearray(16 << 20))\n", memory_bytes=128 * MIB)
    assert done.exit_status == 137 or done.ending == "lost"
    assert not done.timed_out


def test_an_output_flood_is_ended_and_cut(backend: Backend) -> None:
    program = "import sys\nsys.stdout.write('START')\nwhile True: sys.stdout.write('x' * 65536)\n"
    done = run(backend, program, output_bytes=10_000, flood_bytes=4 * MIB)
    assert (done.ending, done.exit_status) == ("flood", None)
    assert done.stdout.startswith(b"START")
    assert b"bytes cut here" in done.stdout
    assert len(done.stdout) < 10_100


def test_a_full_folder_is_the_programs_own_trouble(backend: Backend) -> None:
    program = (
        "import errno\nfor folder in ('.', '/tmp', '/dev/shm'):\n    try:\n"
        "        with open(folder + '/f', 'wb') as f:\n            while True: f.write(b'x' * 1048576)\n"
        "    except OSError as e: print(folder, errno.errorcode[e.errno])\n"
    )
    done = run(backend, program, work_bytes=8 * MIB, tmp_bytes=8 * MIB, kept_bytes=MIB)
    assert done.stdout.decode().split() == [".", "ENOSPC", "/tmp", "ENOSPC", "/dev/shm", "ENOSPC"]
    assert done.files_out == {}
    assert "too large" in done.left_out[0]


def test_one_file_is_bounded_too(backend: Backend) -> None:
    program = (
        "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "open('f', 'wb').write(b'x' * 3_000_000)\n"
    )
    done = run(backend, program, file_bytes=MIB)
    assert b"File too large" in done.stderr


def test_time_runs_out(backend: Backend) -> None:
    began = time.monotonic()
    done = run(backend, "import time\nprint('begun', flush=True)\ntime.sleep(600)\n", timeout_s=2.0)
    assert done.timed_out
    assert done.exit_status is None
    assert done.stdout == b"begun\n"
    assert 2.0 <= done.wall_s < time.monotonic() - began + 1


def test_links_devices_and_pipes_do_not_come_out(backend: Backend) -> None:
    program = (
        "import os, socket\nopen('good', 'w').write('1')\nos.symlink('/etc/passwd', 'link')\n"
        "os.symlink('/', 'root')\nos.mkfifo('pipe')\nos.link('good', 'hard')\n"
        "socket.socket(socket.AF_UNIX).bind('sock')\n"
    )
    done = run(backend, program)
    assert done.exit_status == 0, done.stderr
    assert list(done.files_out.values()) == [b"1"]  # one of the two names of the same file
    assert {line.split("'")[1] for line in done.left_out} >= {"link", "root", "pipe"}


def test_a_false_tar_cannot_be_put_in_the_way(backend: Backend) -> None:
    program = (
        "import os\nopen('tar', 'w').write('#!/bin/sh\\necho fake')\nos.chmod('tar', 0o755)\n"
        "try: os.symlink('/work/tar', '/usr/local/bin/tar')\nexcept OSError as e: print(e.errno)\n"
    )
    done = run(backend, program)
    assert done.stdout == b"30\n"  # EROFS
    assert list(done.files_out) == ["tar"]


def test_nothing_of_the_host_can_be_read(backend: Backend, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("host")
    program = (
        "import os\ndef read(p):\n    try: return open(p, 'rb').read()\n"
        "    except OSError as e: return e.errno\n"
        f"print(read('/proc/1/environ'), read({str(secret)!r}), read('/etc/shadow'), read('/proc/kcore'))\n"
        "print(sorted(os.environ))\nprint(sorted(p for p in os.listdir('/proc') if p.isdigit())[:1])\n"
    )
    lines = run(backend, program).stdout.decode().splitlines()
    assert lines[0].startswith("13 2 2 ")  # EACCES, ENOENT, ENOENT
    assert "host" not in lines[0]
    allowed = {
        "HOME",
        "HOSTNAME",
        "LANG",
        "PATH",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONUNBUFFERED",
        "PWD",
        "LC_CTYPE",
    }
    assert set(json.loads(lines[1].replace("'", '"'))) <= allowed


def test_there_is_no_network(backend: Backend) -> None:
    program = (
        "import socket\nfor address in (('192.0.2.1', 80), ('198.51.100.1', 80)):\n"
        "    try: socket.create_connection(address, 2); print('OUT')\n"
        "    except OSError as e: print(e.errno)\n"
        "try: socket.getaddrinfo('example.org', 80); print('OUT')\nexcept OSError: print('no name')\n"
    )
    assert run(backend, program).stdout.decode().split("\n")[:3] == ["101", "101", "no name"]


def test_rights_cannot_be_gained(backend: Backend) -> None:
    program = (
        "import ctypes, os, shutil\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "shutil.copy('/usr/bin/id', 'id')\nos.chmod('id', 0o6755)\nos.system('./id -u')\n"
        "calls = (lambda: os.setuid(0), lambda: os.chown('id', 0, 0), lambda: os.mknod('d', 0o60600, 9))\n"
        "for call in calls:\n"
        "    try: call(); print('OUT')\n    except OSError as e: print(e.errno)\n"
        "print(libc.mount(b'none', b'/work', b'tmpfs', 0, None), libc.unshare(0x10000000))\n"
    )
    assert run(backend, program).stdout.decode().split() == ["65534", "1", "1", "1", "-1", "-1"]


def test_files_that_do_not_fit_are_told(backend: Backend) -> None:
    request = JobRequest({"f": b"x" * 4 * MIB}, ("true",), 5.0, Limits(work_bytes=MIB))
    with pytest.raises(InvalidRequest, match="no room"):
        Job(backend, request).run()


def test_an_image_that_is_not_there_is_told(backend: Backend) -> None:
    absent = Backend(backend.deployment, "sha256:" + "1" * 64, backend.host)
    with pytest.raises(SandboxUnavailable, match="zoran sandbox build"):
        Job(absent, JobRequest({}, ("true",), 5.0)).run()


def test_a_job_that_is_cancelled_ends_at_once(backend: Backend) -> None:
    job = Job(backend, JobRequest({}, ("sleep", "600"), 100.0))
    results: list[JobResult] = []
    thread = threading.Thread(target=lambda: results.append(job.run()))
    thread.start()
    assert wait_until(lambda: any(one["State"] == "running" for one in containers(backend.deployment)), 20)
    job.cancel()
    thread.join(20)
    assert [one.ending for one in results] == ["cancelled"]


async def test_a_cancelled_task_leaves_no_container(backend: Backend) -> None:
    sandbox = Sandbox(backend, slots=1)
    task = asyncio.create_task(sandbox.run({}, ["sleep", "600"], timeout_s=100.0))
    await asyncio.sleep(1.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with nothing_left(backend.deployment, 5.0):
        sandbox.close()


async def test_many_jobs_share_a_few_slots(backend: Backend) -> None:
    sandbox = Sandbox(backend, Limits(memory_bytes=64 * MIB), slots=4, waiting=100)
    most, watching = 0, True

    async def watch() -> None:
        nonlocal most
        while watching:
            most = max(most, len(await asyncio.to_thread(containers, backend.deployment)))
            await asyncio.sleep(0.2)

    watcher = asyncio.create_task(watch())
    jobs = [sandbox.run({"n": str(n).encode()}, ["cat", "n"], timeout_s=60.0) for n in range(30)]
    results = await asyncio.gather(*jobs)
    watching = False
    await watcher
    sandbox.close()
    assert [result.stdout for result in results] == [str(n).encode() for n in range(30)]
    assert 1 <= most <= 6  # four, and those whose removal is under way


def test_a_killed_client_takes_its_container_with_it(backend: Backend) -> None:
    arguments = [backend.deployment, backend.image, host() or ""]
    clients = [
        subprocess.Popen([sys.executable, str(Path(__file__).with_name("sandbox_client.py")), *arguments])
        for _ in range(4)
    ]
    chance = random.Random(6)
    try:
        assert wait_until(lambda: len(containers(backend.deployment)) == len(clients), 60)
    finally:
        for client in clients:
            time.sleep(chance.random() / 2)
            client.send_signal(signal.SIGKILL)
            client.wait()
    assert wait_until(lambda: not containers(backend.deployment), 60), containers(backend.deployment)


def test_the_reaper_takes_only_its_own_orphans(backend: Backend, tmp_path: Path) -> None:
    others = Backend("f" * 32, backend.image, backend.host)
    now = time.time()
    with connected(backend.host) as client:

        def create(place: Backend, name: str, age_s: float) -> str:
            labels = Labels(place.deployment, name, now - age_s, now + 100)
            config = container_config(client.api, place, Limits(), labels, 100.0)
            return str(client.api.create_container_from_config(config)["Id"])

        kept = create(others, "theirs", 50), create(backend, "young", 0)
        create(backend, "old", 50)
        assert reap(backend.host, backend.deployment, now) == ("old",)
        assert {one["Id"] for one in (*containers(backend.deployment), *containers("f" * 32))} == set(kept)
        assert set(reap(backend.host, backend.deployment, now + 200)) == {"young"}
        client.api.remove_container(kept[0], force=True)
