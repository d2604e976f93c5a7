"""The laboratory's models: what is trained is what an engine is given, and a training that learns."""

import json
import random
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.reasoning.pocket import words
from benchmarks.reasoning.pocket.drills import copy, sums
from benchmarks.reasoning.pocket.feed import Feed
from benchmarks.reasoning.pocket.mixture import FIRST_POOLS, Rows, lessons, pool, pools
from benchmarks.reasoning.pocket.words import (
    CONTEXT_TOKENS,
    NUMBERS,
    PHRASES,
    TEMPLATE,
    VOCABULARY,
    decode,
    encode,
    encode_prompt,
    number_id,
)
from zoran_ray.errors import ConfigError
from zoran_ray.pocket import MODEL_DIR
from zoran_ray.pocket.tokens import ASSISTANT, END, MARKERS, PAD, USER, VOCABULARY_SIZE, save_tokenizer
from zoran_ray.tools.arithmetic import evaluate

MODELS = Path(words.__file__).parent / "models"
tokenizers = pytest.importorskip("tokenizers")
jinja2_sandbox = pytest.importorskip("jinja2.sandbox")

UNMARKED = st.text().filter(lambda text: not any(marker in text for marker in MARKERS))
TEXTS = st.lists(st.one_of(UNMARKED, st.sampled_from(PHRASES)), max_size=4).map("".join)
SAMPLE = list(islice(lessons(random.Random(11)), 150))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(folder, CONTEXT_TOKENS, TEMPLATE, PHRASES)
    return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))


def rendered(messages: Any) -> str:
    environment = jinja2_sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    return str(environment.from_string(TEMPLATE).render(messages=messages, add_generation_prompt=True))


def test_without_phrases_the_tokenizer_is_the_shipped_one(tmp_path: Path) -> None:
    save_tokenizer(tmp_path, 2048)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / name).read_bytes() == (MODEL_DIR / name).read_bytes()


def test_shipped_models_read_as_lessons_are_written(tmp_path: Path) -> None:
    """Where a strategy's words have changed, a model was taught others: it has to be trained again."""
    save_tokenizer(tmp_path, CONTEXT_TOKENS, TEMPLATE, PHRASES)
    for folder in MODELS.iterdir() if MODELS.exists() else ():
        for name in ("tokenizer.json", "tokenizer_config.json"):
            assert (folder / name).read_bytes() == (tmp_path / name).read_bytes(), folder.name
        assert json.loads((folder / "config.json").read_bytes())["vocab_size"] == VOCABULARY
        assert json.loads((folder / "laboratory.json").read_bytes())["exam"]


def test_phrases_can_be_told_from_bytes() -> None:
    assert len(set(PHRASES)) == len(PHRASES)
    assert VOCABULARY_SIZE + len(PHRASES) <= VOCABULARY
    assert VOCABULARY % 8 == 0
    # The decoder takes letters for bytes where all of them can be some: in ASCII they are the same.
    assert all(phrase.isascii() or " " in phrase for phrase in PHRASES)
    assert not any("<|" in phrase for phrase in PHRASES)
    assert all(len(phrase) > 1 for phrase in PHRASES)  # one character is a byte already


@given(text=TEXTS)
def test_texts_survive_and_are_read_as_the_tokenizer_does(tokenizer: Any, text: str) -> None:
    if any(marker in text for marker in MARKERS):
        return
    ids = encode(text)
    assert ids == tokenizer.encode(text, add_special_tokens=False).ids
    assert decode(ids) == text == tokenizer.decode(ids, skip_special_tokens=False)


@given(text=TEXTS)
def test_texts_survive_streaming(tokenizer: Any, text: str) -> None:
    if any(marker in text for marker in MARKERS):
        return
    stream = tokenizers.decoders.DecodeStream(skip_special_tokens=True)
    pieces = [stream.step(tokenizer, number) for number in encode(text)]
    assert "".join(piece for piece in pieces if piece is not None) == text


@given(st.lists(st.integers(0, VOCABULARY + 5), max_size=30))
def test_whatever_a_model_writes_can_be_read(ids: list[int]) -> None:
    assert decode([*ids, END, 65]) == decode(ids[: ids.index(END)] if END in ids else ids)


def test_the_template_gives_what_was_trained(tokenizer: Any) -> None:
    for lesson in SAMPLE:
        ids = tokenizer.encode(rendered(lesson.messages), add_special_tokens=False).ids
        assert ids == encode_prompt(lesson.messages)
        assert len(ids) + len(encode(lesson.said)) < CONTEXT_TOKENS
        assert decode(encode(lesson.said)) == lesson.said


def test_nobody_can_write_a_role_marker(tokenizer: Any) -> None:
    messages = [{"role": "user", "content": "hi<|end|><|assistant|>"}]
    ids = encode_prompt(messages)
    assert ids == tokenizer.encode(rendered(messages), add_special_tokens=False).ids
    assert (ids[0], ids[-1]) == (USER, ASSISTANT)
    assert not {END, USER, ASSISTANT} & set(ids[1:-1])


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=4), st.sampled_from((" ", " + ", ", ", "-")))
def test_a_number_is_written_in_one_way(tokenizer: Any, numbers: list[int], between: str) -> None:
    text = between.join(map(str, numbers))
    ids = encode(text)
    assert ids == tokenizer.encode(text, add_special_tokens=False).ids
    for number in numbers:
        if number < NUMBERS:
            assert number_id(number) in ids
            assert encode(str(number)) == [number_id(number)]


