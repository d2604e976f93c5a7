"""The examples in `configs/` are right and complete."""

from pathlib import Path

from zoran_ray.config import load
from zoran_ray.config.document import read_document
from zoran_ray.config.layers import leaves
from zoran_ray.models_file import ModelSpec, ScalingSettings
from zoran_ray.settings import Settings

CONFIGS = Path(__file__).parents[2] / "configs"


def test_the_settings_are_the_defaults(tmp_path: Path) -> None:
    loaded = load({"config": CONFIGS / "zoran.yaml"}, {"HOME": str(tmp_path)}, tmp_path)
    assert loaded.settings == Settings(state_dir=tmp_path / ".local/state/zoran")
    said = {name for name, place in loaded.origins.items() if "zoran.yaml:" in place}
    assert said == {".".join(path) for path in leaves()} - {"state_dir"}


def test_the_models_are_right_and_show_every_field(tmp_path: Path) -> None:
    loaded = load({"models_file": CONFIGS / "models.yaml"}, {"HOME": str(tmp_path)}, tmp_path)
    assert loaded.models == (ModelSpec(name="pocket"),)
    (shown,) = read_document(CONFIGS / "models.yaml").data["models"]
    assert set(shown) == set(ModelSpec.model_fields)
    assert set(shown["scaling"]) == set(ScalingSettings.model_fields)


def test_the_commented_models_are_right_too(tmp_path: Path) -> None:
    lines = (CONFIGS / "models.yaml").read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("  # A small model"))
    examples = [
        line.replace("  # ", "  ", 1) for line in lines[start:] if line[4:].startswith(("- ", "  "))
    ]
    (tmp_path / "m.yaml").write_text("models:\n" + "\n".join(examples))
    loaded = load({"models_file": tmp_path / "m.yaml"}, {"HOME": str(tmp_path)}, tmp_path)
    assert [model.name for model in loaded.models] == ["qwen3", "llama", "minilm"]
