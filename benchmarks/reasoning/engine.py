"""A model from a folder, in vLLM, asked without HTTP: what is timed is the engine and the strategy."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil

from zoran_ray.engines.vllm.build import require_build
from zoran_ray.engines.vllm.pinning import born_on, pin, plan_cores
from zoran_ray.errors import ConfigError, EngineError, ModelLoadError, UpstreamError
from zoran_ray.reasoning.completion import Completion, Completions, Message, Sampling, Used

ENGINE_ARGS: dict[str, Any] = {
    "dtype": "float32",
    "max_model_len": 2048,
    "max_num_seqs": 64,
    "block_size": 32,
    "gpu_memory_utilization": 0.2,
}
"""The same for every model. Only whole blocks of a prompt are found again in the prefix cache."""
_QUIET = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "1",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
_PROMPTS = 1024
_STOP_S = 20.0
_TRIES, _PAUSE_S = 200, 0.01


class EngineModel:
    """One engine; see `Complete`. Tokens are counted by its own tokenizer, before a call too.

    Args:
        engine: vLLM's `AsyncLLM`.
        tokenizer: With a chat template.
    """

    def __init__(self, engine: Any, tokenizer: Any) -> None:
        self._engine = engine
        self._tokenizer = tokenizer
        self._numbers = itertools.count()
        self._context = int(engine.model_config.max_model_len)
        self._ids = lru_cache(_PROMPTS)(self._read)

    async def __call__(
        self, messages: Sequence[Message], sampling: Sampling, *, deadline: float
    ) -> Completions:
        """As `Complete`; the caller bounds the time. Raises: UpstreamError: The prompt leaves no room."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        ids = self._ids(_key(messages))
        room = self._context - len(ids)
        if room < 1:
            raise UpstreamError("The prompt is longer than the model's context.")
        params = SamplingParams(
            n=sampling.n, temperature=sampling.temperature, max_tokens=min(sampling.max_tokens, room),
            stop=list(sampling.stop), seed=sampling.seed, output_kind=RequestOutputKind.FINAL_ONLY,
        )  # fmt: skip
        last = None
        prompt = {"prompt_token_ids": list(ids)}
        async for output in self._engine.generate(prompt, params, f"bench-{next(self._numbers)}"):
            last = output
        if last is None:
            raise UpstreamError("The engine gave no answer at all.")
        said = sorted(last.outputs, key=lambda each: each.index)
        made = sum(len(each.token_ids) for each in said)
        used = Used(len(said), len(ids), min(last.num_cached_tokens or 0, len(ids)), made)
        return Completions(tuple(Completion(e.text, e.finish_reason or "stop") for e in said), used)

    def most(self, messages: Sequence[Message], sampling: Sampling) -> Used:
        """Its prompt to the token, and the longest answers that fit."""
        prompt = len(self._ids(_key(messages)))
        longest = min(sampling.max_tokens, max(0, self._context - prompt))
        return Used(sampling.n, prompt, 0, sampling.n * longest)

    async def forget(self) -> None:
        """Empties the prefix cache, so that what is timed next finds nothing of what was before.

        Raises:
            EngineError: Calls are still under way.
        """
        for _ in range(_TRIES):  # what was cancelled may take the engine a moment
            if await self._engine.reset_prefix_cache():
                return
            await asyncio.sleep(_PAUSE_S)
        raise EngineError("The engine's prefix cache is in use and cannot be emptied.")

    def stop(self) -> None:
        """Ends the engine's processes."""
        engine, self._engine = self._engine, None
        engine.shutdown()

    def _read(self, key: tuple[tuple[str, str], ...]) -> tuple[int, ...]:
        messages = [{"role": role, "content": content} for role, content in key]
        text = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return tuple(self._tokenizer.encode(text, add_special_tokens=False))


def _key(messages: Sequence[Message]) -> tuple[tuple[str, str], ...]:
    return tuple((str(message["role"]), str(message["content"])) for message in messages)


def is_folder(model: str) -> bool:
    """Whether that is a model's folder, and not a name on a server."""
    return (Path(model) / "config.json").is_file()


@asynccontextmanager
async def engine_model(folder: Path) -> AsyncIterator[EngineModel]:
    """The folder's model while the block runs.

    Raises:
        ConfigError: There is no model in the folder.
        EngineMissing: There is no vLLM.
        ModelLoadError: It cannot load the model; says why.
    """
    if not is_folder(str(folder)):
        raise ConfigError(f"{folder}: there is no model in this folder; `make pocket` trains two.")
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    plan = plan_cores(os.sched_getaffinity(0), "auto" if require_build().device == "cpu" else "off")
    before = os.sched_getaffinity(0)
    try:
        with born_on(plan.engine, then=plan.rest):
            engine, tokenizer = _started(folder)
    except (OSError, RuntimeError, ValueError) as failure:
        raise ModelLoadError(f"{folder}: vLLM cannot load this model: {failure}") from failure
    ours = [each for each in psutil.Process().children(recursive=True) if _is_engine(each)]
    pin((each.pid for each in ours), plan.engine)
    model = EngineModel(engine, tokenizer)
    del engine
    try:
        yield model
    finally:
        model.stop()
        pin([os.getpid()], frozenset(before))
        await asyncio.to_thread(psutil.wait_procs, ours, _STOP_S)


def _started(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoTokenizer
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    args = AsyncEngineArgs(str(folder), **ENGINE_ARGS)
    return AsyncLLM.from_engine_args(args), AutoTokenizer.from_pretrained(folder)


def _is_engine(process: psutil.Process) -> bool:
    try:
        return any(part.startswith("VLLM::") for part in process.cmdline()[:1])
    except psutil.Error:
        return False
