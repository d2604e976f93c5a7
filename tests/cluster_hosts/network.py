"""Hosts on one machine: each with its own network, addresses, processes, /tmp, /dev/shm and disk.

A host is a named network namespace plus mount, process, IPC and name namespaces that its first process
holds. All hang on one switch, a bridge in a namespace of its own: the rules of a firewall on this machine
do not hold there, and with the switch every cable is gone. Knows nothing of Ray or zoran. Root only.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from tests.waiting import until

LOGS = "ZORAN_HOSTS_LOGS"
WAIT_S = 60.0
_COMMAND_S = 20.0
_MINE = "zh"
_FOLDERS = "/var/tmp"
_PROGRAMS = ("ip", "mount", "nsenter", "redis-server", "setpriv", "unshare")
# /mnt is the host's disk; /tmp lies on it. The first process collects orphans, as one has to.
_INIT = """
set -e
mount --rbind "$1" /mnt
mount --bind "$1/tmp" /tmp
mount -t tmpfs -o size=2g,mode=1777 none /dev/shm
mount --bind "$1/hosts" /etc/hosts
mount --bind "$1/resolv.conf" /etc/resolv.conf
hostname "$2"
ip link set lo up
touch /mnt/up
while :; do sleep 3600 || :; done
"""


class NotAllowed(Exception):
    """This process may not make namespaces; says why."""


def why_not() -> str:
    """Why there can be no hosts here; empty where there can."""
    if sys.platform != "linux":
        return "network namespaces are a matter of Linux"
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    if missing := [name for name in _PROGRAMS if shutil.which(name) is None]:
        return f"{', '.join(missing)} not found: install iproute2, util-linux and redis-server"
    name = f"{_MINE}{os.getpid()}-try"
    made = _run("ip", "netns", "add", name, check=False)
    if made.returncode:
        return f"`ip netns add` is refused: {made.stderr.strip()}"
    _run("ip", "netns", "del", name, check=False)
    return ""


class Switch:
    """The network that hosts hang on; this machine is on it too, as whoever asks from outside.

    Raises:
        NotAllowed: See `why_not`.
    """

    def __init__(self) -> None:
        if reason := why_not():
            raise NotAllowed(reason)
        _remove_orphans()
        # Not below /tmp: every host has its own there. Short: paths of sockets lie below it.
        self.name = f"{_MINE}{os.getpid()}"
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir=_FOLDERS))
        self._net = f"10.213.{os.getpid() % 250}"
        self._hosts: list[Host] = []
        try:
            _run("ip", "netns", "add", self.name)
            self._ip("link", "add", "lan", "type", "bridge")
            self._ip("link", "set", "lan", "up")
            self.outside = self._plug(f"{self.name}o", None, 254)
        except BaseException:
            self.close()
            raise

    def host(self, name: str, sizes: Mapping[str, int] | None = None) -> "Host":
        """A new host, running, with an address.

        Args:
            sizes: Folders of its disk that hold no more than so many bytes.
        """
        namespace = f"{self.name}-{name}"
        number = len(self._hosts) + 1
        _run("ip", "netns", "add", namespace)
        address = self._plug(f"{self.name}{number}", namespace, number)
        made = Host(name, namespace, f"{self.name}{number}p", self.name, address, self.folder / name)
        self._hosts.append(made)
        for folder, size in (sizes or {}).items():
            (made.disk / folder).mkdir(parents=True)
            _run("mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "none", str(made.disk / folder))
        made.power_on()
        return made

    def close(self) -> None:
        """End every host and remove all of it; logs go to the folder that `ZORAN_HOSTS_LOGS` names."""
        for host in self._hosts:
            host.power_off()
            _keep_logs(host)
            _run("ip", "netns", "del", host.namespace, check=False)
        _unmount(self.folder)
        # With the namespace go the bridge and its end of every cable, and so the other ends.
        _run("ip", "netns", "del", self.name, check=False)
        _run("ip", "link", "del", f"{self.name}o", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _plug(self, cable: str, namespace: str | None, number: int) -> str:
        """Lay a cable from the switch to a namespace, or to this machine. Returns: the address there."""
        address = f"{self._net}.{number}"
        into = ("-n", namespace) if namespace else ()
        _run("ip", "link", "add", cable, "type", "veth", "peer", "name", f"{cable}p", "netns", self.name)
        self._ip("link", "set", f"{cable}p", "master", "lan", "up")
        if namespace:
            _run("ip", "link", "set", cable, "netns", namespace)
        _run("ip", *into, "addr", "add", f"{address}/24", "dev", cable)
        _run("ip", *into, "link", "set", cable, "up")
        if namespace:
            # Nobody forwards, but programs find out their own address by a route to the world.
            _run("ip", *into, "route", "add", "default", "via", f"{self._net}.254")
        return address

    def _ip(self, *arguments: str) -> None:
        _run("ip", "-n", self.name, *arguments)


class Host:
    """One host. `Switch.host` makes it.

    Attributes:
        name: What it is called.
        address: Where it is reached from all others and from this machine.
        disk: What it sees as /mnt; stays when it is powered off.
    """

    def __init__(self, name: str, namespace: str, port: str, switch: str, address: str, disk: Path) -> None:
        self.name = name
        self.namespace = namespace
        self.address = address
        self.disk = disk
        self._port = port
        self._switch = switch
        self._holder: subprocess.Popen[bytes] | None = None

    @property
    def on(self) -> bool:
        """Whether it has current."""
        return self._holder is not None

    def power_on(self) -> None:
        """Start it with nothing running; its disk is as it was."""
        shutil.rmtree(self.disk / "tmp", ignore_errors=True)
        (self.disk / "tmp").mkdir(parents=True)
        (self.disk / "tmp").chmod(0o1777)
        (self.disk / "up").unlink(missing_ok=True)
        (self.disk / "hosts").write_text(f"127.0.0.1 localhost\n{self.address} {self.name}\n")
        # Nobody answers there, and that at once.
        (self.disk / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        kinds = ("--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc")
        entered = ("ip", "netns", "exec", self.namespace, "unshare", *kinds)
        self._holder = subprocess.Popen(
            # A host does not outlive us, however we end.
            ["setpriv", "--pdeathsig=KILL", *entered, "sh", "-c", _INIT, "sh", str(self.disk), self.name],
            stdin=subprocess.DEVNULL,
        )
        until(f"host {self.name} is up", self._is_up, 15)

    def power_off(self) -> None:
        """Every process is gone at once, as when the current fails."""
        if self._holder is not None:
            for first in _children(self._holder.pid):
                _send(first, signal.SIGKILL)
            self._holder.kill()
            self._holder.wait(WAIT_S)
            self._holder = None

    def _is_up(self) -> bool:
        assert self._holder is not None
        if self._holder.poll() is not None:
            raise RuntimeError(f"host {self.name} did not start")
        return (self.disk / "up").exists()

    @contextlib.contextmanager
    def full(self, folder: str) -> Iterator[None]:
        """Inside, a folder whose size is bounded has no byte left."""
        filler = self.disk / folder / "filler"
        try:
            with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while file.write(bytes(4096)):
                    pass
            yield
        finally:
            filler.unlink(missing_ok=True)

    # -- processes ----------------------------------------------------------------------------

    def start(
        self, argv: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> "subprocess.Popen[bytes]":
        """Run something there in /mnt. Returns: what holds it; ends when it ends, with its status."""
        with log.open("ab") as out:
            return subprocess.Popen(
                [*self._enter(), *argv],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def run(
        self, argv: Sequence[str], environment: Mapping[str, str], timeout_s: float = WAIT_S
    ) -> "subprocess.CompletedProcess[str]":
        """Run something there to its end."""
        return subprocess.run(
            [*self._enter(), *argv],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    def processes(self) -> list[psutil.Process]:
        """All that run there, by their ids on this machine; not the first one."""
        return [process for first in self._first() for process in _below(first)]

    def named(self, title: str) -> list[psutil.Process]:
        """Those whose command line has this in it."""
        return [process for process in self.processes() if title in title_of(process)]

    def kill(self, title: str) -> int:
        """SIGKILL to all whose command line has this in it. Returns: how many there were."""
        return sum(_send(process, signal.SIGKILL) for process in self.named(title))

    def _first(self) -> list[psutil.Process]:
        return _children(self._holder.pid) if self._holder else []

    def _enter(self) -> list[str]:
        first = self._first()
        if not first:
            raise RuntimeError(f"host {self.name} is off")
        kinds = ("--mount", "--uts", "--ipc", "--net", "--pid")
        return ["nsenter", f"--target={first[0].pid}", *kinds, "--wd=/mnt"]

    # -- the cable ----------------------------------------------------------------------------

    def unplug(self) -> None:
        """Take the link down at the switch: nothing is told to those who talk with it."""
        _run("ip", "-n", self._switch, "link", "set", self._port, "down")

    def plug(self) -> None:
        """Bring the link back."""
        _run("ip", "-n", self._switch, "link", "set", self._port, "up")


def title_of(process: psutil.Process) -> str:
    """Its command line, which Ray and vLLM set to what they do."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def ask_to_end(holder: "subprocess.Popen[bytes]", signum: int = signal.SIGTERM) -> None:
    """Send a signal to what `Host.start` started; `nsenter` itself passes none on."""
    for process in _children(holder.pid):
        _send(process, signum)


