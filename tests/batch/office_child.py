"""A process with an office in it, to be killed: works through the one batch that there is, or makes it."""

import asyncio
import random
import sys
from pathlib import Path

from tests.batch.conftest import AT_ONCE, CHAT, answered, row
from zoran_ray.batch.office import BatchOffice
from zoran_ray.batch.runner import Places


async def ask(key_id, request, request_id):
    await asyncio.sleep(random.random() * 0.02)
    return answered(request.custom_id)


async def main(folder, count):
    office = BatchOffice(folder, ask, Places(8), patience=AT_ONCE)
    found, _ = await office.batches("t", None, 1)
    if not found:
        name = await office.upload("t")
        await office.add(name, b"".join(row(f"c{n}") + b"\n" for n in range(count)) + b"{\n")
        kept = await office.keep(name, "batch", "in")
        found = [await office.create("t", "k", CHAT, kept.id, "24h")]
    await office.start()
    print("works", flush=True)
    while not (job := await office.batch("t", found[0].id)).finished:
        await asyncio.sleep(0.01)
    print("done", job.status, job.output_file_id, job.error_file_id, flush=True)
    await office.stop()


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
