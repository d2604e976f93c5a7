"""vLLM's offline `LLM.generate` in a process of its own: loads once, then one run for each line of stdin.

stdin: `{"prompts": [...], "sampling": {...}}`; stdout: `{"tokens", "seconds", "digest"}`, after a first
line that says it is ready. The clock runs over `generate` alone, as vLLM's own throughput benchmark has it.
"""

import argparse
import json
import os
import sys
import time
from typing import Any

from benchmarks.batch.workload import digest
from zoran_ray.engines.vllm.pinning import born_on, pin, plan_cores


def main() -> None:
    """Answer until stdin ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--engine-args", type=json.loads, default={})
    parser.add_argument("--pin", action="store_true", help="cores as a replica of ours divides them")
    args = parser.parse_args()
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    llm = _loaded(args.model, args.engine_args, args.pin)
    print(json.dumps({"ready": True}), file=told, flush=True)
    for line in sys.stdin:
        print(json.dumps(_run(llm, json.loads(line))), file=told, flush=True)


def _loaded(model: str, engine_args: dict[str, Any], pinned: bool) -> Any:
    import psutil
    from vllm import LLM

    plan = plan_cores(os.sched_getaffinity(0), "auto" if pinned else "off")
    with born_on(plan.engine, then=plan.rest):
        llm = LLM(model=model, **engine_args)
    pin([child.pid for child in psutil.Process().children(recursive=True)], plan.engine)
    return llm


def _run(llm: Any, job: dict[str, Any]) -> dict[str, Any]:
    from vllm import SamplingParams

    sampling = SamplingParams(**job["sampling"])
    began = time.perf_counter()
    outputs = llm.generate(job["prompts"], sampling, use_tqdm=False)
    seconds = time.perf_counter() - began
    return {
        "tokens": sum(len(each.outputs[0].token_ids) for each in outputs),
        "seconds": seconds,
        "digest": digest([each.outputs[0].text for each in outputs]),
    }


if __name__ == "__main__":
    main()
