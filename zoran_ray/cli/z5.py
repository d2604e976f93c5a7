"""`zoran z5`: text-safe compressed frames, from stdin to stdout."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from zoran_ray.memory.z5 import Z5

app = typer.Typer(help="Compressed frames of plain ASCII, `Z5::…`.", no_args_is_help=True)

MAX_BYTES = 16 * 1024 * 1024
MOST_BYTES = 256 * 1024 * 1024
MAX_SAMPLES_BYTES = 64 * 1024 * 1024

Dictionaries = Annotated[
    list[Path] | None,
    typer.Option(
        "--dictionary",
        metavar="KIND.zdict",
        help="File of `zoran z5 train`, besides those there are; its name says the kind. Repeatable.",
    ),
]
MaxBytes = Annotated[
    int, typer.Option("--max-bytes", min=1, max=MOST_BYTES, help="Most content that is accepted.")
]


@app.command()
def encode(
    kind: Annotated[
        str | None,
        typer.Option(
            help="Kind of record whose dictionary is used, such as `conversation`; by default none."
        ),
    ] = None,
    dictionaries: Dictionaries = None,
    max_bytes: MaxBytes = MAX_BYTES,
) -> None:
    """Make one frame of what stands on stdin, byte for byte."""
    content = read_stdin(max_bytes)
    typer.echo(_codec(dictionaries, max_bytes).encode(content, kind))


@app.command()
def decode(dictionaries: Dictionaries = None, max_bytes: MaxBytes = MAX_BYTES) -> None:
    """Write the content of the frame on stdin, byte for byte; nothing is written of a faulty one."""
    # A frame of content that cannot be compressed is a third longer, and a little.
    raw = read_stdin(2 * max_bytes + 4096)
    text = raw.decode("ascii", "replace").removesuffix("\n").removesuffix("\r")
    content = _codec(dictionaries, max_bytes).decode(text)
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


@app.command()
def train(
    kind: Annotated[str, typer.Argument(help="Kind of record the dictionary is for: letters and digits.")],
    made_up: Annotated[
        bool, typer.Option("--made-up", help="From the made-up conversations that come with zoran.")
    ] = False,
    size_kib: Annotated[int, typer.Option("--size", min=1, max=1024, help="KiB of the dictionary.")] = 32,
) -> None:
    """Write a dictionary from records on stdin, one a line; it will hold pieces of them in the clear."""
    from zoran_ray.memory.z5_dictionary import train as trained
    from zoran_ray.memory.z5_samples import conversations

    lines = conversations() if made_up else iter(read_stdin(MAX_SAMPLES_BYTES).splitlines())
    made = trained(_kind(kind), lines, size_kib * 1024)
    sys.stdout.buffer.write(made.content)
    sys.stdout.buffer.flush()


def read_stdin(most: int) -> bytes:
    """What stands on stdin. Raises: BodyTooLarge: More than `most` bytes."""
    from zoran_ray.errors import BodyTooLarge

    raw = sys.stdin.buffer.read(most + 1)
    if len(raw) > most:
        raise BodyTooLarge(f"There are more than {most} bytes on stdin; split them, or raise the limit.")
    return raw


def _codec(files: list[Path] | None, max_bytes: int) -> "Z5":
    from zoran_ray.errors import ConfigError
    from zoran_ray.memory.z5 import Z5
    from zoran_ray.memory.z5_dictionary import Dictionary, shipped

    found = list(shipped())
    for path in files or []:
        try:
            found.append(Dictionary(_kind(path.name.partition(".")[0]), path.read_bytes()))
        except OSError as wrong:
            raise ConfigError(f"The dictionary {path} cannot be read: {wrong.strerror}.") from wrong
    return Z5(found, max_bytes=max_bytes)


def _kind(name: str) -> str:
    if not (name.isascii() and name.isalnum() and len(name) <= 64):
        raise typer.BadParameter(f"{name!r} is no kind: letters and digits, 64 at most.")
    return name
