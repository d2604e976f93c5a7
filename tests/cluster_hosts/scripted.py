"""A model whose answers are written down, at the same port of each host: tasks ask it. A program."""

import asyncio

from zoran_ray.autopilot.demo import DEMO_MODEL, demo_script
from zoran_ray.autopilot.scripted_model import PREFIX, ScriptedServer

PORT = 9090
NAME = f"{PREFIX}{DEMO_MODEL}"
ARM = {
    "name": NAME,
    "provider": "openai_compatible",
    "upstream": NAME,
    "base_url": f"http://127.0.0.1:{PORT}/v1",
    "context_tokens": 131072,
    "data_goes": "local",
    "usd_per_million_input": 0,
    "usd_per_million_output": 0,
}


async def _serve() -> None:
    async with ScriptedServer(demo_script, [DEMO_MODEL], PORT):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
