"""`zoran keys`: API keys of the endpoint."""

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoran_ray.cli.options import AsJson, ConfigFile, StateDir, settings
from zoran_ray.cli.output import print_json, print_table

if TYPE_CHECKING:
    from pathlib import Path

    from zoran_ray.access import KeyRow, KeyStore

app = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)

_UNIT_S = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What you call it.")],
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="Model it may use, * allowed. Repeatable; none means all."),
    ] = None,
    requests_per_min: Annotated[
        int | None, typer.Option(min=1, help="Most requests in any minute.")
    ] = None,
    tokens_per_min: Annotated[int | None, typer.Option(min=1, help="Most tokens in any minute.")] = None,
    expires: Annotated[str | None, typer.Option(metavar="30d", help="Lifetime: 90m, 12h, 30d, 8w.")] = None,
    tenant: Annotated[str, typer.Option(help="Whose memory and caches it shares.")] = "",
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, once."""
    store = _store(settings(config=config, state_dir=state_dir).state_dir)
    info, key = store.create(
        name,
        models=model or (),
        requests_per_min=requests_per_min,
        tokens_per_min=tokens_per_min,
        expires=time.time() + lifetime_s(expires) if expires else None,
        tenant=tenant,
    )
    typer.echo("Keep this key now: it is stored as a hash and cannot be shown again.", err=True)
    if as_json:
        print_json({"key": key, "key_id": info.key_id, "name": info.name, "expires": info.expires})
    else:
        typer.echo(key)


@app.command("list")
def list_(state_dir: StateDir = None, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """All keys that were ever made, without the keys themselves."""
    rows = [_row(each) for each in _store(settings(config=config, state_dir=state_dir).state_dir).list()]
    if as_json:
        print_json({"keys": rows})
        return
    print_table(
        ("NAME", "ID", "STATE", "MODELS", "REQUESTS/MIN", "TOKENS/MIN", "EXPIRES"),
        [
            [
                row["name"],
                row["key_id"],
                row["state"],
                " ".join(row["models"]) or "all",
                str(row["requests_per_min"] or "no limit"),
                str(row["tokens_per_min"] or "no limit"),
                _date(row["expires"]),
            ]
            for row in rows
        ],
    )


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="Id or name.")],
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """End a key for good; a running server refuses it within seconds."""
    ended = _store(settings(config=config, state_dir=state_dir).state_dir).revoke(key)
    if as_json:
        print_json({"revoked": [each.info.key_id for each in ended]})
    else:
        typer.echo(f"Revoked {', '.join(each.info.key_id for each in ended)}.")


def lifetime_s(text: str) -> float:
    """`30d` and its like in seconds."""
    match = re.fullmatch(r"(\d{1,6})([mhdw])", text)
    if match is None or int(match[1]) == 0:
        raise typer.BadParameter(f"found {text!r}, expected a lifetime like 90m, 12h, 30d or 8w.")
    return float(int(match[1]) * _UNIT_S[match[2]])


def _store(state_dir: "Path") -> "KeyStore":
    from zoran_ray.access import KeyStore

    return KeyStore(state_dir / "keys.sqlite", time.time)


def _row(row: "KeyRow") -> dict[str, Any]:
    info = row.info
    return {
        "name": info.name,
        "key_id": info.key_id,
        "state": row.state,
        "models": list(info.models),
        "requests_per_min": info.requests_per_min,
        "tokens_per_min": info.tokens_per_min,
        "expires": info.expires,
        "tenant": info.tenant,
        "created": row.created,
        "revoked": row.revoked,
    }


def _date(moment: float | None) -> str:
    return "never" if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
