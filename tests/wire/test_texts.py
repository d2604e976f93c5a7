import json
from typing import Any

import pytest

from zoran_ray.wire.texts import wants_json, with_answer_changed, with_request_changed


class Shout:
    """Says everything loudly."""

    def text(self, text: str) -> str:
        return text.upper()

    def json(self, text: str) -> str:
        return f"json:{text.upper()}"


class Nothing:
    def text(self, text: str) -> str:
        return text

    json = text


def asked(**document: Any) -> dict[str, Any]:
    return with_request_changed({"model": "m", **document}, Shout())


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": "b"}'}}
PICTURE = "data:image/png;base64,aaaa"


def test_a_chat() -> None:
    told = asked(
        zoran={"memory": {"subject": "s"}},
        user="u",
        stop=["x"],
        temperature=0.5,
        messages=[
            {"role": "system", "content": "sys"},
            {"role": "user", "name": "jean", "content": [{"type": "text", "text": "hi"}]},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "result"},
        ],
    )
    assert told["messages"] == [
        {"role": "system", "content": "SYS"},
        {"role": "user", "name": "JEAN", "content": [{"type": "text", "text": "HI"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [CALL | {"function": {"name": "f", "arguments": 'json:{"A": "B"}'}}],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "RESULT"},
    ]
    assert (told["model"], told["zoran"]) == ("m", {"memory": {"subject": "s"}})
    assert (told["user"], told["stop"], told["temperature"]) == ("U", ["X"], 0.5)


def test_tools_keep_their_names_and_shapes() -> None:
    schema = {
        "type": "object",
        "required": ["to"],
        "properties": {"to": {"type": "string", "format": "email", "enum": ["a"], "description": "who"}},
    }
    tool = {"type": "function", "function": {"name": "f", "description": "does", "parameters": schema}}
    told = asked(tools=[tool], tool_choice={"type": "function", "function": {"name": "f"}})
    shown = told["tools"][0]["function"]
    assert (shown["name"], shown["description"]) == ("f", "DOES")
    assert shown["parameters"]["required"] == ["to"]
    assert shown["parameters"]["properties"] == {
        "to": {"type": "string", "format": "email", "enum": ["A"], "description": "WHO"}
    }
    assert told["tool_choice"] == {"type": "function", "function": {"name": "f"}}


def test_pictures_stay_and_words_beside_them_do_not() -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
        {"type": "input_image", "image_url": PICTURE},
        {"type": "input_audio", "input_audio": {"data": "A" * 80, "format": "wav"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 80}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        {"type": "image_url", "image_url": {"url": "data:text/plain,words"}},
        {"type": "text", "text": PICTURE},
    ]
    told = asked(messages=[{"role": "user", "content": parts}])["messages"][0]["content"]
    assert told[0]["image_url"]["url"] == told[1]["image_url"] == PICTURE
    assert told[2] == parts[2]
    assert told[3] == parts[3]
    assert told[4]["source"]["data"] == "WORDS"
    assert told[5]["image_url"]["url"] == "DATA:TEXT/PLAIN,WORDS"
    assert told[6]["text"] == PICTURE.upper()


def test_responses_and_completions_and_embeddings() -> None:
    told = asked(
        instructions="be",
        previous_response_id="resp_1",
        input=[
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "out"},
            {"type": "reasoning", "id": "r", "encrypted_content": "e", "summary": [{"text": "s"}]},
        ],
    )
    assert (told["instructions"], told["previous_response_id"]) == ("BE", "resp_1")
    assert told["input"][0]["content"][0]["text"] == "HI"
    assert told["input"][1] == {
        "type": "function_call", "call_id": "c", "name": "f", "arguments": "json:{}"
    }  # fmt: skip
    assert told["input"][2]["output"] == "OUT"
    assert told["input"][3] == {
        "type": "reasoning", "id": "r", "encrypted_content": "e", "summary": [{"text": "S"}]
    }  # fmt: skip
    assert asked(input=["a", "b"])["input"] == ["A", "B"]
    assert asked(prompt="a", suffix="b")["prompt"] == "A"
    assert asked(prompt=[[1, 2]])["prompt"] == [[1, 2]]


def test_anthropics_blocks() -> None:
    use = {"type": "tool_use", "id": "t", "name": "f", "input": {"to": ["a"]}}

    class Quoted(Shout):
        def json(self, text: str) -> str:
            return text.replace('"a"', '"b"')

    told = with_request_changed(
        {
            "system": [{"type": "text", "text": "sys"}],
            "metadata": {"user_id": "u"},
            "messages": [
                {
                    "role": "assistant",
                    "content": [use, {"type": "thinking", "thinking": "t", "signature": "s"}],
                },
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "r"}]},
            ],
        },
        Quoted(),
    )
    assert told["system"] == [{"type": "text", "text": "SYS"}]
    assert told["metadata"] == {"user_id": "U"}
    assert told["messages"][0]["content"] == [
        use | {"input": {"to": ["b"]}},
        {"type": "thinking", "thinking": "T", "signature": "s"},
    ]
    assert told["messages"][1]["content"] == [{"type": "tool_result", "tool_use_id": "t", "content": "R"}]


def test_what_does_not_change_is_the_same_object() -> None:
    document = {
        "messages": [{"role": "user", "content": [{"text": "x", "n": [1, 2.5, None]}]}],
        "input": {},
    }
    assert with_request_changed(document, Nothing()) is document
    assert with_answer_changed(document, Nothing()) is document


def test_an_answer() -> None:
    message = {"role": "assistant", "content": "a", "tool_calls": [CALL]}
    choice = {"message": message, "logprobs": {"content": [{"token": "a"}]}}
    told = with_answer_changed({"choices": [choice]}, Shout())["choices"][0]
    assert told["logprobs"] == choice["logprobs"]
    assert told["message"]["content"] == "A"
    assert told["message"]["tool_calls"][0]["function"]["arguments"] == 'json:{"A": "B"}'
    told = with_answer_changed({"choices": [choice]}, Shout(), json_content=True)["choices"][0]
    assert told["message"]["content"] == "json:A"


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        ({}, False),
        ({"response_format": {"type": "text"}}, False),
        ({"response_format": {"type": "json_schema"}}, True),
        ({"response_format": "x", "text": {"format": {"type": "json_object"}}}, True),
        ({"text": "x"}, False),
    ],
)
def test_who_wants_json(document: dict[str, Any], wanted: bool) -> None:
    assert wants_json(document) is wanted
    assert json.dumps(document)
