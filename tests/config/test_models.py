from pathlib import Path
from typing import Any

import pytest

from zoran_ray.config import load, model_from_source, parse_engine_args
from zoran_ray.errors import ConfigError
from zoran_ray.models_file import ModelSpec


def models(tmp_path: Path, **flags: object) -> tuple[ModelSpec, ...]:
    return load(flags, {"HOME": str(tmp_path)}, tmp_path).models


def test_sources_and_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "My model"
    folder.mkdir()
    found = models(tmp_path, model=["pocket", "Qwen/Qwen3-0.6B", "./My model", "~/elsewhere"])
    assert [(m.name, m.source) for m in found] == [
        ("pocket", "embedded"),
        ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B"),
        ("My-model", str(folder)),
        ("elsewhere", str(tmp_path / "elsewhere")),
    ]


def test_a_folder_that_exists_needs_no_dot(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    assert model_from_source("here", {}, tmp_path, tmp_path).source == str(tmp_path / "here")


def test_engine_arguments(tmp_path: Path) -> None:
    args = ("max-model-len=4096", "--enable_lora=true", "dtype=float32", "served=a=b")
    wanted = {"max_model_len": 4096, "enable_lora": True, "dtype": "float32", "served": "a=b"}
    assert parse_engine_args(args) == wanted
    assert models(tmp_path, engine_arg=args)[0].engine_args == wanted
    assert [m.engine_args for m in models(tmp_path, model=["a/b", "c/d"], engine_arg=args)] == [
        wanted,
        wanted,
    ]


@pytest.mark.parametrize("pairs", [["max_model_len"], ["=3"], ["a b=1"], ["a=1", "a=2"]])
def test_engine_arguments_that_are_none(pairs: list[str]) -> None:
    with pytest.raises(ConfigError, match="--engine-arg"):
        parse_engine_args(pairs)


def test_two_models_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="two models would be called 'pocket'"):
        models(tmp_path, model=["pocket", "embedded"])


@pytest.mark.parametrize("source", ["", "/", "a b/c", "--port"])
def test_a_source_that_makes_no_name(tmp_path: Path, source: str) -> None:
    with pytest.raises(ConfigError):
        model_from_source(source, {}, Path("/nowhere"), tmp_path)


def test_a_models_file(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    file = tmp_path / "models.yaml"
    file.write_text(
        "models:\n- {name: local/a, source: ./weights}\n- {name: b, source: o/r, pin_cores: off}\n"
    )
    found = models(tmp_path, models_file=file)
    assert [(m.name, m.source, m.pin_cores) for m in found] == [
        ("a", str(tmp_path / "weights"), "auto"),
        ("b", "o/r", "off"),
    ]
    assert models(tmp_path, models_file=file, model=["c/d"])[0].name == "c/d"
    with pytest.raises(ConfigError, match="needs --model"):
        models(tmp_path, models_file=file, engine_arg=["a=1"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models: []", "m.yaml:1: models: found a list, expected at least one item"),
        ("models:\n- source: x\n", "m.yaml:2: models[0].name: this field is required"),
        ("models:\n- name: a\n- name: b c\n", 'm.yaml:3: models[1].name: found "b c", expected text that'),
        (
            "models:\n- name: a\n  scaling:\n    min_replica: 2\n",
            "m.yaml:4: models[0].scaling.min_replica: no such field; did you mean 'min_replicas'?",
        ),
        (
            "models:\n- name: a\n  scaling: {min_replicas: 3}\n",
            "m.yaml:3: models[0].scaling: min_replicas is above",
        ),
        ("models:\n- name: a\n- name: local/a\n", "model names must differ: a"),
        (
            "models:\n- name: a\n  pin_cores: on\n",
            "pin_cores: found \"on\", expected 'auto' or 'off' or a valid array",
        ),
        ("name: a", "m.yaml:1: name: no such field"),
    ],
)
def test_mistakes_in_a_models_file(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "m.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        models(tmp_path, models_file="m.yaml")
    assert message in caught.value.message


def test_tokens_in_the_environment_of_an_engine_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("models:\n- name: a\n  env: {HF_TOKEN: [hf_secret], B: 77123}\n")
    with pytest.raises(ConfigError) as caught:
        models(tmp_path, models_file="m.yaml")
    assert "HF_TOKEN" in caught.value.message
    assert "secret" not in caught.value.message
    assert "77123" not in caught.value.message


ARM = (
    "arms:\n- name: openai/gpt-4o-mini\n  provider: openai\n  upstream: gpt-4o-mini\n"
    "  context_tokens: 128000\n  data_goes: us\n  usd_per_million_input: 0.15\n"
    "  usd_per_million_output: 0.6\n  api_key_file: ./key\n"
)


def test_arms_alone_are_enough(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text("use: research\n" + ARM)
    loaded = load({"models_file": file}, {"HOME": str(tmp_path)}, tmp_path)
    assert loaded.models == ()
    assert [(arm.name, arm.api_key_file) for arm in loaded.arms] == [
        ("openai/gpt-4o-mini", str(tmp_path / "key"))
    ]
    assert (loaded.catalogue.use, loaded.catalogue_path) == ("research", file)


def test_models_named_by_flags_stand_alone(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(ARM)
    flags = {"models_file": tmp_path / "models.yaml", "model": ["pocket"]}
    loaded = load(flags, {"HOME": str(tmp_path)}, tmp_path)
    assert (loaded.arms, loaded.catalogue_path) == ((), None)
    assert [model.name for model in loaded.models] == ["pocket"]


@pytest.mark.parametrize(
    ("fields", "capabilities"),
    [
        ({}, ("json_schema", "logprobs")),
        ({"source": "minilm"}, ("embeddings",)),
        ({"engine_args": {"runner": "pooling"}}, ("embeddings",)),
        ({"source": "minilm", "engine_args": {"runner": "generate"}}, ("json_schema", "logprobs")),
        ({"engine_args": {"runner": "pooling"}, "capabilities": ("logprobs",)}, ("logprobs",)),
    ],
)
def test_what_pools_has_embeddings_alone(fields: dict[str, Any], capabilities: tuple[str, ...]) -> None:
    assert ModelSpec(name="m", **fields).capabilities == capabilities
