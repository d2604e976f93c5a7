"""`zoran pii`: personal data out of a text, and back into it; standard input to standard output."""

import codecs
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from zoran_ray.cli.options import AsJson, ConfigFile, StateDir, settings
from zoran_ray.cli.output import print_json

if TYPE_CHECKING:
    from zoran_ray.privacy import Vault
    from zoran_ray.settings import Settings

app = typer.Typer(help="Mask personal data and secrets, and put them back.", no_args_is_help=True)

MAX_BYTES = 64 * 1024 * 1024
"""Longest text that is masked at once, in bytes."""
PIECE_BYTES = 64 * 1024

Tenant = Annotated[str, typer.Option(help="Whose text it is; only the same tenant can put values back.")]


@app.command()
def mask(
    tenant: Tenant = "",
    profile: Annotated[
        str | None,
        typer.Option(help="Privacy profile that says what is looked for; else the tenant's own."),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", help="Look for this only, for example EMAIL. Repeatable."),
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option("--region", help="Recognise national phone numbers of, for example, FR. Repeatable."),
    ] = None,
    reject: Annotated[
        bool, typer.Option("--reject", help="Refuse (exit status 5) instead of masking.")
    ] = False,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Text from stdin with a placeholder for every finding; what they stand for goes into the vault."""
    from zoran_ray.privacy import Masker, Profiles, keys_in, refuse_findings, vault_folder

    given = settings(config=config, state_dir=state_dir)
    scanner = Profiles(given.privacy).of(tenant, profile).scanner_for(kind or None, region or None)
    text = _text_from_stdin()
    if reject:
        refuse_findings(scanner.scan(text))
    folder = vault_folder(given.state_dir)
    found = Masker(scanner, keys_in(folder).naming, tenant).mask(text)
    if found.values:
        # Durable before it is shown: a masked text whose values are lost could not be undone.
        _vault(given).put(tenant, found.values)
    if as_json:
        rows = [
            {"kind": finding.kind, "start": finding.start, "end": finding.end, "placeholder": name}
            for finding, name in zip(found.findings, found.placeholders, strict=True)
        ]
        print_json({"text": found.text, "findings": rows})
    else:
        _write(found.text)


@app.command()
def unmask(
    tenant: Tenant = "",
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Text from stdin with the values of this tenant's placeholders, as fast as it comes."""
    from zoran_ray.privacy import VAULT_FILE, StreamUnmasker, vault_folder

    given = settings(config=config, state_dir=state_dir)
    vault = _vault(given) if (vault_folder(given.state_dir) / VAULT_FILE).exists() else None
    replaced: dict[str, int] = {}

    def value_of(placeholder: str) -> str | None:
        value = vault.get(tenant, [placeholder]).get(placeholder) if vault else None
        if value is not None:
            replaced[placeholder] = replaced.get(placeholder, 0) + 1
        return value

    stream = StreamUnmasker(value_of)
    pieces = (stream.feed(piece) for piece in _pieces_from_stdin())
    if as_json:
        text = "".join(pieces) + stream.finish()
        findings = [{"placeholder": name, "count": count} for name, count in replaced.items()]
        print_json({"text": text, "findings": findings})
        return
    for piece in pieces:
        _write(piece)
    _write(stream.finish())


def _vault(given: "Settings") -> "Vault":
    from zoran_ray.privacy import VAULT_FILE, Vault, keys_in, vault_folder

    folder = vault_folder(given.state_dir)
    return Vault(
        folder / VAULT_FILE,
        keys_in(folder),
        time.time,
        ttl_s=given.privacy.vault_ttl_s,
        most_per_tenant=given.privacy.vault_values_per_tenant,
    )


def _text_from_stdin() -> str:
    raw = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise typer.BadParameter(f"the text on stdin is longer than {MAX_BYTES} bytes: cut it in parts.")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"stdin is no UTF-8 at byte {error.start}: convert it first.") from None


def _pieces_from_stdin() -> Iterator[str]:
    """Text as it arrives, characters never cut in two."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while data := _some_bytes():
            yield decoder.decode(data)
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise typer.BadParameter("stdin is no UTF-8: convert it first.") from None


def _some_bytes() -> bytes:
    """What is there already, rather than a full buffer; so that a pipe is passed on while it runs."""
    stream = sys.stdin.buffer
    return stream.read1(PIECE_BYTES) if hasattr(stream, "read1") else stream.read(PIECE_BYTES)


def _write(text: str) -> None:
    """As it is: no newline is added, and none is changed."""
    if text:
        sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass"))
        sys.stdout.buffer.flush()
