"""What a model's class can do, asked in this process.

vLLM asks a process of its own, which imports all of it once more (ten seconds), so that CUDA is not begun
in this one. On a CPU there is none.
"""

import contextlib
import json
from pathlib import Path


def know_architecture(folder: Path) -> None:
    """Tell vLLM the classes that the model in `folder` names; what is unknown here it finds out itself."""
    from vllm import ModelRegistry

    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, ImportError):
        named = json.loads((folder / "config.json").read_text()).get("architectures") or []
        for name in named:
            if known := ModelRegistry.models.get(name):
                ModelRegistry.register_model(name, known.load_model_cls())
