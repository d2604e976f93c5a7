"""Models as a table: state, price, limits, whereabouts. Whoever asked for them brings the rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from zoran_ray.cli.output import print_table, printable, styled
from zoran_ray.errors import UpstreamError

HEADINGS = ("MODEL", "STATE", "USD/M IN", "OUT", "CACHED", "CONTEXT", "DATA", "CAN", "ABOUT")


def print_models(rows: Sequence[Mapping[str, Any]]) -> None:
    """One line a model on stdout."""
    print_table(HEADINGS, [_cells(row) for row in rows])


def warn_of_refusal(file: Mapping[str, Any]) -> None:
    """Say on stderr that the models file as it is now is refused, if it is.

    Args:
        file: `models_file` of the server's status.
    """
    if error := file.get("error"):
        text = f"The models file is refused, and what it said before stays:\n{printable(str(error))}"
        typer.echo(styled("Warning: ", fg="yellow", bold=True) + text, err=True)


def told_rows(body: Any) -> list[dict[str, Any]]:
    """Rows of a `/v1/models` body: ours says more under `zoran` than other servers do.

    Raises:
        UpstreamError: It is none.
    """
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, list):
        raise UpstreamError(
            "The server's list of models is none; does this address speak the OpenAI protocol?"
        )
    return [_told(each) for each in data if isinstance(each, dict) and "id" in each]


def _told(entry: Mapping[str, Any]) -> dict[str, Any]:
    own = entry.get("zoran")
    own = own if isinstance(own, dict) else {}
    return {"name": str(entry["id"]), "provider": str(entry.get("owned_by") or ""), "state": ""} | own


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [
        str(row.get("name", "")),
        _state(row),
        *(_usd(row.get(f"usd_per_million_{kind}")) for kind in ("input", "output", "cached_input")),
        _tokens(row.get("context_tokens")),
        str(row.get("data_goes") or ""),
        " ".join([*_words(row.get("modalities")), *_words(row.get("capabilities"))]),
        str(row.get("why") or row.get("description") or ""),
    ]


def _state(row: Mapping[str, Any]) -> str:
    replicas = row.get("replicas")
    times = f" ×{replicas}" if isinstance(replicas, int) and replicas > 1 else ""
    return f"{row.get('state') or ''}{times}"


def _usd(price: Any) -> str:
    return f"{price:g}" if isinstance(price, int | float) else ""


def _tokens(count: Any) -> str:
    return f"{count:,}" if isinstance(count, int) else ""


def _words(value: Any) -> list[str]:
    return [str(word) for word in value] if isinstance(value, list) else []
