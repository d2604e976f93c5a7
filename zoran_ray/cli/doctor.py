"""`zoran doctor`: whether this machine can serve, and what to do if not."""

import os
from dataclasses import asdict
from pathlib import Path

import typer

from zoran_ray.cli.exits import FAILURE
from zoran_ray.cli.options import AsJson, ConfigFile, StateDir
from zoran_ray.cli.output import print_json, printable, styled

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red", "skip": None}


def doctor(state_dir: StateDir = None, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Check this machine. Ends with status 1 when something required is missing."""
    from zoran_ray.doctor import examine

    checks = examine({"config": config, "state_dir": state_dir}, os.environ, Path.cwd())
    failed = any(check.status == "fail" for check in checks)
    if as_json:
        print_json({"ok": not failed, "checks": [asdict(check) for check in checks]})
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            label = styled(f"{check.status:<5}", fg=_COLOURS[check.status])
            todo = f" → {check.todo}" if check.todo else ""
            typer.echo(f"{label}{check.name:<{width}}  {printable(check.found + todo)}")
    if failed:
        raise typer.Exit(FAILURE)
