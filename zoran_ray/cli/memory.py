"""`zoran memory`: what a running server remembers."""

import sys
import time
import uuid
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

import typer

from zoran_ray.cli.endpoint import ApiKey, BaseUrl, client
from zoran_ray.cli.keys import lifetime_s
from zoran_ray.cli.memory_reindex import reindex
from zoran_ray.cli.memory_shards import remove_shard
from zoran_ray.cli.memory_view import hit_cells, leaf, mapping, rows, shard_cells, shown
from zoran_ray.cli.options import AsJson, ConfigFile, StateDir
from zoran_ray.cli.output import print_json, print_table, printable

app = typer.Typer(help="What the server remembers: write, search, forget.", no_args_is_help=True)
consent = typer.Typer(help="What people agreed to.", no_args_is_help=True)
app.add_typer(consent, name="consent")
app.command("reindex")(reindex)
app.command("remove-shard")(remove_shard)

TIMEOUT_S = 90.0
COMPACT_S = 3700.0
MOST_TEXT_BYTES = 64 * 1024

Subject = Annotated[str, typer.Option("--subject", "-s", help="Whom it is about.")]
RecordId = Annotated[str, typer.Argument(metavar="ID", help="Of a record.")]
Text = Annotated[
    str | None, typer.Argument(help="The text; `-`, or nothing where it is piped in, reads stdin.")
]
Server = tuple[str | None, str | None, Any, Any]


