"""`zoran memory remove-shard`: go on without a part of the memory that is lost."""

from typing import Annotated

import typer

from zoran_ray.cli.options import AsJson, ConfigFile, StateDir, settings
from zoran_ray.cli.output import print_json

TIMEOUT_S = 1800.0


def remove_shard(
    shard: Annotated[str, typer.Argument(help="Its name; `zoran memory stats` lists them.")],
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Go on without a shard whose node or disk is lost; its replicas are copied again.

    What only that shard knew is lost, forgettings too. One that answers is not removed.
    """
    from zoran_ray.control import Control

    found = settings(config=config, state_dir=state_dir)
    result = Control(found.state_dir).call("memory_remove", TIMEOUT_S, shard=shard)
    if as_json:
        print_json(result)
    else:
        typer.echo(f"Removed {shard}. Left: {', '.join(result['shards'])}.")
