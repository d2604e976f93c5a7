"""Is there enough memory for a model before anything is loaded?"""

import os
from pathlib import Path

import psutil

from zoran_ray.engines.vllm.args import in_one_process
from zoran_ray.errors import ModelLoadError
from zoran_ray.models_file import ModelSpec

_GIB = 1 << 30
# vLLM's processes on a CPU before any weight or cache, measured: front end, engine core and worker, or one
# process for the last two.
_RUNTIME_BYTES, _RUNTIME_BYTES_IN_ONE = int(2.1 * _GIB), int(1.4 * _GIB)


def weight_bytes(folder: Path) -> int:
    """Size of the weight files in a local model folder, 0 if there are none (a hub id, say)."""
    return sum(
        f.stat().st_size for pattern in ("*.safetensors", "*.bin", "*.gguf") for f in folder.glob(pattern)
    )


def require_memory(spec: ModelSpec, path: str, *, device: str) -> None:
    """Refuse a load that cannot fit, with figures. On GPU vLLM's own check has better ones.

    Raises:
        ModelLoadError: Weights, KV cache and runtime need more than is available.
    """
    if device != "cpu":
        return
    cache = int(os.environ.get("VLLM_CPU_KVCACHE_SPACE", "1")) * _GIB
    weights = weight_bytes(Path(path))
    runtime = _RUNTIME_BYTES_IN_ONE if in_one_process(spec, device=device) else _RUNTIME_BYTES
    needed = weights + cache + runtime
    available = psutil.virtual_memory().available
    if needed > available:
        raise ModelLoadError(
            f"model '{spec.name}' needs about {needed / _GIB:.1f} GiB (weights {weights / _GIB:.1f}, "
            f"KV cache {cache / _GIB:.1f}, runtime {runtime / _GIB:.1f}) and "
            f"{available / _GIB:.1f} GiB are available. Free memory, or lower the cache with "
            "env.VLLM_CPU_KVCACHE_SPACE, or choose a smaller model."
        )