def _children(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children()
    return []


def _below(first: psutil.Process) -> list[psutil.Process]:
    """What is in its process namespace: also what was started from outside, which is no child of it."""
    try:
        space = Path(f"/proc/{first.pid}/ns/pid").readlink()
    except OSError:
        return []
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError):
            if process.pid != first.pid and Path(f"/proc/{process.pid}/ns/pid").readlink() == space:
                found.append(process)
    return found


def _send(process: psutil.Process, signum: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signum)
        return True
    return False


def _keep_logs(host: Host) -> None:
    if folder := os.environ.get(LOGS):
        for found in (host.disk.parent / f"{host.name}.log", *host.disk.glob("tmp/ray/session_2*/logs")):
            target = Path(folder, host.name, found.parent.name, found.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if found.is_dir():
                shutil.copytree(found, target, dirs_exist_ok=True)
            elif found.exists():
                shutil.copy(found, target)


def _remove_orphans() -> None:
    """What a run that was killed has left: names have its id, and its processes died with it."""
    for line in _run("ip", "netns", "list").stdout.splitlines():
        if _is_orphan(name := line.split()[0]):
            _run("ip", "netns", "del", name, check=False)
    for folder in Path(_FOLDERS).glob(f"{_MINE}*-*"):
        if _is_orphan(folder.name):
            _unmount(folder)
            shutil.rmtree(folder, ignore_errors=True)


def _unmount(folder: Path) -> None:
    """What hosts have of bounded disks."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        if Path(place := line.split()[1]).is_relative_to(folder):
            _run("umount", "--lazy", place, check=False)


def _is_orphan(name: str) -> bool:
    owner = name.removeprefix(_MINE).split("-")[0]
    return name.startswith(_MINE) and owner.isdigit() and not psutil.pid_exists(int(owner))


def _run(*argv: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_COMMAND_S)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done
