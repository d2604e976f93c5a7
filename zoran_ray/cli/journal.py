"""`zoran journal`: what a journal's file says, and whether it can be believed. Needs no running server."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoran_ray.cli.exits import FAILURE
from zoran_ray.cli.options import AsJson, ConfigFile, StateDir, settings
from zoran_ray.cli.output import Progress, print_json, print_table, printable
from zoran_ray.errors import ConfigError, InvalidRequest

if TYPE_CHECKING:
    from zoran_ray.journal import Checkpoint, Contents, Verdict, VerifierKey

app = typer.Typer(help="The record of what was decided, kept and erased.", no_args_is_help=True)

JournalPath = Annotated[
    Path | None, typer.Option("--file", help="Journal to read instead of the state directory's.")
]
MOST_TAIL = 10_000

_MOST_INPUT_BYTES = 65_536


@app.command()
def head(
    file: JournalPath = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """The signed checkpoint over all entries. Copy it to where nobody can change it."""
    from zoran_ray.journal import checkpoint_row

    with _contents(_path(file, state_dir, config)) as contents:
        checkpoint = _checkpoint(contents)
    if as_json:
        print_json(checkpoint_row(checkpoint) | {"note": checkpoint.note, "key": str(contents.key)})
    else:
        typer.echo(checkpoint.note, nl=False)
        typer.echo(f"Verifier key: {contents.key}", err=True)


@app.command()
def tail(
    count: Annotated[int, typer.Option("-n", min=1, max=MOST_TAIL, help="How many.")] = 20,
    file: JournalPath = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """The last entries, oldest first."""
    from zoran_ray.journal import entry_row

    with _contents(_path(file, state_dir, config)) as contents:
        size = contents.tree.size
        first = max(0, size - count)
        rows = [entry_row(number, data) for number, data in enumerate(contents.data(first, size), first)]
    if as_json:
        print_json({"size": size, "entries": rows})
    else:
        print_table(("NUMBER", "TIME", "KIND", "DETAILS"), [_cells(row) for row in rows])


@app.command()
def prove(
    index: Annotated[int | None, typer.Argument(min=0, help="Number of an entry.")] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Instead: that nothing before the checkpoint in this file has changed; `-` reads stdin.",
        ),
    ] = None,
    file: JournalPath = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
) -> None:
    """A proof, as JSON, that an entry is there. `zoran journal verify --proof` checks it anywhere."""
    from zoran_ray.journal import consistency_evidence, inclusion_evidence

    if (index is None) == (since is None):
        raise typer.BadParameter("give the number of an entry, or --since, and not both.")
    old = None if since is None else _copied(since)
    with _contents(_path(file, state_dir, config)) as contents:
        checkpoint, tree = _checkpoint(contents), contents.tree
        if index is not None:
            (data,) = contents.data(index, index + 1)
            print_json(inclusion_evidence(index, data, tree.inclusion(index), checkpoint))
        elif old is not None:
            if contents.root_at(old.size) != old.root:
                raise InvalidRequest("The journal is not one that this checkpoint is of. Verify it.")
            print_json(consistency_evidence(old, tree.consistency(old.size), checkpoint))


@app.command()
def verify(
    against: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Checkpoint copied from `zoran journal head`; `-` reads stdin."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Verifier key you trust; by default the state directory's."),
    ] = None,
    proof: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Check this proof, and no journal; `-` reads stdin."),
    ] = None,
    file: JournalPath = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Check every byte of a journal, and that all is there that a copied checkpoint says."""
    from zoran_ray.journal import evidence_holds, read_evidence, verify_file

    trusted = _trusted(key, state_dir, config, ours=file is None)
    if proof is not None:
        if trusted is None:
            raise typer.BadParameter("--proof needs --key: there is no key in the state directory.")
        holds = evidence_holds(read_evidence(_piece(proof)), trusted)
        if as_json:
            print_json({"holds": holds, "key": str(trusted)})
        else:
            typer.echo("The proof holds." if holds else "The proof does not hold.")
        raise typer.Exit(0 if holds else FAILURE)
    path = _path(file, state_dir, config)
    Progress()("Reading", str(path))
    verdict = verify_file(path, key=trusted, against=None if against is None else _copied(against))
    _show(verdict, as_json)
    raise typer.Exit(0 if verdict.is_good else FAILURE)


