"""Requests that `schemathesis` makes up from OpenAI's description: never an unexplained 5xx."""

from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.integration.openai_spec import deviations, openai_spec

pytestmark = [pytest.mark.integration, pytest.mark.engine]

EXAMPLES = 25
MOST_TOKENS = 4
LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
OPERATIONS = [
    ("/chat/completions", "POST"),
    ("/completions", "POST"),
    ("/embeddings", "POST"),
    ("/responses", "POST"),
    ("/models", "GET"),
    ("/models/{model}", "GET"),
]


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_nothing_unexplained(base_url: str, path: str, method: str) -> None:
    operation = schemathesis.openapi.from_dict(openai_spec())[path][method]

    @given(case=operation.as_strategy(), known_model=st.booleans(), text_only=st.booleans())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any, known_model: bool, text_only: bool) -> None:
        if isinstance(case.body, dict):
            case.body = bounded(case.body, known_model, text_only)
        answer = case.call(base_url=base_url, timeout=60)
        hypothesis.event(f"{answer.status_code}")
        seen.append(answer.status_code)
        assert answer.status_code < 500, f"{case.body!r}: {answer.text}"
        if answer.status_code >= 400:
            assert deviations(answer.json(), "ErrorResponse") == []

    seen: list[int] = []
    ask()
    print(f"\n{method} {path}: {dict.fromkeys(sorted(seen))}")


def bounded(body: dict[str, Any], known_model: bool, text_only: bool) -> dict[str, Any]:
    """The body, asking for few tokens; half of them of a model that is there, with a prompt it can read."""
    small = body | dict.fromkeys(LIMITS, MOST_TOKENS) | {"n": 1, "best_of": 1}
    if known_model:
        small["model"] = "local/pocket"
    if text_only:
        small |= {"messages": [{"role": "user", "content": "1+1"}], "prompt": "1+1", "input": "1+1"}
    return small
