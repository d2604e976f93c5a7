"""Whether a model fits, judged before anything is loaded."""

from types import SimpleNamespace

import pytest

from zoran_ray.engines.vllm import memory
from zoran_ray.engines.vllm.args import ONE_PROCESS
from zoran_ray.errors import ModelLoadError
from zoran_ray.models_file import ModelSpec

GIB = 1 << 30
SPEC = ModelSpec(name="m", source="org/model", engine_args={"distributed_executor_backend": "mp"})


@pytest.fixture
def folder(tmp_path):
    for name, size in (("a.safetensors", 3), ("b.safetensors", 4), ("c.bin", 5), ("notes.txt", 90)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size * GIB)  # sparse: takes no room
    return tmp_path


@pytest.fixture
def available(monkeypatch):
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)

    def set_to(gib):
        found = SimpleNamespace(available=gib * GIB)
        monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: found)

    return set_to


def test_weights_are_what_the_engine_reads(folder, tmp_path):
    assert memory.weight_bytes(folder) == 12 * GIB
    assert memory.weight_bytes(tmp_path / "hub" / "id") == 0


def test_what_fits_is_let_through(folder, available):
    available(15.2)
    memory.require_memory(SPEC, str(folder), device="cpu")


def test_what_does_not_says_how_much_it_needs(folder, available):
    available(15.0)
    with pytest.raises(ModelLoadError, match=r"needs about 15\.1 GiB .*12\.0.* 15\.0 GiB are available"):
        memory.require_memory(SPEC, str(folder), device="cpu")


def test_one_process_that_schedules_and_computes_needs_less(folder, available):
    one = SPEC.model_copy(update={"engine_args": {"distributed_executor_backend": ONE_PROCESS}})
    available(14.5)
    memory.require_memory(one, str(folder), device="cpu")
    with pytest.raises(ModelLoadError, match=r"runtime 2\.1"):
        memory.require_memory(SPEC, str(folder), device="cpu")


def test_the_cache_the_operator_asked_for_counts(folder, available, monkeypatch):
    available(20)
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "40")
    with pytest.raises(ModelLoadError, match=r"KV cache 40\.0"):
        memory.require_memory(SPEC, str(folder), device="cpu")


def test_on_a_gpu_vllm_knows_better(folder, available):
    available(0)
    memory.require_memory(SPEC, str(folder), device="gpu")