def _path(file: Path | None, state_dir: Path | None, config: Path | None) -> Path:
    from zoran_ray.journal import JOURNAL_FILE

    return file or settings(config=config, state_dir=state_dir).state_dir / JOURNAL_FILE


@contextmanager
def _contents(path: Path) -> "Iterator[Contents]":
    """A sound journal, or one whose last write is still going on."""
    from zoran_ray.journal import opened, read_contents

    Progress()("Reading", str(path))
    # What is told may be relied on, so it must outlive a loss of power.
    with opened(path, on_disk=True) as read:
        contents = read_contents(read, check_signatures=False)
        if contents.fault is not None and contents.fault.damaged:
            raise ConfigError(f"{path} is damaged. `zoran journal verify` says where.")
        yield contents


def _checkpoint(contents: "Contents") -> "Checkpoint":
    assert contents.checkpoint is not None  # without one it is damaged
    return contents.checkpoint


def _trusted(
    key: str | None, state_dir: Path | None, config: Path | None, *, ours: bool
) -> "VerifierKey | None":
    """The key that was given, or that of the state directory, if it has one."""
    from zoran_ray.journal import KEY_FILE, VerifierKey, load_key

    if key is not None:
        return VerifierKey.parse(key)
    path = settings(config=config, state_dir=state_dir).state_dir / KEY_FILE
    return load_key(path).verifier if ours and path.exists() else None


def _copied(name: str) -> "Checkpoint":
    from zoran_ray.journal import parse_checkpoint

    return parse_checkpoint(_piece(name).decode(errors="replace"))


def _piece(name: str) -> bytes:
    """A small file, or what is piped in."""
    try:
        if name == "-":
            return sys.stdin.buffer.read(_MOST_INPUT_BYTES + 1)
        with Path(name).open("rb") as file:
            return file.read(_MOST_INPUT_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror}. Check its name.") from error


def _told(checkpoint: "Checkpoint | None") -> dict[str, Any]:
    from zoran_ray.journal import checkpoint_row

    return (
        {"origin": None, "size": None, "root": None} if checkpoint is None else checkpoint_row(checkpoint)
    )


def _cells(row: dict[str, Any]) -> list[str]:
    number = str(row["number"])
    if "unread" in row:
        return [number, "", "", printable(row["unread"])]
    details = " ".join(f"{name}={_value(value)}" for name, value in row["meta"].items())
    return [number, _date(row["at_ms"]), row["kind"], details]


def _value(value: Any) -> str:
    return (
        {True: "yes", False: "no"}[value]
        if isinstance(value, bool)
        else "-"
        if value is None
        else str(value)
    )


def _date(at_ms: int) -> str:
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"{at_ms} ms"


def _show(verdict: "Verdict", as_json: bool) -> None:
    if as_json:
        found = {
            "integrity": verdict.integrity,
            "completeness": verdict.completeness,
            "entries": verdict.entries,
            "checkpoint": _told(verdict.checkpoint),
            "key": verdict.key,
            "key_given": verdict.key_given,
            "why": verdict.why,
        }
        print_json(found)
        return
    typer.echo(f"Integrity:    {verdict.integrity}")
    typer.echo(f"Completeness: {verdict.completeness}")
    typer.echo(f"Entries:      {verdict.entries}")
    if verdict.key:
        typer.echo(f"Key:          {verdict.key}")
    if verdict.why:
        typer.echo(verdict.why)
    if verdict.completeness == "unknown":
        typer.echo("Give --against a copied checkpoint to learn whether all is there.", err=True)
    if not verdict.key_given:
        typer.echo("The key is the file's own: it does not show who wrote it. Give --key.", err=True)
