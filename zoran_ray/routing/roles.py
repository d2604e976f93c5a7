"""Roles as arms of a choice of their own: `zoran/agents:coder` and the like. Pure."""

from zoran_ray.offers import AGENTS as MODEL
from zoran_ray.routing.mixer import AGENTS

ROLE_ARMS = tuple(f"{MODEL}:{role}" for role in AGENTS)
"""Public names, in the order of `AGENTS`."""


def role_of(model: str) -> str | None:
    """The role that a public name asks for, empty for any; None where it asks for none."""
    outer, colon, role = model.partition(":")
    if outer != MODEL or (colon and not role):
        return None
    return role
