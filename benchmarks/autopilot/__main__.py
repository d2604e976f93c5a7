"""`python -m benchmarks.autopilot`: what is merged, what a kill leaves behind, who gets out.

python -m benchmarks.autopilot --write-readme                 everything
python -m benchmarks.autopilot --only quality --bugs 4        does it work at all
python -m benchmarks.autopilot --only context                 what is found to be shown; without Docker

A run that was cut goes on where it was. Docker is started for the run where none answers; what needs it is
left out, and said to be, where there is none.
"""

import argparse
import asyncio
import hashlib
import os
import platform
import random
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.autopilot import containers, context, kill, overhead, quality, red_team
from benchmarks.autopilot.bugs import humaneval_bugs
from benchmarks.autopilot.cases import BUGS, EVERY, cases
from benchmarks.autopilot.docker_place import docker_place
from benchmarks.autopilot.report import markdown
from benchmarks.readme import README, ROOT, link, save, write_into
from benchmarks.reasoning.parts import Parts
from zoran_ray.sandbox import Backend

PARTS = ("overhead", "containers", "red-team", "kill", "quality", "context")
_WITHOUT_DOCKER = frozenset({"context"})
"""Parts that have no use for it."""
PROGRESS = ROOT / "build" / "bench-autopilot.jsonl"
_CODE = ("benchmarks/autopilot", "zoran_ray/autopilot", "zoran_ray/policy", "zoran_ray/sandbox", "policy")
"""Where a change makes a run another one."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints, writes what was asked for. 1 where something was missed."""
    args = _arguments(argv)
    results = asyncio.run(_measured(args))
    whole = all("left_out" not in found for found in results.values() if isinstance(found, dict))
    publish = args.write_readme and whole
    data = save("autopilot", results, args.json, publish=publish)
    text = markdown(results, link(data) if data else None)
    print(text)
    if args.write_readme and not whole:
        print("Something was left out: nothing is published.", file=sys.stderr)
    if publish:
        write_into(README, "autopilot", text)
    return int("**" in text)  # what was missed is bold


async def _measured(args: argparse.Namespace) -> dict[str, Any]:
    names = ("bugs", "data", "every", "jobs", "points", "queries", "rounds")
    run = {"code": _code(), **{name: str(getattr(args, name)) for name in names}}
    parts = Parts(PROGRESS, run)

    async def now() -> str:
        return f"{datetime.now(UTC):%Y-%m-%d %H:%M}"

    results: dict[str, Any] = {
        "started": await parts.part("started", now),
        "machine": f"{platform.platform()}, {os.cpu_count()} cores",
    }
    undocked = _WITHOUT_DOCKER.issuperset(args.only)
    with nullcontext("not looked for") if undocked else docker_place() as place:
        for name in PARTS:
            if name in args.only:
                results[name] = await _part(name, args, place, parts)
    if set(args.only) == set(PARTS):
        parts.end()
    return results


async def _part(name: str, args: argparse.Namespace, place: Backend | str, parts: Parts) -> Any:
    """What a part has found, or why it was left out."""
    if name == "context":
        return await _context(args, parts)
    if isinstance(place, str) and name != "red-team":
        return {"left_out": place}
    measures: dict[str, Callable[[Any], Any]] = {
        "overhead": lambda place: asyncio.to_thread(overhead.measure, place, args.rounds),
        "containers": lambda place: asyncio.to_thread(containers.measure, place, args.jobs),
        "red-team": lambda place: asyncio.to_thread(red_team.measure),
        "kill": lambda place: kill.measure(place, args.points),
    }
    if name in measures:
        return await parts.part(name, lambda: measures[name](place))
    assert isinstance(place, Backend)
    return await _quality(args, place, parts)


async def _context(args: argparse.Namespace, parts: Parts) -> Any:
    if not args.data.is_file():
        return _no_bugs(args.data)
    return await parts.part("context", lambda: asyncio.to_thread(context.measure, args.data, args.queries))


async def _quality(args: argparse.Namespace, place: Backend, parts: Parts) -> dict[str, Any]:
    if not args.data.is_file():
        return _no_bugs(args.data)
    bugs = humaneval_bugs(args.data)
    if args.bugs:
        bugs = tuple(random.Random(6).sample(bugs, min(args.bugs, len(bugs))))
    tried = cases(bugs, args.every)
    sample = "behaviours to be merged with every bug"
    if args.every > 1:
        sample += f", each of the others with one bug in {args.every}"
    found = await quality.measure(place, tried, parts)
    return found | {"bugs": len(bugs), "sample": sample}


def _no_bugs(data: Path) -> dict[str, Any]:
    return {"left_out": f"there are no bugs at {data}; name a file with --data"}


def _code() -> str:
    files = sorted(
        path for place in _CODE for path in (ROOT / place).rglob("*") if path.suffix in (".py", ".yaml")
    )
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--bugs", type=int, default=0, help="how many, drawn at random; 0: all")
    parser.add_argument("--data", type=Path, default=BUGS, help="bugs, as HumanEvalPack's JSON lines")
    parser.add_argument("--every", type=int, default=EVERY, help="bad behaviours meet one bug in so many")
    parser.add_argument("--points", type=int, default=kill.POINTS, help="kills of each state")
    parser.add_argument("--jobs", type=int, default=containers.JOBS, help="jobs whose client is killed")
    parser.add_argument("--rounds", type=int, default=overhead.ROUNDS, help="jobs of the overhead")
    parser.add_argument("--queries", type=int, default=context.QUERIES, help="asked of a large repository")
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--write-readme", action="store_true", help="also benchmarks/README.md and results/"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
