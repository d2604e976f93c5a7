"""Verifiers that judge answers without a model. What they expect is never in what they say."""

from zoran_ray.reasoning.verifiers.arithmetic import Arithmetic
from zoran_ray.reasoning.verifiers.asked import verifier_of
from zoran_ray.reasoning.verifiers.code import UnitTests
from zoran_ray.reasoning.verifiers.exact import Exact, Numeric
from zoran_ray.reasoning.verifiers.own import load_verifiers
from zoran_ray.reasoning.verifiers.pattern import Regex
from zoran_ray.reasoning.verifiers.recorded import RecordedVerifier
from zoran_ray.reasoning.verifiers.schema import JsonSchema
from zoran_ray.reasoning.verifiers.user import UserSupplied

__all__ = [
    "Arithmetic",
    "Exact",
    "JsonSchema",
    "Numeric",
    "RecordedVerifier",
    "Regex",
    "UnitTests",
    "UserSupplied",
    "load_verifiers",
    "verifier_of",
]
