from typing import Any

import pytest

from zoran_ray.wire import Usage, usage_of


@pytest.mark.parametrize(
    ("document", "usage"),
    [
        ({"usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}}, Usage(9, 3)),
        (
            {
                "usage": {
                    "prompt_tokens": 9,
                    "completion_tokens": 3,
                    "prompt_tokens_details": {"cached_tokens": 4},
                }
            },
            Usage(9, 3, 4),
        ),
        ({"usage": {"prompt_tokens": 9, "total_tokens": 9, "prompt_tokens_details": None}}, Usage(9)),
        (
            {
                "usage": {
                    "input_tokens": 9,
                    "output_tokens": 3,
                    "input_tokens_details": {"cached_tokens": 4},
                }
            },
            Usage(9, 3, 4),
        ),
        (
            {
                "type": "message",
                "usage": {
                    "input_tokens": 5,
                    "output_tokens": 3,
                    "cache_read_input_tokens": 3,
                    "cache_creation_input_tokens": 1,
                },
            },
            Usage(9, 3, 3),
        ),
        (
            {"type": "response.completed", "response": {"usage": {"input_tokens": 9, "output_tokens": 3}}},
            Usage(9, 3),
        ),
        (
            {"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 0}}},
            Usage(9),
        ),
        ({"usage": {"prompt_tokens": None, "completion_tokens": -3}}, Usage()),
        ({"usage": None}, None),
        ({}, None),
        ([], None),
        ("usage", None),
    ],
)
def test_every_spelling(document: Any, usage: Usage | None) -> None:
    assert usage_of(document) == usage


def test_total() -> None:
    assert Usage(9, 3, 4).total_tokens == 12
