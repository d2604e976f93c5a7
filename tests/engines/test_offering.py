"""What is offered while models come and go and their file is edited."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.engines.catalogue import Catalogue
from zoran_ray.engines.offering import described, difference, left_alone, offer_row, offered, runs_alike
from zoran_ray.models_file import ModelsFile, ModelSpec
from zoran_ray.offers import ArmSpec, Offer

CANARY = "hf_c4narY"
RUNNING = ModelSpec(name="a", source="o/r", engine_args={"x": CANARY}, env={"HF_TOKEN": CANARY})


def arm(name="x/y", **more):
    fields = {
        "provider": "openai_compatible",
        "upstream": "m",
        "base_url": "http://h/v1",
        "data_goes": "us",
    }
    prices = {"usd_per_million_input": 1, "usd_per_million_output": 2}
    return ArmSpec(name=name, context_tokens=9, **(fields | prices | more))


def changed(spec, **fields):
    return ModelSpec(**(spec.model_dump() | fields))


@pytest.mark.parametrize(
    ("fields", "alike"),
    [
        ({"usd_per_million_input": 3.0}, True),
        ({"description": "mine", "capabilities": ("tools",), "context_tokens": 8}, True),
        ({"engine_args": {"max_num_seqs": 4}}, False),
        ({"env": {}}, False),
        ({"source": "o/other"}, False),
        ({"queue_limit": 3}, False),
    ],
)
def test_a_price_is_no_setting_of_an_engine(fields, alike):
    assert runs_alike(RUNNING, changed(RUNNING, **fields)) is alike


def test_every_field_of_a_model_is_one_or_the_other():
    told = set(Offer.model_fields) | {"description"}
    assert set(ModelSpec.model_fields) - told == {
        "name", "source", "engine_args", "env", "num_gpus", "num_cpus", "resources", "pin_cores", "scaling",
        "queue_limit", "queue_timeout_s", "drain_timeout_s", "load_timeout_s",
    }  # fmt: skip


def test_a_served_model_is_told_as_the_file_says_now():
    entry = ModelSpec(name="a", source="elsewhere", usd_per_million_input=2.0, description="new")
    found = described(RUNNING, ModelsFile(models=(entry,)))
    assert (found.usd_per_million_input, found.description) == (2.0, "new")
    assert runs_alike(found, RUNNING)
    assert described(RUNNING, ModelsFile(arms=(arm(),))) == RUNNING


def test_gateways_are_told_what_is_served_and_no_secret():
    file = ModelsFile(
        use="research",
        models=(changed(RUNNING, usd_per_million_input=2.0), ModelSpec(name="asleep")),
        arms=(arm(fallbacks=("local/asleep", "local/a")),),
    )
    found = offered(file, [RUNNING, ModelSpec(name="late", env={"T": CANARY})])
    assert [(model.name, model.usd_per_million_input) for model in found.models] == [("a", 2), ("late", 0)]
    assert (found.use, found.arms) == ("research", file.arms)
    for text in (repr(found), pickle.dumps(found).decode("latin-1"), found.model_dump_json()):
        assert CANARY not in text
    # The model that is not served is passed over.
    assert Catalogue(found).chain("x/y").names == ("x/y", "local/a")
    assert pickle.loads(pickle.dumps(found)) == found


def test_nothing_at_all_can_be_offered():
    assert len(Catalogue(offered(ModelsFile.model_construct(), []))) == 0


def test_what_an_edit_leaves_as_it_is():
    before = ModelsFile(models=(RUNNING, ModelSpec(name="b"), ModelSpec(name="c")))

    def left(*models, served=before.models):
        return left_alone(before, ModelsFile(models=models, arms=(arm(),)), served)

    b, c = before.models[1:]
    assert left(changed(RUNNING, usd_per_million_input=1), b, c) == ()
    assert left(changed(RUNNING, env={}), b, c, ModelSpec(name="d")) == ("a", "d")
    assert left(RUNNING, b) == ("c",)
    # What was loaded by hand with other arguments is not this edit's matter; what runs so already is none.
    assert left(RUNNING, b, c, served=(changed(RUNNING, env={}), b, c)) == ()
    assert left(RUNNING, b, changed(c, queue_limit=1), served=(RUNNING, b, changed(c, queue_limit=1))) == ()
    assert left(RUNNING, b, served=(RUNNING, b)) == ()


def test_an_edit_in_words():
    before = ModelsFile(models=(RUNNING,), arms=(arm("x/1"), arm("x/2")))
    after = ModelsFile(use="research", arms=(arm("x/1", usd_per_million_input=3), arm("x/2"), arm("x/3")))
    assert difference(before, before) == ""
    told = "new: x/3; changed: x/1; gone: local/a; declared for research use"
    assert difference(before, after) == told
    many = ModelsFile(arms=tuple(arm(f"x/{n}") for n in range(100)))
    assert difference(ModelsFile(arms=(arm("x/0"),)), many).endswith("x/10 and 89 more")


@given(st.sampled_from(["auto", (), ("local/a",)]), st.sampled_from(["local", "eu"]))
def test_a_row_is_json_and_shows_no_secret(fallbacks, place):
    own = arm(fallbacks=fallbacks, data_goes=place, api_key_file="/run/canary")
    for entry in (own, RUNNING):
        row = json.loads(json.dumps(offer_row(entry)))
        assert {"source", "provider", "fallbacks", "data_goes", "usd_per_million_input"} <= set(row)
        assert CANARY not in str(row)
        assert "canary" not in str(row)
    assert offer_row(own)["provider"] == "openai_compatible"
    assert offer_row(RUNNING)["provider"] == "zoran"
