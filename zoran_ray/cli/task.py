"""`zoran task`: says what is broken, and watches it being put right. Asks a running server."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoran_ray.cli.endpoint import ApiKey, BaseUrl, client
from zoran_ray.cli.exits import FAILURE, REFUSED
from zoran_ray.cli.options import AsJson, ConfigFile, StateDir
from zoran_ray.cli.output import print_json, print_table, printable
from zoran_ray.cli.task_demo import demo
from zoran_ray.cli.task_watching import follow
from zoran_ray.cli.trace_shown import show_end, show_steps

if TYPE_CHECKING:
    from zoran_ray.client import Client

app = typer.Typer(help="What is broken, and what becomes of it.", no_args_is_help=True)
app.command("demo")(demo)

TIMEOUT_S = 60.0

TaskId = Annotated[str, typer.Argument(metavar="TASK", help="Its id.")]


@dataclass(frozen=True, slots=True)
class Server:
    """Whom a command asks."""

    base_url: str | None
    api_key: str | None
    state_dir: Path | None
    config: Path | None

    def client(self) -> "Client":
        """A client; to be closed."""
        return client(self.base_url, self.api_key, self.state_dir, self.config, TIMEOUT_S)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What one route answers."""
        with self.client() as asking:
            return asking.ask(method, path, body)


@app.callback()
def root() -> None:
    """What is broken, and what becomes of it."""


