from pathlib import Path
from typing import Any

import pytest
from reasoning_scripted import Scripted, asking, question, run

from zoran_ray.config.document import read_document
from zoran_ray.errors import ConfigError, InvalidRequest
from zoran_ray.reasoning.best_of_n import BestOfN
from zoran_ray.reasoning.lot import LogicOfThought
from zoran_ray.reasoning.registry import KINDS, Registry, read_strategies, shipped_strategies, strategy_of
from zoran_ray.reasoning.tot import TreeOfThoughts

CONFIGS = Path(__file__).parents[2] / "configs" / "strategies"
WHOLE = sorted(KINDS)


@pytest.mark.parametrize("name", WHOLE)
def test_the_shipped_files_show_every_parameter_with_its_usual_value(name: str) -> None:
    data = read_document(CONFIGS / f"{name}.yaml").data
    assert set(data) == {"strategy", "about", *KINDS[name].model_fields}
    assert strategy_of(name) == KINDS[name]()


def test_all_that_are_shipped_can_be_made_and_are_described() -> None:
    registry = Registry(shipped_strategies())
    described = registry.described()
    assert set(described) == set(KINDS) | {path.stem for path in CONFIGS.glob("*.yaml")}
    for name, about in described.items():
        assert about
        assert registry.make(name).name in KINDS


def test_parameters_of_a_request_are_laid_over_those_of_a_file() -> None:
    made = strategy_of("countdown", {"breadth": 2})
    assert isinstance(made, TreeOfThoughts)
    assert (made.problem, made.breadth, made.flat_levels) == ("countdown", 2, None)
    assert isinstance(strategy_of("best-of-n", {"judge": "model", "temperature": 1}), BestOfN)


@pytest.mark.parametrize(
    ("name", "parameters", "param", "said"),
    [
        ("tott", {}, "strategy", "did you mean 'tot'"),
        ("x" * 10_000, {}, "strategy", "known here: best-of-n, cot"),
        ("tot", {"breath": 3}, "breath", "did you mean 'breadth'"),
        ("cot", {"samples": 3}, "samples", "known here: instruction, marker"),
        ("tot", {"breadth": "3"}, "breadth", 'found "3", expected a valid integer'),
        ("tot", {"breadth": 99}, "breadth", "less than or equal to 32"),
        ("tot", {"temperature": float("nan")}, "temperature", "finite"),
        ("tot", {"breadth": object()}, None, "no plain JSON"),
        ("tot", {"name": "x"}, "name", "no such field"),
        ("cot", {"inner": "tot"}, "inner", "no such field"),
        ("lot", {"inner": "tott"}, "inner.strategy", "did you mean 'tot'"),
        ("lot", {"inner": {"strategy": "tot", "depth": 0}}, "inner.depth", "greater than or equal to 1"),
        ("lot", {"inner": {"depth": 0}}, "inner.strategy", "name a strategy"),
        ("lot", {"inner": {"strategy": "lot", "inner": {"strategy": "lot", "inner": {"strategy": "lot",
         "inner": {"strategy": "lot"}}}}}, "inner.inner.inner.inner", "more than 3"),
    ],
)  # fmt: skip
def test_a_wrong_wish_is_told_with_what_there_is(
    name: str, parameters: dict[str, Any], param: str | None, said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said) as raised:
        strategy_of(name, parameters)
    assert raised.value.param == param
    assert len(raised.value.message) < 1_000


def test_a_strategy_inside_another_answers() -> None:
    made = strategy_of("lot", {"inner": {"strategy": "self-consistency", "samples": 3}})
    assert isinstance(made, LogicOfThought)
    model = Scripted(lambda prompt, call: "Answer: 1")

    async def asked() -> None:
        ask = asking(model)
        answer = await made.answer(question("?"), ask)
        assert answer.text == "1"
        assert "self-consistency" in {step.strategy for step in ask.trace.steps}

    run(asked())


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a", "strategy: tot\n\nbreath: 3\n", r"a.yaml:3: breath: no such field; did you mean 'breadth'"),
        ("a", "about: x\n", r"a.yaml:1: strategy: this field is required"),
        ("a", "about: x\nstrategy: tott\n", r"a.yaml:2: strategy: no such strategy; did you mean 'tot'"),
        ("a", "strategy: tot\nbreadth: many\n", r"a.yaml:2: breadth: found \"many\", expected"),
        ("a", "strategy: lot\ninner:\n  strategy: tot\n  depth: 0\n", r"a.yaml:4: depth: found 0"),
        ("a", "strategy: lot\ninner: b\n", r"a.yaml:2: no such strategy"),
        ("a", "strategy: lot\ninner: a\n", r"more than 3 strategies"),
        ("cot", "strategy: tot\n", r"cot.yaml:1: strategy: a file named 'cot'"),
        ("A b", "strategy: tot\n", r"small letters"),
        ("a", "- tot\n", r"a.yaml:1: strategy: this field is required"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / f"{name}.yaml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_strategies(tmp_path)
