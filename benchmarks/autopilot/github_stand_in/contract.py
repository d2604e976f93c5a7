"""Holds requests and answers against GitHub's published description. Not part of this repository itself."""

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match

FILE = Path("apis") / "github-subset.openapi.json"
DESCRIPTION = (
    Path(os.environ.get("ZORAN_SHARED_DATA") or Path(__file__).parents[4] / "shared" / "data") / FILE
)
"""Where the description is, if it is there."""

_REVIEW = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "node_id": {"type": "string"},
        "user": {"$ref": "#/components/schemas/nullable-simple-user"},
        "body": {"type": "string"},
        "state": {"enum": ["APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED", "PENDING"]},
        "html_url": {"type": "string"},
        "pull_request_url": {"type": "string"},
        "submitted_at": {"type": "string", "format": "date-time"},
        "commit_id": {"type": ["string", "null"]},
        "author_association": {"$ref": "#/components/schemas/author-association"},
        "_links": {"type": "object", "required": ["html", "pull_request"]},
    },
    "required": [
        "id", "node_id", "user", "body", "state", "html_url", "pull_request_url", "_links", "commit_id",
        "author_association",
    ],
}  # fmt: skip
_REVIEWS = "/repos/{owner}/{repo}/pulls/{pull_number}/reviews"
_ERROR = {"$ref": "#/components/schemas/basic-error"}
_JSON = "application/json"


def described() -> bool:
    """Whether GitHub's description is there."""
    return DESCRIPTION.is_file()


@cache
def contract() -> "Contract":
    """The description that is there."""
    document: dict[str, Any] = json.loads(DESCRIPTION.read_text())
    return Contract(document)


class Contract:
    """Args: document: OpenAPI 3.0."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document: dict[str, Any] = _nullable(document)
        ok = {"content": {_JSON: {"schema": {"type": "array", "items": _REVIEW}}}}
        self._document["paths"].setdefault(_REVIEWS, {"get": {"responses": {"200": ok}}})
        self._paths = [(_pattern(path), path) for path in self._document["paths"]]

    def request_faults(self, method: str, path: str, body: Any) -> list[str]:
        """What is wrong with a request's body."""
        operation = self._operation(method, path)
        asked = self._resolved((operation or {}).get("requestBody"))
        if operation is None or asked is None:
            return [] if operation is not None or method == "GET" else [f"{method} {path} is not described"]
        return self._faults(asked["content"][_JSON]["schema"], body, f"request {method} {path}")

    def answer_faults(self, method: str, path: str, status: int, body: Any) -> list[str]:
        """What is wrong with an answer. A failure that is not described has GitHub's usual body."""
        operation = self._operation(method, path)
        if operation is None:
            return [f"{method} {path} is not described"] if status < 400 else []
        response = self._resolved(operation["responses"].get(str(status)))
        where = f"answer {status} to {method} {path}"
        if response is None:
            return self._faults(_ERROR, body, where) if status >= 400 else [f"{where} is not described"]
        content = response.get("content", {}).get(_JSON)
        if content is None:
            return [f"{where} has a body"] if body is not None and status < 400 else []
        return self._faults(content["schema"], body, where)

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        for pattern, template in self._paths:
            if pattern.fullmatch(path):
                found: dict[str, Any] | None = self._document["paths"][template].get(method.lower())
                return found
        return None

    def _resolved(self, part: Any) -> Any:
        while isinstance(part, dict) and "$ref" in part:
            name = part["$ref"].removeprefix("#/")
            part = self._document
            for step in name.split("/"):
                part = part[step]
        return part

    def _faults(self, schema: Any, body: Any, where: str) -> list[str]:
        whole = {**schema, "components": self._document["components"]}
        found = best_match(Draft202012Validator(whole, format_checker=FormatChecker()).iter_errors(body))
        return [f"{where}: {found.json_path}: {found.message[:300]}"] if found else []


def _pattern(template: str) -> re.Pattern[str]:
    """`{ref}` may hold slashes, the others may not. Source: GitHub's "Get a reference"."""
    parts = re.split(r"(\{\w+\})", template)
    return re.compile(
        "".join(
            (".+" if part == "{ref}" else "[^/]+") if part.startswith("{") else re.escape(part)
            for part in parts
        )
    )


def _nullable(part: Any) -> Any:
    """OpenAPI 3.0's `nullable` in the words of JSON Schema."""
    if isinstance(part, list):
        return [_nullable(each) for each in part]
    if not isinstance(part, dict):
        return part
    made = {name: _nullable(each) for name, each in part.items() if name not in ("nullable", "example")}
    return {"anyOf": [{"type": "null"}, made]} if part.get("nullable") is True else made