@app.command()
def start(
    message: Annotated[str, typer.Argument(help="What is broken, in your words.")],
    repo: Annotated[
        list[str] | None,
        typer.Option(
            "--repo", help="Folder or https address of a repository. Repeatable; here, if not given."
        ),
    ] = None,
    mode: Annotated[
        str | None, typer.Option("--mode", help="advisor, operator, autopilot or sovereign.")
    ] = None,
    branch: Annotated[str | None, typer.Option("--branch", help="Where the change is to go.")] = None,
    model: Annotated[str | None, typer.Option("-m", "--model", help="Who is asked.")] = None,
    thread: Annotated[
        str | None, typer.Option("--thread", help="Conversation to go on with, by its id.")
    ] = None,
    deploy: Annotated[str | None, typer.Option("--deploy", help="Target, by its name.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it stands still.")] = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Begin a task: plan, edit and test a change, and as much more as the mode and the policy allow."""
    server = Server(base_url, api_key, state_dir, config)
    named = repo if repo or thread else ["."]
    # Sent again because nobody answered, it is the same task.
    once = f"cli-{secrets.token_hex(12)}"
    told = {
        "mode": mode, "model": model, "thread_id": thread, "deploy": deploy, "once": once, "wait_s": 0
    }  # fmt: skip
    fields = {name: value for name, value in told.items() if value is not None}
    task = server.ask("POST", "chat", {"message": message, **fields, **_repositories(named or [], branch)})
    if watch:
        if task["note"]:
            typer.echo(task["note"], err=True)
        _watch(server, task["id"], as_json)
    elif as_json:
        print_json(task)
    else:
        _tell(task)


@app.command()
def watch(
    task_id: TaskId,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Follow a task until it stands still. Exit status 1: it failed; 5: a person has to decide.

    With --json, each event is one line, and the task as it stands then the last.
    """
    _watch(Server(base_url, api_key, state_dir, config), task_id, as_json)


@app.command("list")
def list_tasks(
    thread: Annotated[str | None, typer.Option("--thread", help="Of this conversation only.")] = None,
    limit: Annotated[int, typer.Option("-n", min=1, max=100, help="How many.")] = 20,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Your tasks, the newest first."""
    from urllib.parse import urlencode

    asked: dict[str, Any] = {"limit": limit} | ({"thread_id": thread} if thread else {})
    page = Server(base_url, api_key, state_dir, config).ask("GET", f"tasks?{urlencode(asked)}")
    if as_json:
        print_json(page)
    else:
        rows = [(row["id"], row["state"], row["mode"], _short(row["message"])) for row in page["data"]]
        print_table(("TASK", "STATE", "MODE", "MESSAGE"), rows)


@app.command()
def show(
    task_id: TaskId,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """A task with its plan and what is known of it."""
    task = Server(base_url, api_key, state_dir, config).ask("GET", f"tasks/{_safe(task_id)}")
    if as_json:
        print_json(task)
    else:
        _tell(task)


@app.command()
def diff(
    task_id: TaskId,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """The change as it stands."""
    with Server(base_url, api_key, state_dir, config).client() as asking:
        text = asking.text(f"tasks/{_safe(task_id)}/diff")
    if as_json:
        print_json({"diff": text})
    else:
        typer.echo(printable(text), nl=False)


@app.command()
def trace(
    task_id: TaskId,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """What the model was asked for and said. With --json: the whole document, with every message."""
    document = Server(base_url, api_key, state_dir, config).ask("GET", f"tasks/{_safe(task_id)}/trace")
    if as_json:
        print_json(document)
    else:
        show_steps(document)
        show_end(document)


@app.command()
def approve(
    task_id: TaskId,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Allow what a task waits for, at the commit at which it waits, and nothing else."""
    server = Server(base_url, api_key, state_dir, config)
    awaiting = server.ask("GET", f"tasks/{_safe(task_id)}")["awaiting"] or {}
    body = {name: awaiting[name] for name in ("what", "commit") if awaiting.get(name) is not None}
    _move(server, task_id, "approve", body, as_json)


@app.command()
def cancel(
    task_id: TaskId,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """End a task. What others have seen of it is not undone."""
    _move(Server(base_url, api_key, state_dir, config), task_id, "cancel", {}, as_json)


@app.command()
def resume(
    task_id: TaskId,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Send a task that failed or waits back to where it was."""
    _move(Server(base_url, api_key, state_dir, config), task_id, "resume", {}, as_json)


def _move(server: Server, task_id: str, act: str, body: Mapping[str, Any], as_json: bool) -> None:
    task = server.ask("POST", f"tasks/{_safe(task_id)}/{act}", body)
    if as_json:
        print_json(task)
    else:
        typer.echo(f"{task['id']} is {'being cancelled' if task['cancelling'] else task['state']}.")


def _watch(server: Server, task_id: str, as_json: bool) -> None:
    with server.client() as asking:
        task = follow(asking, _safe(task_id), as_json)
    if as_json:
        print_json(task)
    else:
        _tell(task)
    if task["state"] == "awaiting_human":
        raise typer.Exit(REFUSED)
    if task["state"] in ("failed", "cancelled", "rolled_back"):
        raise typer.Exit(FAILURE)


def _repositories(named: list[str], branch: str | None) -> dict[str, Any]:
    """The fields that name repositories; folders by their whole paths."""
    rows = [
        {"repo_url": each} if "://" in each else {"repo_path": str(Path(each).expanduser().resolve())}
        for each in named
    ]
    if not rows:
        return {}
    if len(rows) > 1:
        return {"repositories": [row | ({"branch": branch} if branch else {}) for row in rows]}
    return rows[0] | ({"branch": branch} if branch else {})


def _tell(task: Mapping[str, Any]) -> None:
    """A task, for a person."""
    lines = [f"Task:    {task['id']} ({task['mode']})", f"State:   {task['state']}"]
    if task["note"]:
        lines.append(f"Note:    {task['note']}")
    for part in task.get("facts", {}).get("repositories", ()):
        lines += _part_lines(part)
    if awaiting := task["awaiting"]:
        after = "allows it" if awaiting["commit"] else "once it is done"
        act = "approve" if awaiting["commit"] else "resume"
        lines.append(f"Waits:   {awaiting['why']} `zoran task {act} {task['id']}` {after}.")
    if task["state"] == "failed" and (failed := task.get("facts", {}).get("failed")):
        lines.append(f"Why:     {failed['why']}")
    lines.append(f"Thread:  {task['thread_id']}")
    typer.echo(printable("\n".join(lines)))


def _part_lines(part: Mapping[str, Any]) -> list[str]:
    """What is known of one repository."""
    plan, attempts = part.get("plan") or {}, part.get("attempts") or ()
    told = [f"Where:   {part['remote']} ({part['branch']})"]
    if text := str(plan.get("text", "")).strip():
        told.append(f"Plan:    {text.splitlines()[0]}")
    for each in attempts:
        why = f": {each['reasons'][0]}" if each["reasons"] else ""
        told.append(f"Try {each['number']}:   {each['outcome']}{why}")
    if part.get("confidence") is not None:
        told.append(f"Sure:    {part['confidence']:.2f} of 1, from facts")
    if part.get("pushed"):
        told.append(f"Pushed:  {part['pushed']}")
    if part.get("url"):
        told.append(f"Request: {part['url']}")
    return told


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:59]}…"


def _safe(name: str) -> str:
    from urllib.parse import quote

    return quote(name, safe="")
