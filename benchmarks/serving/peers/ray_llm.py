"""Ray Serve LLM as its documentation starts it: one model, one replica, `build_openai_app`.

Runs in the peer's own environment (`peers.sh`), knows nothing of zoran_ray. Which mode it serves in is
decided by the environment `stack.py` gives it, because Ray reads those variables at import.
"""

import argparse
import json
import signal
import tempfile
import threading

import ray
from ray import serve
from ray.serve.llm import LLMConfig, build_openai_app


def main() -> None:
    """Serve until SIGINT."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, help="folder of the model")
    parser.add_argument("--name", required=True, help="name clients ask for")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--engine-args", type=json.loads, default={}, help="JSON object of vLLM's arguments"
    )
    args = parser.parse_args()
    # SIGTERM aborts a Ray driver and leaves its children to themselves; a shell may have muted SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    # A private working folder, so that nothing in the current one shadows the workers' imports.
    with tempfile.TemporaryDirectory(prefix="ray-llm-") as nothing:
        ray.init(
            address="local",
            num_cpus=8,
            num_gpus=0,
            object_store_memory=128 * 1024 * 1024,
            include_dashboard=False,
            runtime_env={"working_dir": nothing},
        )
        config = LLMConfig(
            model_loading_config={"model_id": args.name, "model_source": args.model},
            # Without a bundle of CPUs it asks for a GPU.
            placement_group_config={"bundles": [{"CPU": 1}]},
            deployment_config={"num_replicas": 1},
            engine_kwargs=args.engine_args,
            log_engine_metrics=False,
        )
        try:
            serve.start(http_options={"host": "127.0.0.1", "port": args.port})
            serve.run(build_openai_app({"llm_configs": [config]}))
            threading.Event().wait()
        except KeyboardInterrupt:
            serve.shutdown()
        finally:
            ray.shutdown()


if __name__ == "__main__":
    main()