@app.command()
def put(
    subject: Subject,
    text: Text = None,
    purpose: Annotated[str, typer.Option(help="What it may be used for; see memory.yaml.")] = "knowledge",
    layer: Annotated[
        str, typer.Option(help="Where it is to live: short, long, latent, parasitic.")
    ] = "long",
    source: Annotated[
        str | None, typer.Option(help="Where it comes from, such as web:example.org.")
    ] = None,
    consent_id: Annotated[str | None, typer.Option("--consent", help="Id of the consent.")] = None,
    expires: Annotated[str | None, typer.Option(metavar="30d", help="Lifetime: 90m, 12h, 30d.")] = None,
    sensitivity: Annotated[str, typer.Option(help="none, personal or special.")] = "none",
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Remember a text."""
    now = time.time()
    # With an id and a time of its own the same request may be sent twice.
    record: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "created": now,
        "subject": subject,
        "text": _given(text),
    }
    record |= {"purpose": purpose, "layer": layer, "sensitivity": sensitivity}
    record |= {name: value for name, value in (("source", source), ("consent", consent_id)) if value}
    if expires is not None:
        record["expires"] = now + lifetime_s(expires)
    found = _ask((base_url, api_key, state_dir, config), "POST", "memory", record)
    if as_json:
        print_json(found)
        return
    for row in rows(found):
        merged = ", merged with what said the same" if row.get("merged") else ""
        typer.echo(printable(f"{row.get('id')} ({row.get('layer')}{merged})"))


@app.command()
def search(
    text: Text = None,
    subject: Annotated[
        list[str] | None, typer.Option("--subject", "-s", help="Only about them. Repeatable.")
    ] = None,
    layer: Annotated[
        list[str] | None, typer.Option(help="Only there. Repeatable; by default short and long.")
    ] = None,
    purpose: Annotated[list[str] | None, typer.Option(help="Only kept for it. Repeatable.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Most records.")] = 10,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Find what is remembered. What came from outside is found with `--layer parasitic` only."""
    asked: dict[str, Any] = {"text": _given(text), "limit": limit}
    wanted = {"subjects": subject, "layers": layer, "purposes": purpose}
    asked |= {name: value for name, value in wanted.items() if value}
    found = _ask((base_url, api_key, state_dir, config), "POST", "memory/search", asked)
    if as_json:
        print_json(found)
        return
    print_table(("ID", "LAYER", "SUBJECT", "SCORE", "TEXT"), [hit_cells(row) for row in rows(found)])


@app.command()
def get(
    record_id: RecordId,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Show one record."""
    found = _ask((base_url, api_key, state_dir, config), "GET", f"memory/{_safe(record_id)}")
    if as_json:
        print_json(found)
    else:
        print_table(("FIELD", "VALUE"), [[name, shown(value)] for name, value in mapping(found).items()])


@app.command()
def forget(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Of records.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", "-s", help="All about them.")] = None,
    everything: Annotated[
        bool, typer.Option("--everything", help="All records and consents of the key's tenant.")
    ] = False,
    compact_too: Annotated[
        bool, typer.Option("--compact", help="Remove the bytes from the disk at once (operator).")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Erase records; nobody can bring them back."""
    if bool(ids) + (subject is not None) + everything != 1:
        raise typer.BadParameter("give ids, --subject or --everything: one of the three.")
    if everything and not yes:
        _make_sure("Erase everything that is remembered for this key's tenant?")
    what: dict[str, Any] = {"subject": subject} if subject is not None else {"ids": ids}
    what = {"everything": True} if everything else what
    server = (base_url, api_key, state_dir, config)
    found = _ask(server, "POST", "memory/forget", what | {"compact": compact_too}, COMPACT_S)
    if as_json:
        print_json(found)
        return
    told = mapping(found)
    traces = f" and {told['traces_forgotten']} traces" if told.get("traces_forgotten") else ""
    typer.echo(printable(f"Forgot {told.get('forgotten')} records{traces}{leaf(told)}."))
    if told.get("journal_leaf") is None or told.get("names_forgotten") is False:
        typer.echo("The journal could not be told all of it; repeat the command later.", err=True)


@app.command()
def export(
    subject: Subject,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Everything kept about somebody, as JSON."""
    server = (base_url, api_key, state_dir, config)
    print_json(_ask(server, "POST", "memory/export", {"subject": subject}))


@app.command()
def confirm(
    record_id: RecordId,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Say that a record is true."""
    _move("confirm", record_id, (base_url, api_key, state_dir, config), as_json)


@app.command()
def promote(
    record_id: RecordId,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Move a record on by an explicit act, which is written to the journal."""
    _move("promote", record_id, (base_url, api_key, state_dir, config), as_json)


@app.command()
def stats(
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """The embedder, and for the operator how the shards are."""
    found = _ask((base_url, api_key, state_dir, config), "GET", "memory/stats")
    if as_json:
        print_json(found)
        return
    embedder = mapping(mapping(found).get("embedder"))
    typer.echo(printable(f"Embedder: {embedder.get('id')} ({embedder.get('dimension')} numbers)"))
    shards = mapping(found).get("shards")
    if isinstance(shards, list):
        headings = ("SHARD", "NODE", "STATE", "RECORDS", "TENANTS", "CONSENTS", "MEMORY MB", "LOG MB")
        print_table(headings, [shard_cells(mapping(each)) for each in shards])


@app.command()
def compact(
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Write the memory anew, so that no file has a byte of what was forgotten (operator)."""
    found = _ask((base_url, api_key, state_dir, config), "POST", "memory/compact", {}, COMPACT_S)
    if as_json:
        print_json(found)
    else:
        typer.echo("Compacted.")


@consent.command()
def give(
    subject: Subject,
    purpose: Annotated[list[str], typer.Option(help="What it is for. Repeatable.")],
    layer: Annotated[list[str] | None, typer.Option(help="Where it may be kept. Repeatable.")] = None,
    expires: Annotated[str | None, typer.Option(metavar="30d", help="Lifetime: 90m, 12h, 30d.")] = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Record that somebody agreed; prints the consent's id."""
    now = time.time()
    agreed: dict[str, Any] = {"id": uuid.uuid4().hex, "given": now, "subject": subject, "purposes": purpose}
    agreed["layers"] = layer or ["short", "long"]
    if expires is not None:
        agreed["expires"] = now + lifetime_s(expires)
    found = _ask((base_url, api_key, state_dir, config), "POST", "memory/consents", agreed)
    if as_json:
        print_json(found)
    else:
        typer.echo(printable(str(mapping(found).get("id"))))


@consent.command()
def withdraw(
    consent_id: Annotated[str, typer.Argument(metavar="ID", help="Of a consent.")],
    keep: Annotated[bool, typer.Option("--keep", help="Hide the records instead of erasing them.")] = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Take a consent back; what was kept under it is erased."""
    path = f"memory/consents/{_safe(consent_id)}/withdraw"
    found = _ask((base_url, api_key, state_dir, config), "POST", path, {"forget": not keep})
    if as_json:
        print_json(found)
    else:
        typer.echo(f"Withdrew {consent_id}{leaf(mapping(found))}.")


def _ask(
    server: Server,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Any:
    with client(*server, timeout_s) as asked:
        return asked.ask(method, path, body)


def _move(act: str, record_id: str, server: Server, as_json: bool) -> None:
    found = _ask(server, "POST", f"memory/{_safe(record_id)}/{act}", {})
    if as_json:
        print_json(found)
    else:
        told = mapping(found)
        typer.echo(printable(f"{told.get('id')} is in {told.get('layer')}{leaf(told)}."))


def _given(text: str | None) -> str:
    """The text of an argument, or of stdin. Raises: typer.BadParameter: There is none, or too much."""
    if text is not None and text != "-":
        return text
    if text is None and sys.stdin.isatty():
        raise typer.BadParameter("give a text, or pipe one in.")
    raw = sys.stdin.buffer.read(MOST_TEXT_BYTES + 1)
    if len(raw) > MOST_TEXT_BYTES:
        raise typer.BadParameter(f"the text on stdin is longer than {MOST_TEXT_BYTES} bytes; cut it up.")
    if not (found := raw.decode("utf-8", "replace").strip()):
        raise typer.BadParameter("there is no text on stdin.")
    return found


def _make_sure(question: str) -> None:
    if not sys.stdin.isatty():
        raise typer.BadParameter("nobody can be asked here; add --yes if you mean it.")
    typer.confirm(question, abort=True, err=True)


def _safe(name: str) -> str:
    """An id as a part of a path."""
    if not name.strip("."):
        raise typer.BadParameter("an id is not empty, nor dots alone.")
    return quote(name, safe="")
