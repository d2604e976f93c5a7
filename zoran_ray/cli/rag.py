"""`zoran rag`: answers about the files of a folder, with the lines they stand on."""

import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from zoran_ray.cli.endpoint import ApiKey, BaseUrl, client
from zoran_ray.cli.options import AsJson, ConfigFile, StateDir, settings
from zoran_ray.cli.output import print_json, print_table, printable
from zoran_ray.errors import AlreadyRunning, RecordNotFound

if TYPE_CHECKING:
    from zoran_ray.client import Client
    from zoran_ray.memory.embedder import Embedder, EmbedderId
    from zoran_ray.rag import Answered, Folder, Index, Passage, Updated
    from zoran_ray.rag.prompt import Messages

app = typer.Typer(help="Ask about the files of a folder or a repository.", no_args_is_help=True)

TIMEOUT_S = 600.0
WAIT_S = 10.0
"""How long another command may have the index, in seconds."""
SHOWN_CHARS = 120

Root = Annotated[
    Path,
    typer.Option("--folder", "-f", help="The folder; by default the one you are in.", show_default=False),
]
Question = Annotated[str, typer.Argument(help="What you want to know.")]
Limit = Annotated[int, typer.Option("--passages", "-n", min=1, max=50, help="Most passages to look at.")]
Server = tuple[str | None, str | None, Path | None, Path | None]


@app.command()
def index(
    folder: Annotated[Path, typer.Argument(help="The folder.", show_default=False)] = Path(),
    embedder: Annotated[
        str | None,
        typer.Option(help="`hashed`, or a server's embedding model; by default the one it had, or hashed."),
    ] = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Read a folder's texts, or what changed in them since the last time."""
    from zoran_ray.cli.memory_reindex import bar
    from zoran_ray.rag import Folder

    texts = Folder(folder)
    server = (base_url, api_key, state_dir, config)
    with bar() as progress, _opened(texts.root, server, embedder, must_be=False) as found:
        done = found.update(texts.texts(), lambda n, of: progress("Passages", f"{n}/{of}"))
    if as_json:
        print_json({**asdict(done), "left_out": dict(texts.left_out)})
    else:
        _tell(done, texts)


@app.command()
def search(
    question: Question,
    folder: Root = Path(),
    limit: Limit = 8,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Show the passages that fit a question; no model is asked but that of the index."""
    found = _found(question, folder, limit, (base_url, api_key, state_dir, config))
    if as_json:
        print_json([asdict(each) for each in found])
    else:
        print_table(("PLACE", "TEXT"), [[each.place, _short(each.text)] for each in found])


@app.command()
def ask(
    question: Question,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Who answers; by default the server's first model.")
    ] = None,
    folder: Root = Path(),
    limit: Limit = 8,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")] = 600,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Answer a question about the folder's files, each statement with its line. Status 1: none fits."""
    from zoran_ray.rag import answered

    server = (base_url, api_key, state_dir, config)
    found = _found(question, folder, limit, server)
    with client(*server, timeout_s=TIMEOUT_S) as asked:

        def say(messages: "Messages") -> str:
            return asked.chat(messages, model, temperature=0, max_tokens=max_tokens).text

        answer = answered(question, found, say, secrets.token_bytes(32))
    if as_json:
        cited = [asdict(each) for each in answer.citations]
        print_json({**asdict(answer), "citations": cited})
    else:
        _show(answer)
    if not answer.found:
        raise typer.Exit(1)


@app.command()
def forget(
    folder: Annotated[Path, typer.Argument(help="The folder.", show_default=False)] = Path(),
    state_dir: StateDir = None,
    config: ConfigFile = None,
) -> None:
    """Remove a folder's index. The files stay."""
    from zoran_ray.memory.disk import FolderLock
    from zoran_ray.rag import index_folder

    place = index_folder(settings(config=config, state_dir=state_dir).state_dir, folder)
    if not place.is_dir():
        raise RecordNotFound(f"{folder.resolve()} has no index.")
    lock = FolderLock(place)
    try:
        shutil.rmtree(place)
    finally:
        lock.release()
    typer.echo(f"Forgot the index of {folder.resolve()}.")


def _found(question: str, folder: Path, limit: int, server: Server) -> "Sequence[Passage]":
    """Passages that fit and still stand where they stood."""
    from zoran_ray.rag import Folder

    if not question.strip():
        raise typer.BadParameter("there is no question.")
    texts = Folder(folder)
    with _opened(texts.root, server, None, must_be=True) as opened:
        found = opened.search(question, limit)
        paths = {each.path for each in found}
        stale = {path for path in paths if not _is_same(texts, path, opened.digest(path))}
    if stale:
        names = printable(", ".join(sorted(stale)[:5]))
        typer.echo(
            f"Changed since they were indexed, and left out: {names}. Run zoran rag index.", err=True
        )
    return [each for each in found if each.path not in stale]


def _is_same(texts: "Folder", path: str, digest: str | None) -> bool:
    now = texts.read(path)
    return now is not None and now.digest == digest


@contextmanager
def _opened(root: Path, server: Server, embedder: str | None, *, must_be: bool) -> "Iterator[Index]":
    """The index of a folder."""
    from zoran_ray.memory.embedder import HashedNgrams
    from zoran_ray.rag import Index, embedder_of, exists, index_folder, named

    found = settings(config=server[3], state_dir=server[2])
    place = index_folder(found.state_dir, root)
    if must_be and not exists(place):
        raise RecordNotFound(f"{root} has no index yet. Make one: zoran rag index {root}")

    def choose(made: "EmbedderId | None") -> "Embedder":
        if embedder is not None:
            return named(embedder, found.memory.dimension, asked)
        return HashedNgrams(found.memory.dimension) if made is None else embedder_of(made, asked)

    with _Asked(server) as asked:
        opened = _patiently(lambda: Index(place, choose))
        try:
            yield opened
        finally:
            opened.close()


class _Asked:
    """Asks the server, and connects to it only then: hashed n-grams need none."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client: Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._client is not None:
            self._client.close()

    def __call__(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        if self._client is None:
            self._client = client(*self._server, timeout_s=TIMEOUT_S)
        return self._client.ask(method, path, body)


def _patiently(make: "Callable[[], Index]") -> "Index":
    """Waits a moment where another command has the index."""
    ends = time.monotonic() + WAIT_S
    while True:
        try:
            return make()
        except AlreadyRunning:
            if time.monotonic() >= ends:
                raise
        time.sleep(0.1)


def _tell(done: "Updated", texts: "Folder") -> None:
    typer.echo(
        f"{done.added} files added, {done.changed} changed, {done.vanished} gone,"
        f" {done.unchanged} as before; {done.passages} passages read."
    )
    for why, count in sorted(texts.left_out.items()):
        typer.echo(f"Left out: {count} ({why})", err=True)


def _show(answer: "Answered") -> None:
    typer.echo(printable(answer.text))
    for each in answer.citations:
        typer.echo(printable(f"  {each}"))
    if answer.invented:
        named = ", ".join(answer.invented[:5])
        typer.echo(printable(f"The model also named what it was not given: {named}"), err=True)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARS else line[:SHOWN_CHARS] + "…"
