"""A server that somebody else runs, taken as a replica: `source: http://host:port`."""

import asyncio
from urllib.parse import urlsplit

from zoran_ray.messages import ReplicaInfo, ReplicaLoad
from zoran_ray.models_file import ModelSpec

_PROBE_S = 1.0
_CAPACITY = 256


def is_static(spec: ModelSpec) -> bool:
    """Whether the model's source is the address of a running server.

    It must serve the model under its public or bare name and speak the OpenAI API; it gets no secret,
    so it belongs on a private network.
    """
    return spec.source.startswith(("http://", "https://"))


async def probe(spec: ModelSpec, generation: str) -> ReplicaInfo | None:
    """The server as a replica, if its port answers."""
    address = urlsplit(spec.source)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        async with asyncio.timeout(_PROBE_S):
            _, writer = await asyncio.open_connection(address.hostname, port)
    except (OSError, TimeoutError):
        return None
    writer.close()
    return ReplicaInfo(
        replica_id=f"{spec.name}-static",
        model=spec.public_name,
        generation=generation,
        base_url=spec.source.rstrip("/"),
        secret="",
        capacity=int(spec.engine_args.get("max_num_seqs", _CAPACITY)),
        max_model_len=int(spec.engine_args.get("max_model_len", 0)),
        tasks=("generate",),
        load=ReplicaLoad(),
    )
