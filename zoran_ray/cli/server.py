"""`zoran stop` and `zoran status`: the server of a state directory."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoran_ray.cli.model_table import warn_of_refusal
from zoran_ray.cli.options import AsJson, ConfigFile, StateDir, settings
from zoran_ray.cli.output import Progress, print_json, print_table
from zoran_ray.errors import DeadlineExceeded, Unreachable

if TYPE_CHECKING:
    from pathlib import Path

    import psutil

    from zoran_ray.control import ProcessRecord, ServerRecord

STATUS_TIMEOUT_S = 10.0
KILL_AFTER_S = 5.0


def stop(
    state_dir: StateDir = None,
    config: ConfigFile = None,
    timeout_s: Annotated[
        float,
        typer.Option("--timeout", min=1, help="Seconds running requests and all processes have to end."),
    ] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Stop the server and everything it started; also what a killed server left behind."""
    folder = settings(config=config, state_dir=state_dir).state_dir
    from zoran_ray.control import Control, read_record, remove_record

    record = read_record(folder)
    ended: list[int] = []
    try:
        Control(folder).call("stop", timeout_s, Progress())
    except Unreachable:
        if record is None:
            raise
        ended = _end_leftovers(record)
        if not ended:
            remove_record(folder)
            raise
        remove_record(folder)
    else:
        if record is not None:
            _await_end(record.server, timeout_s)
    if as_json:
        print_json({"stopped": True, "left_behind": ended})
    else:
        typer.echo(f"Ended {len(ended)} processes of a server that had died." if ended else "Stopped.")


def status(state_dir: StateDir = None, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """What the server serves, and with which processes."""
    found = ask_status(settings(config=config, state_dir=state_dir).state_dir)
    warn_of_refusal(found.get("models_file") or {})
    if as_json:
        print_json(found)
        return
    typer.echo(f"{found.get('url', '')}  running for {_duration(float(found.get('uptime_s', 0)))}\n")
    print_table(
        ("MODEL", "STATE", "REPLICAS", "RUNNING", "WAITING"),
        [
            [str(each.get(key, "")) for key in ("name", "state", "replicas", "running", "waiting")]
            for each in found.get("models", ())
        ],
    )
    typer.echo()
    print_table(
        ("PROCESS", "PID", "MEMORY"),
        [
            [str(each.get("role", "")), str(each.get("pid", "")), _mebibytes(each.get("rss_bytes"))]
            for each in found.get("processes", ())
        ],
    )


def ask_status(state_dir: "Path") -> dict[str, Any]:
    """What the running server says of itself."""
    from zoran_ray.control import Control

    return Control(state_dir).call("status", STATUS_TIMEOUT_S)


def _await_end(process: "ProcessRecord", timeout_s: float) -> None:
    """Wait until the server's own process is gone; by then it has ended all others."""
    from zoran_ray.control import living

    ends = time.monotonic() + timeout_s
    while living(process) is not None:
        if time.monotonic() > ends:
            raise DeadlineExceeded(
                f"The server (process {process.pid}) is still ending after {timeout_s:g} s; ask again, "
                f"or end it with `kill {process.pid}`."
            )
        time.sleep(0.05)


def _end_leftovers(record: "ServerRecord") -> list[int]:
    """End what still runs of a server that died without cleaning up; ids of what was ended."""
    import psutil

    from zoran_ray.control import living

    left = [process for each in (record.server, *record.processes) if (process := living(each)) is not None]
    _signal(left, "terminate")
    _, stubborn = psutil.wait_procs(left, timeout=KILL_AFTER_S)
    _signal(stubborn, "kill")
    psutil.wait_procs(stubborn, timeout=KILL_AFTER_S)
    return [process.pid for process in left]


def _signal(processes: "list[psutil.Process]", how: str) -> None:
    import psutil

    for process in processes:
        try:
            getattr(process, how)()
        except psutil.NoSuchProcess:
            continue


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _mebibytes(count: Any) -> str:
    return f"{int(count) / 2**20:,.0f} MiB" if isinstance(count, int | float) else ""
