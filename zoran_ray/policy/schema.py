"""The JSON Schema of a policy, for editors; made from the models, so that it cannot say something else."""

import json
from typing import Any

from zoran_ray.policy.document import Override, Policy

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def policy_schema(override: bool = False) -> dict[str, Any]:
    """The schema of a policy, or of an override alone."""
    model = Override if override else Policy
    title = "zoran policy override" if override else "zoran policy"
    return {"$schema": DIALECT, **model.model_json_schema(), "title": title}


def schema_text(override: bool = False) -> str:
    """The schema as its file holds it."""
    return json.dumps(policy_schema(override), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
