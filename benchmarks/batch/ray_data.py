"""Ray Data's LLM processor as its documentation starts it, on one engine. Runs in the peer's environment.

stdin: a job; the last line of stdout: tokens, and seconds from the first request at its engine to the last
answer, without the engine's load. Knows nothing of zoran_ray.
"""

import json
import sys
import tempfile
import time

import ray
from ray.data.llm import build_processor, vLLMEngineProcessorConfig


def main() -> None:
    """Answer one job."""
    job = json.load(sys.stdin)
    with tempfile.TemporaryDirectory(prefix="ray-data-") as nothing:
        ray.init(runtime_env={"working_dir": nothing}, num_cpus=8, include_dashboard=False)
        config = vLLMEngineProcessorConfig(
            model_source=job["model"],
            engine_kwargs={**job["engine_args"], "distributed_executor_backend": "mp"},
            concurrency=1,
            batch_size=64,
            placement_group_config={"bundles": [{"CPU": 1, "GPU": 0}]},
            chat_template_stage=False,
        )
        sampling = job["sampling"]
        processor = build_processor(
            config,
            preprocess=lambda row: {"prompt": row["item"], "sampling_params": sampling},
            postprocess=lambda row: {
                "tokens": row["num_generated_tokens"],
                "took_s": row["time_taken_llm"],
                "ended": time.time(),
            },
        )
        rows = processor(ray.data.from_items(job["prompts"])).take_all()
        ray.shutdown()
    began = min(row["ended"] - row["took_s"] for row in rows)
    seconds = max(row["ended"] for row in rows) - began
    print(json.dumps({"tokens": sum(row["tokens"] for row in rows), "seconds": seconds}))


if __name__ == "__main__":
    main()
