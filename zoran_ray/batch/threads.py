"""Work in threads: what a cancellation must not leave half-way, and what may hang. Knows no work."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import ParamSpec, TypeVar

log = logging.getLogger("zoran.batch")

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work` gives. A cancellation waits for its end, so nobody works beside it."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()):
            log.warning("work on a batch's file failed: %s", type(error).__name__)
        raise


def in_own_thread(work: Callable[[], T], name: str) -> "Future[T]":
    """What `work` will have given; whoever waits cannot cancel it.

    Not in a pool, which work that hangs would fill, and which a process that ends waits for.
    """
    begun = Future[T]()
    begun.set_running_or_notify_cancel()

    def run() -> None:
        try:
            begun.set_result(work())
        except BaseException as failure:
            begun.set_exception(failure)

    Thread(target=run, name=name, daemon=True).start()
    return begun
