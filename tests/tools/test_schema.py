"""The one schema checker: what it says is what JSON Schema says, and no schema keeps it busy."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from zoran_ray.errors import InvalidRequest
from zoran_ray.tools.schema import UNCOUNTED, CannotCheck, Schema

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "ab", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)
SCHEMAS = st.recursive(
    st.sampled_from(
        [
            {},
            True,
            False,
            {"type": "integer"},
            {"type": ["string", "null"]},
            {"const": "a"},
            {"enum": [1, "b", None]},
            {"minimum": 1},
            {"maxLength": 1},
            {"pattern": "^a"},
            {"uniqueItems": True},
            {"required": ["a"]},
            {"$ref": "#/$defs/word"},
        ]
    ),
    lambda inner: st.one_of(
        st.builds(lambda of: {"items": of}, inner),
        st.builds(lambda of: {"contains": of}, inner),
        st.builds(lambda of: {"not": of}, inner),
        st.builds(lambda one, other: {"anyOf": [one, other]}, inner, inner),
        st.builds(lambda one, other: {"oneOf": [one, other]}, inner, inner),
        st.builds(lambda one, two: {"properties": {"a": one}, "additionalProperties": two}, inner, inner),
        st.builds(lambda one, two, three: {"if": one, "then": two, "else": three}, inner, inner, inner),
    ),
    max_leaves=6,
)


@given(SCHEMAS, VALUES)
def test_it_judges_as_the_library_does(part, value):
    document = {"$defs": {"word": {"type": "string"}}, "allOf": [part]}
    assert (Schema(document).fault(value) is None) == Draft202012Validator(document).is_valid(value)


DRAFT = "https://json-schema.org/draft/2020-12/schema"
DOUBLING = {
    "$defs": {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(40)} | {"d40": True},
    "$ref": "#/$defs/d0",
}


@pytest.mark.parametrize(
    ("document", "value"),
    [
        (DOUBLING, 1),
        ({"$ref": "#"}, 1),
        ({"$ref": "#/$defs/none"}, 1),
        ({"$id": "https://a.test/", "$ref": "#/x"}, 1),
        # The library would take its own keywords again from here on.
        ({"allOf": [{"$schema": DRAFT, **DOUBLING}], **DOUBLING}, 1),
        ({"items": {"contains": {"type": "null"}}}, [[0] * 3_000] * 30),
    ],
)
def test_what_asks_for_too_much_comes_to_an_end(document, value):
    with pytest.raises(CannotCheck):
        Schema(document).fault(value)


def test_a_check_that_is_left_in_the_middle_costs_no_depth():
    document = {"type": "array", "contains": {"type": "object", "required": ["a"]}}
    assert Schema(document).fault([[]] * 500 + [{"a": 1}]) is None


@pytest.mark.parametrize("keyword", sorted(UNCOUNTED))
def test_what_cannot_be_counted_is_refused_or_left_out(keyword):
    document = {"type": "object", "properties": {keyword: {"type": "string"}}, keyword: "(?=a)"}
    with pytest.raises(InvalidRequest):
        Schema(document)
    left = Schema(document, left_out=UNCOUNTED)
    assert keyword not in left.document
    assert left.fault({keyword: 1}) is not None


def test_a_value_may_be_called_like_a_keyword():
    value = {"$schema": 1, "pattern": "("}
    document = {"properties": {"$schema": {"type": "integer"}, "x": {"const": value}}}
    assert Schema(document).fault({"$schema": 1, "x": value}) is None
    assert Schema(document).fault({"$schema": "1"}) is not None


def test_many_faults_in_large_values_end_soon():
    schema = Schema({"items": {"type": "string"}})
    assert schema.fault(json.loads("[" + ",".join(["[1,2,3]"] * 8_000) + "]")) is not None