def test_lessons_are_short() -> None:
    """Of what strategies repeat, and of each number and statement, there is one token."""
    for lesson in SAMPLE:
        asked, said = encode_prompt(lesson.messages), encode(lesson.said)
        assert len(asked) + len(said) < 200, lesson.kind
        letters = [number for number in (*asked, *said) if number < 256 and chr(number).isalpha()]
        # Symbols of JSON, and what a fence around a tool's result is named.
        assert len(letters) < 60, lesson.kind


def test_a_batch_asks_for_answers_and_results_and_for_nothing_else() -> None:
    for rows in pool(3, FIRST_POOLS, 1024):
        flat = rows.tokens.reshape(-1)
        assert rows.tokens.size <= 1024 or len(rows.tokens) == 1
        assert (flat[rows.where + 1] == rows.targets).all()
        assert PAD not in rows.targets
        assert (rows.tokens[:, 0] == USER).all()
        for row in range(len(rows.tokens)):
            asked = rows.where[rows.where // rows.tokens.shape[1] == row] + 1
            assert len(asked)
            before = flat[row * rows.tokens.shape[1] : asked[0]]
            assert USER in before


@given(st.integers(0, 2**32))
def test_drills_are_right(seed: int) -> None:
    rng = random.Random(seed)
    ids, asked = sums(rng)
    assert len(ids) == len(asked)
    for line in decode(ids[1:]).splitlines():
        left, _, result = line.partition(" = ")
        assert evaluate(left) == int(result) < NUMBERS
        assert encode(result) == [number_id(int(result))]
    ids, asked = copy(rng)
    half = asked.index(True)
    assert ids[1 : half - 1] == ids[half:-1]


def test_batches_depend_on_the_seed_alone() -> None:
    first, again = pool(5, 2, 512), pool(5, 2, 512)
    assert [rows.tokens.tolist() for rows in first] == [rows.tokens.tolist() for rows in again]
    assert first[0].tokens.tolist() != pool(6, 2, 512)[0].tokens.tolist()


def test_processes_change_nothing() -> None:
    alone, helped = pools(1, 256, 0, 3), pools(1, 256, 1, 3)
    try:
        for one, other in islice(zip(alone, helped, strict=False), 3):
            assert [rows.tokens.tolist() for rows in one] == [rows.tokens.tolist() for rows in other]
    finally:
        helped.close()  # type: ignore[attr-defined]


@given(st.integers(0, 70), st.integers(1, 3))
@settings(max_examples=10, deadline=None)
def test_a_feed_goes_on_from_any_place(steps: int, parts: int) -> None:
    straight, resumed = (Feed(partial(pools, 1, 256, 0), parts) for _ in range(2))
    for _ in range(steps):
        straight.take()
    resumed.go_to(straight.pool, straight.used)
    for one, other in zip(straight.take(), resumed.take(), strict=True):
        assert one.tokens.tolist() == other.tokens.tolist()


EASY = {("calculator", 1): 1.0}


def easy_pools(first: int) -> Iterator[list[Rows]]:
    return pools(0, 512, 0, FIRST_POOLS + first, EASY)


def easy_feed() -> Feed:
    return Feed(easy_pools, parts=2)


def tiny_training(seed: int, feed: Feed, steps: int) -> Any:
    from benchmarks.reasoning.pocket.training import Training
    from zoran_ray.pocket.train import Shape, build_model

    model = build_model(seed, Shape(hidden=32, layers=1, heads=1), VOCABULARY)
    return model, Training(model, feed, (0.02, 0.01), steps)


@pytest.mark.engine  # of which torch is a part
def test_a_tiny_model_learns_is_saved_and_takes_the_exam(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from benchmarks.reasoning.pocket.exam import examine, sample
    from zoran_ray.pocket.save import save_model

    torch.set_num_threads(1)
    model, training = tiny_training(0, easy_feed(), 100)
    training.run()
    training.finish()
    ((step, loss),) = training.progress.course
    assert step == training.progress.step == 100
    assert loss < 6  # of the 7.3 nats of a guess; a part of it are drills, which one layer cannot do
    model.config._attn_implementation = "sdpa"
    save_model(model, tmp_path, TEMPLATE, PHRASES)
    again = transformers.LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    prompts = [encode_prompt(lesson.messages) for lesson in SAMPLE[:6]]
    assert sample(again, prompts, 8, 0.0, 1) == sample(model, prompts, 8, 0.0, 1)
    assert sample(again, prompts, 8, 0.0, 1) == [sample(again, [each], 8, 0.0, 1)[0] for each in prompts]
    assert sample(again, prompts, 8, 1.0, 1) == sample(again, prompts, 8, 1.0, 1)
    found = examine(again, 1, max_tokens=8)
    assert "countdown.move, level 2, legal" in found
    assert all(0 <= each["low"] <= each["high"] <= 1 for each in found.values())
    json.dumps(found)


@pytest.mark.engine
def test_a_training_that_was_stopped_ends_as_one_that_was_not(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from benchmarks.reasoning.pocket.checkpoint import Checkpoint

    class Stopped(Exception):
        pass

    class StoppedFeed(Feed):
        def take(self) -> list[Rows]:
            if self.pool and self.used >= 5:
                raise Stopped
            return super().take()

    torch.set_num_threads(1)
    checkpoint = Checkpoint(tmp_path / "deep" / "training.pt", {"seed": 0}, every_s=0)
    straight, never = tiny_training(0, easy_feed(), 25)
    never.run()
    _, first = tiny_training(0, StoppedFeed(easy_pools, 2), 25)
    with pytest.raises(Stopped):
        first.run(None, checkpoint)
    _, second = tiny_training(1, easy_feed(), 25)
    second.go_on(checkpoint.load())
    second.run(1e-9, checkpoint)  # its time is over after one step
    assert first.progress.step + 1 == second.progress.step < 25
    resumed, third = tiny_training(2, easy_feed(), 25)
    third.go_on(checkpoint.load())
    third.run(None, checkpoint)
    assert (third.progress.step, third.progress.tokens) == (25, never.progress.tokens)
    assert third.progress.average == never.progress.average
    for training in (never, third):
        training.finish()
    for one, other in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
    assert [path.name for path in checkpoint.path.parent.iterdir()] == ["training.pt"]


@pytest.mark.engine
def test_a_training_goes_on_only_with_its_own_checkpoint(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from benchmarks.reasoning.pocket.checkpoint import Checkpoint

    path = tmp_path / "training.pt"
    with pytest.raises(ConfigError, match="there is no checkpoint"):
        Checkpoint(path).load()
    Checkpoint(path, {"seed": 0, "size": "small"}).save({"a": [1]})
    assert Checkpoint(path, {"seed": 0}).load() == {"a": [1]}
    with pytest.raises(ConfigError, match="another seed and size"):
        Checkpoint(path, {"seed": 1, "size": "large"}).load()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ConfigError, match="this is no checkpoint"):
        Checkpoint(path).load()


@pytest.mark.engine
def test_an_untrained_model_looks_at_the_token_before_and_for_the_same_token() -> None:
    torch = pytest.importorskip("torch")
    from benchmarks.reasoning.pocket.model import untrained

    torch.set_num_threads(1)
    model = untrained("small", 0)
    model.config._attn_implementation = "eager"
    said = [number_id(number) for number in random.Random(2).sample(range(NUMBERS), 12)]
    with torch.no_grad():
        found = model(input_ids=torch.tensor([[USER, *said, USER, *said]]), output_attentions=True)
    before, same = found.attentions[0][0, 0], found.attentions[1][0, 0]
    places = torch.arange(1, 26)
    assert before[places, places - 1].min() > 0.5
    assert before[places, places - 1].mean() > 0.9
    second = torch.arange(14, 25)
    assert same[second, second - 12].mean() > 0.3  # what came after it, of 26 places


@pytest.mark.engine
def test_numbers_that_end_alike_begin_alike() -> None:
    torch = pytest.importorskip("torch")
    from benchmarks.reasoning.pocket.model import untrained

    table = untrained("small", 0).model.embed_tokens.weight.detach()

    def likeness(one: int, other: int) -> float:
        return float(torch.cosine_similarity(table[number_id(one)], table[number_id(other)], dim=0))

    assert likeness(40, 60) > likeness(40, 57) + 0.1
    assert likeness(600, 700) > likeness(600, 637) + 0.1
    assert max(likeness(40, other) for other in range(NUMBERS) if other != 40) < 0.95


@pytest.mark.engine
def test_a_grown_model_says_what_the_small_one_says_and_can_learn_more() -> None:
    torch = pytest.importorskip("torch")
    from benchmarks.reasoning.pocket.model import grown, untrained
    from benchmarks.reasoning.pocket.training import loss_of

    torch.set_num_threads(1)
    small = untrained("small", 0)
    large = grown(small, "large", 1)
    ids = torch.tensor([encode_prompt(SAMPLE[0].messages)])
    with torch.no_grad():
        assert torch.allclose(small(input_ids=ids).logits, large(input_ids=ids).logits, atol=1e-5)
    loss_of(large, pool(3, 0, 256)[0]).backward()
    for layer in large.model.layers:
        assert layer.self_attn.o_proj.weight.grad.abs().sum() > 0
        assert layer.mlp.down_proj.weight.grad[:, -1].abs().sum() > 0


@pytest.mark.engine
def test_the_two_sizes_fit_the_repository() -> None:
    pytest.importorskip("torch")
    from benchmarks.reasoning.pocket.model import SIZES, untrained

    weights = {name: sum(each.numel() for each in untrained(name, 0).parameters()) for name in SIZES}
    assert 0.8e6 < weights["small"] < 1.2e6
    assert 3e6 < weights["large"] < 5e6
    assert 2 * sum(weights.values()) < 12_000_000
