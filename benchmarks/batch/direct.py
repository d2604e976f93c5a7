"""The same asking as `zoran batch run`, straight at a replica's own server: what HAProxy and gateway cost.

No product: nobody's key, limits, budget or privacy are looked at there.
"""

import argparse
import asyncio
import json
import time
from pathlib import Path

import uvloop

from zoran_ray.batch.output_file import OutputFile
from zoran_ray.batch.runner import Places, Runner
from zoran_ray.cli.batch_asking import HttpAsk


class ReplicaAsk(HttpAsk):
    """Knows the secret of a replica."""

    def __init__(self, url: str, headers: dict[str, str], concurrency: int) -> None:
        super().__init__(url, None, concurrency, 600.0)
        self._headers |= headers


async def _run(book: OutputFile, url: str, headers: dict[str, str], concurrency: int) -> None:
    async with ReplicaAsk(url, headers, concurrency) as ask:
        await Runner(book, lambda line: ask(book.request(line)), Places(concurrency)).run()


def main() -> None:
    """Answer one file; print what took how long."""
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--url", required=True)
    parser.add_argument("--headers", type=json.loads, required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    args = parser.parse_args()
    with OutputFile(args.source, args.target) as book:
        began = time.monotonic()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(book, args.url, args.headers, args.concurrency))
        print(json.dumps({"took_s": time.monotonic() - began}))


if __name__ == "__main__":
    main()
