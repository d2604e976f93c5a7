"""What vLLM knows of a model's class before it asks a process of its own."""

import json

import pytest

from zoran_ray.engines.vllm.architecture import know_architecture
from zoran_ray.pocket import MODEL_DIR

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture
def asked(monkeypatch):
    """vLLM's registry, and what it would have asked another process."""
    registry = pytest.importorskip("vllm.model_executor.models.registry")
    questions = []
    monkeypatch.setattr(registry, "_run_in_subprocess", questions.append)
    monkeypatch.setattr(registry.ModelRegistry, "models", dict(registry.ModelRegistry.models))
    return registry.ModelRegistry, questions


def test_a_known_class_is_asked_here(asked):
    registry, questions = asked
    know_architecture(MODEL_DIR)
    assert registry.models["LlamaForCausalLM"].inspect_model_cls().is_text_generation_model
    assert questions == []


@pytest.mark.parametrize(
    "config",
    [
        *("no JSON", "[]", "{}"),
        *(json.dumps({"architectures": named}) for named in (3, "Llama", [[]], ["NobodysModel"])),
    ],
)
def test_what_names_no_known_class_is_left_to_vllm(asked, tmp_path, config):
    registry, _ = asked
    before = dict(registry.models)
    (tmp_path / "config.json").write_text(config)
    know_architecture(tmp_path)
    know_architecture(tmp_path / "absent")
    assert registry.models == before
