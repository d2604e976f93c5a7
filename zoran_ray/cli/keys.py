"""`zoran keys`: API keys of the endpoint."""

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoran_ray.cli.options import AsJson, ConfigFile, StateDir, settings
from zoran_ray.cli.output import print_json, print_table
from zoran_ray.errors import ZoranError

if TYPE_CHECKING:
    from pathlib import Path

    from zoran_ray.access import KeyRow, KeyStore, Spent

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
    usd_per_day: Annotated[
        float | None, typer.Option(min=0, help="Most USD at providers in one UTC day.")
    ] = None,
    usd_per_request: Annotated[
        float | None, typer.Option(min=0, help="Most USD that one request may cost.")
    ] = None,
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
        usd_per_day=usd_per_day,
        usd_per_request=usd_per_request,
    )
    typer.echo("Keep this key now: it is stored as a hash and cannot be shown again.", err=True)
    if as_json:
        print_json({"key": key, "key_id": info.key_id, "name": info.name, "expires": info.expires})
    else:
        typer.echo(key)


@app.command("list")
def list_(state_dir: StateDir = None, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """All keys that were ever made, without the keys themselves, and what they spent today (UTC)."""
    folder = settings(config=config, state_dir=state_dir).state_dir
    keys = _store(folder).list()
    spent = _spent_today(folder)
    rows = [_row(each, spent) for each in keys]
    if as_json:
        print_json({"keys": rows})
        return
    print_table(
        (
            "NAME",
            "ID",
            "STATE",
            "MODELS",
            "REQUESTS/MIN",
            "TOKENS/MIN",
            "USD/DAY",
            "USD/REQUEST",
            "SPENT TODAY",
            "EXPIRES",
        ),
        [_cells(row) for row in rows],
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


def _spent_today(state_dir: "Path") -> "dict[str, Spent] | None":
    """Each key's account, None where no server has kept any; keys can be listed without."""
    from zoran_ray.access import SPEND_FILE, SpendLedger

    ledger = SpendLedger(state_dir / SPEND_FILE, time.time)
    try:
        return ledger.spent_today() if ledger.exists() else None
    except ZoranError as error:
        typer.echo(f"What was spent is not known. {error.message}", err=True)
        return None


def _row(row: "KeyRow", spent: "dict[str, Spent] | None") -> dict[str, Any]:
    from zoran_ray.access import Spent, usd

    info = row.info
    today = None if spent is None else spent.get(info.key_id, Spent())
    return {
        "name": info.name,
        "key_id": info.key_id,
        "state": row.state,
        "models": list(info.models),
        "requests_per_min": info.requests_per_min,
        "tokens_per_min": info.tokens_per_min,
        "usd_per_day": info.usd_per_day,
        "usd_per_request": info.usd_per_request,
        "usd_spent_today": None if today is None else usd(today.settled),
        "usd_reserved": None if today is None else usd(today.reserved),
        "expires": info.expires,
        "tenant": info.tenant,
        "created": row.created,
        "revoked": row.revoked,
    }


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        row["name"],
        row["key_id"],
        row["state"],
        " ".join(row["models"]) or "all",
        str(row["requests_per_min"] or "no limit"),
        str(row["tokens_per_min"] or "no limit"),
        _usd(row["usd_per_day"], "no limit"),
        _usd(row["usd_per_request"], "no limit"),
        _usd(row["usd_spent_today"], "-"),
        _date(row["expires"]),
    ]


def _usd(amount: float | None, without: str) -> str:
    from zoran_ray.access import nano_usd, shown

    return without if amount is None else shown(nano_usd(amount, "amount"))


def _date(moment: float | None) -> str:
    return "never" if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
