"""Asking many arms at once, with a deadline for all."""

import asyncio

import pytest

from zoran_ray.engines.reachable import AT_ONCE, arm_rows
from zoran_ray.offers import ArmSpec


def arms(count, **more):
    fields = {"provider": "ollama", "upstream": "m", "context_tokens": 9, "data_goes": "local", **more}
    return [ArmSpec(name=f"ollama/{n}", **fields) for n in range(count)]


async def test_rows_come_in_order_and_say_why():
    async def reach(spec, environ, timeout_s):
        assert (environ, timeout_s) == ({"K": "v"}, 3.0)
        await asyncio.sleep(0 if spec.name.endswith("1") else 0.01)
        return "no such model" if spec.name.endswith("1") else None

    rows = await arm_rows(arms(3), {"K": "v"}, reach, timeout_s=3.0)
    assert [(row["name"], row["state"], row["why"]) for row in rows] == [
        ("ollama/0", "reachable", ""),
        ("ollama/1", "unreachable", "no such model"),
        ("ollama/2", "reachable", ""),
    ]
    assert rows[0]["provider"] == "ollama"
    assert await arm_rows([], {}) == []


async def test_all_together_have_a_deadline_and_few_are_asked_at_once():
    under_way = 0

    async def hang(spec, environ, timeout_s):
        nonlocal under_way
        under_way += 1
        assert under_way <= AT_ONCE
        await asyncio.Event().wait()

    rows = await arm_rows(arms(3 * AT_ONCE), {}, hang, all_s=0.01)
    assert {row["why"] for row in rows} == {"no answer in time"}
    assert under_way == AT_ONCE


async def test_a_failure_nobody_expected_shows_nothing_of_itself():
    async def fail(spec, environ, timeout_s):
        raise RuntimeError("sk-canary")

    (row,) = await arm_rows(arms(1), {}, fail)
    assert row["why"] == "asking it failed: RuntimeError"


@pytest.mark.parametrize(
    ("arm", "why"),
    [
        ({"api_key_env": "SOME_KEY"}, "SOME_KEY is not set"),
        ({"api_key_file": "/nowhere/key"}, "/nowhere/key cannot be read"),
        ({"base_url": "http://127.0.0.1:9/v1"}, "ollama"),
    ],
)
async def test_real_arms_that_cannot_be_asked(arm, why):
    (row,) = await arm_rows(arms(1, **arm), {})
    assert row["state"] == "unreachable"
    assert why in row["why"]
