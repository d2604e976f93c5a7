"""OpenAI's published description of its API, 12 paths of it. Not part of this repository."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

ROOT = Path(__file__).parents[2]
FILE = Path("apis") / "openai-subset.openapi.json"


@cache
def openai_spec() -> dict[str, Any]:
    """The description; without it the test is skipped."""
    given = os.environ.get("ZORAN_SHARED_DATA")
    path = (Path(given) if given else ROOT.parent / "shared" / "data") / FILE
    if not path.is_file():
        pytest.skip(f"NOT TESTED: {path} is missing; ZORAN_SHARED_DATA names the folder that has {FILE}")
    spec: dict[str, Any] = json.loads(path.read_text())
    return spec


def deviations(document: Any, schema: str) -> list[str]:
    """Where a document is not what the schema of this name says, in words.

    A null is taken for nothing, wherever it stands: OpenAI sends it too where its description does not
    say so, as `finish_reason` of every chunk but the last.
    """
    spec = openai_spec()
    whole = {"$ref": f"#/components/schemas/{schema}", "components": spec["components"]}
    found = (_problems(error) for error in Draft202012Validator(whole).iter_errors(document))
    return [problem for problems in found for problem in problems]


def _problems(error: ValidationError) -> list[str]:
    """What is wrong in the alternative that fits best."""
    if error.instance is None:
        return []
    if not error.context:
        return [f"{error.json_path}: {error.message[:200]}"]
    alternatives: dict[Any, list[str]] = {}
    for each in error.context:
        alternatives.setdefault(each.schema_path[0], []).extend(_problems(each))
    return min(alternatives.values(), key=len)
