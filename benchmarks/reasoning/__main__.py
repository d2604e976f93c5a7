"""`python -m benchmarks.reasoning`: strategies over instances, at equal calls or equal tokens.

python -m benchmarks.reasoning [--quick] [--write-readme]
python -m benchmarks.reasoning --task countdown --instances FILE --model local/pocket-lab-s --json OUT
python -m benchmarks.reasoning --task countdown --level 1 --count 100 --write-instances FILE

Without a task everything is measured, on the laboratory's two models. With one, its contenders are, on any
model: one that a server has, or a folder, which is loaded here. An instance is a line of JSON:
{"question": "…", "verifier": {"kind": "numeric", "expected": 42}}, with `level` and `key` where they are
known. Without a file, instances are drawn that the laboratory's models were never taught. Before a call, a
prompt to a server is taken to have a token for each byte: a bound on tokens must leave room for the longest
one (LoT's: about 3,500).
"""

import os

# Before numpy: engines have their cores, and a second thread of ours would take from them.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.readme import README, link, save, write_into
from benchmarks.reasoning import report, whole
from benchmarks.reasoning.contenders import Contender, contenders
from benchmarks.reasoning.engine import engine_model, is_folder
from benchmarks.reasoning.instances import read_instances, write_instances
from benchmarks.reasoning.model import ServedModel
from benchmarks.reasoning.running import Outcome, results, run
from benchmarks.reasoning.scale import FULL, QUICK
from benchmarks.reasoning.tasks import TASKS
from benchmarks.reasoning.tasks.task import Instance, held_out_instances
from zoran_ray.client import AsyncClient
from zoran_ray.errors import ConfigError, ZoranError
from zoran_ray.reasoning.budget import Budget
from zoran_ray.reasoning.completion import Complete


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints, writes what was asked for. 2 where something that was given cannot be used."""
    args = _arguments(argv)
    try:
        return _one_task(args) if args.task else _everything(args)
    except ZoranError as error:
        print(error.message, file=sys.stderr)
        return 2


def _everything(args: argparse.Namespace) -> int:
    if args.quick and args.write_readme:
        raise ConfigError("What --quick measures shows that it runs, and is not published.")
    scale = QUICK if args.quick else FULL
    said = asyncio.run(whole.measured(args.models, scale, args.only))
    data = save("reasoning", said, args.json, publish=args.write_readme)
    text = report.markdown(said, link(data) if data else None)
    print(text)
    if args.write_readme:
        write_into(README, "reasoning", text)
    return 0


def _one_task(args: argparse.Namespace) -> int:
    instances = _instances(args)
    if args.write_instances:
        write_instances(args.write_instances, instances)
    if args.model:
        said = asyncio.run(_asked(args, instances))
        save("reasoning", said, args.json, publish=False)
        print(markdown(said))
    return 0


async def _asked(args: argparse.Namespace, instances: Sequence[Instance]) -> dict[str, Any]:
    if is_folder(args.model):
        async with engine_model(Path(args.model)) as loaded:
            return await measure(loaded, args, instances)
    async with AsyncClient(args.base_url, _key(args.key_file), args.limit_s) as client:
        return await measure(ServedModel(client, args.model), args, instances)


def _key(path: Path | None) -> str | None:
    try:
        return path.read_text().strip() if path else None
    except (OSError, UnicodeDecodeError):
        raise ConfigError("The key file cannot be read.") from None


async def measure(
    model: Complete, args: argparse.Namespace, instances: Sequence[Instance]
) -> dict[str, Any]:
    """Every contender with every budget, one after the other; `args` as on the command line."""
    said: dict[str, Any] = {
        "started": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        "task": args.task,
        "model": args.model,
        "seed": args.seed,
        "max_tokens": args.max_tokens,
        "instances": [{"key": each.key, "level": each.level} for each in instances],
        "budgets": {},
    }
    for name, budget in _budgets(args).items():
        found = {}
        for contender in chosen(args.strategies, contenders(args.task, budget, args.max_tokens)):
            print(f"{name}: {contender.name} …", file=sys.stderr)
            found[contender.name] = await run(
                contender,
                instances,
                model,
                budget,
                at_once=args.at_once,
                limit_s=args.limit_s,
                seed=args.seed,
            )
        said["budgets"][name] = {"contenders": results(found), "outcomes": _plain(found)}
    return said


def chosen(names: Sequence[str] | None, known: Sequence[Contender]) -> list[Contender]:
    """The contenders of those names; all where none is named. Raises: ConfigError: There is none such."""
    there = {contender.name: contender for contender in known}
    for name in names or ():
        if name not in there:
            raise ConfigError(
                f"There is no contender {name[:64]!r} on this task. There are: {', '.join(there)}."
            )
    return [there[name] for name in names or there]


def markdown(said: dict[str, Any]) -> str:
    """The results as tables, one for each budget."""
    parts = [f"{said['task']}, {len(said['instances'])} instances, model {said['model']}"]
    for name, budget in said["budgets"].items():
        parts.append(f"At most {name} for each instance:\n\n{report.contenders(budget)}")
    return "\n\n".join(parts)


def _plain(found: dict[str, list[Outcome]]) -> dict[str, list[list[Any]]]:
    """Each outcome as right, end, calls, tokens and seconds."""
    return {
        name: [[o.right, o.ended, o.used.calls, o.used.tokens, round(o.wall_s, 4)] for o in outcomes]
        for name, outcomes in found.items()
    }


def _budgets(args: argparse.Namespace) -> dict[str, Budget]:
    return {f"{calls} calls": Budget(calls=calls) for calls in args.calls} | {
        f"{tokens} tokens": Budget(tokens=tokens) for tokens in args.tokens
    }


def _instances(args: argparse.Namespace) -> list[Instance]:
    if args.instances:
        return read_instances(args.instances, args.task)[: args.count]
    if args.task not in TASKS:
        raise ConfigError(f"Give --instances, or a task of the laboratory: {', '.join(TASKS)}.")
    task = TASKS[args.task]
    levels = [args.level] if args.level else range(1, task.levels + 1)
    if args.level and not 1 <= args.level <= task.levels:
        raise ConfigError(f"The task '{task.name}' has the levels 1 to {task.levels}.")
    count = -(-(args.count or 200) // len(levels))
    return [each for level in levels for each in held_out_instances(task, level, count, args.seed)]


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="everything, in small: shows that it runs")
    parser.add_argument(
        "--models", type=Path, nargs=2, default=(whole.SMALL, whole.LARGE), metavar=("SMALL", "LARGE"),
        help="folders, for everything",
    )  # fmt: skip
    parser.add_argument("--only", nargs="+", choices=whole.PARTS, default=whole.PARTS, help="of everything")
    parser.add_argument(
        "--write-readme", action="store_true", help="also benchmarks/README.md and results/"
    )
    parser.add_argument(
        "--task", help=f"one of {', '.join(TASKS)}, or any name with --instances; none: everything"
    )
    parser.add_argument("--instances", type=Path, help="JSON lines; none: drawn, never taught")
    parser.add_argument("--write-instances", type=Path, help="write those that were drawn or read")
    parser.add_argument("--level", type=int, help="of drawn instances; none: all alike")
    parser.add_argument("--count", type=int, help="instances; 200 of those drawn, all of a file")
    parser.add_argument("--model", help="name on the server, or folder; none: only instances are written")
    parser.add_argument("--base-url", default="http://127.0.0.1:8080/v1")
    parser.add_argument("--key-file", type=Path, help="file with the API key")
    parser.add_argument("--strategies", nargs="+", help="contenders; none: all of the task")
    parser.add_argument("--calls", type=int, nargs="*", default=[32], help="budgets of sampled answers")
    parser.add_argument("--tokens", type=int, nargs="*", default=[4096], help="budgets of tokens")
    parser.add_argument("--max-tokens", type=int, default=256, help="longest answer of a call")
    parser.add_argument("--at-once", type=int, default=4, help="instances at the same time")
    parser.add_argument("--limit-s", type=float, default=120.0, help="longest for one instance")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
