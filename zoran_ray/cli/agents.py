"""`zoran agents`: how the roles' processes are, and a new one where the old one will not do.

Asks the server of a state directory over its control socket: only its owner may.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from zoran_ray.cli.options import AsJson, ConfigFile, StateDir, settings
from zoran_ray.cli.output import print_json, print_table

app = typer.Typer(
    help="Role agents of the server: reasoner, coder, retriever, vision.", no_args_is_help=True
)

TIMEOUT_S = 30.0


@app.command("list")
def list_agents(state_dir: StateDir = None, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Each role: whether its process runs and is well, how often it was restarted, how often it died."""
    _show(_asked(state_dir, config), as_json)


@app.command()
def restart(
    role: Annotated[str, typer.Argument(help="Which; see `zoran agents list`.")],
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """End a role's process and forget its deaths; the next request starts it anew.

    What it answers at the moment fails with status 503.
    """
    _show(_asked(state_dir, config, restart=role), as_json)


def _asked(state_dir: StateDir, config: ConfigFile, **args: Any) -> dict[str, Any]:
    from zoran_ray.control import Control

    found = settings(config=config, state_dir=state_dir)
    return Control(found.state_dir).call("agents", TIMEOUT_S, **args)


def _show(found: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    rows = [
        [role, _health(each), str(max(0, each["started"] - 1)), str(each["deaths"])]
        for role, each in found["agents"].items()
    ]
    print_table(("AGENT", "HEALTH", "RESTARTS", "DEATHS"), rows)


def _health(state: Mapping[str, Any]) -> str:
    if state["given_up_s"]:
        return f"given up for {state['given_up_s']:.0f} s"
    if state["alive"]:
        return "well"
    return "not running" if state["started"] else "not started: no request has wanted it yet"
