"""What a request needs of whoever answers it, and which arms therefore cannot. Knows bodies and offers.

Any JSON object may come in: what makes no sense in it is no need, and the engine will judge it.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zoran_ray.errors import NoArmFits
from zoran_ray.offers import Offer
from zoran_ray.routing.features import wants_json

_MEDIA = {"image_url": "image", "input_image": "image", "image": "image"} | {
    kind: kind.removeprefix("input_").removesuffix("_url")
    for kind in ("input_audio", "audio_url", "audio", "video_url", "video", "input_file", "file")
}
"""Parts of a message that are not text, in any dialect, and what they are called for a person."""
_CALLS = ("function_call", "function_call_output", "tool_use", "tool_result")
_MOST_DEPTH = 4
_MOST_NAMED = 8
_MOST_CHARS = 160


@dataclass(frozen=True, slots=True)
class Needs:
    """What one request needs.

    Attributes:
        path: Public path of its endpoint.
        prompt_tokens: Of the prompt, roughly.
        max_tokens: Most tokens of the answer, None if the caller set no limit.
        tools: It offers tools, or its conversation has calls of them.
        json_schema: The answer must be JSON.
        logprobs: The answer must have its tokens' probabilities.
        media: What the prompt holds besides text: image, audio, video, file.
    """

    path: str
    prompt_tokens: int = 0
    max_tokens: int | None = None
    tools: bool = False
    json_schema: bool = False
    logprobs: bool = False
    media: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls, document: Mapping[str, Any], path: str, prompt_tokens: int, max_tokens: int | None = None
    ) -> "Needs":
        """The needs of a body."""
        kinds = frozenset(_kinds([document.get("messages"), document.get("input")]))
        offered = bool(document.get("tools") or document.get("functions"))
        return cls(
            path=path,
            prompt_tokens=prompt_tokens,
            max_tokens=max_tokens,
            tools=(offered and document.get("tool_choice") != "none") or "call" in kinds,
            json_schema=wants_json(document),
            logprobs=_wants_logprobs(document),
            media=kinds - {"call"},
        )


def is_embedder(offer: Offer) -> bool:
    """Whether it makes embeddings and nothing else."""
    return offer.capabilities == ("embeddings",)


def excluded(
    needs: Needs, name: str, offer: Offer, *, endpoints: Collection[str], residency: str | None = None
) -> str | None:
    """Which need an arm does not meet, in words for a person; None if it meets all.

    Args:
        name: Public name of the arm.
        offer: What it can do.
        endpoints: Public paths that it answers.
        residency: Where the prompt may go, None for anywhere.
    """
    if needs.path not in endpoints or (is_embedder(offer) and not needs.path.endswith("/embeddings")):
        return f"it does not answer {needs.path}"
    if residency is not None and offer.data_goes != residency:
        return f"prompts to it go to '{offer.data_goes}', not '{residency}'"
    if missing := sorted(needs.media.difference(offer.modalities)):
        return f"it does not take {' or '.join(missing)}s in a prompt"
    if needs.path.endswith("/embeddings") and "embeddings" not in offer.capabilities:
        return "it has no embeddings"
    for capability in ("tools", "json_schema", "logprobs"):
        if getattr(needs, capability) and capability not in offer.capabilities:
            return f"it has no {capability}"
    return _too_long(needs, offer)


def nothing_fits(reasons: Mapping[str, str]) -> NoArmFits:
    """The error that says which constraint excludes which arm.

    Args:
        reasons: By name of the arm, each of them excluded.
    """
    if not reasons:
        return NoArmFits(
            "There is no model that zoran/auto may choose for this key; GET /v1/models lists its models.",
            param="model",
        )
    named = [f"{_short(name)}: {_short(reason)}" for name, reason in list(reasons.items())[:_MOST_NAMED]]
    more = f"; and {len(reasons) - len(named)} more" if len(reasons) > len(named) else ""
    return NoArmFits(
        f"No model fits this request. {'; '.join(named)}{more}. Ask for less, or widen 'zoran'.",
        param="model",
    )


def _too_long(needs: Needs, offer: Offer) -> str | None:
    longest, context = offer.max_output_tokens, offer.context_tokens
    asked = needs.max_tokens or 0
    if longest is not None and asked > longest:
        return f"its longest answer is {longest} tokens and {asked} are asked for"
    if context is not None and needs.prompt_tokens + max(1, asked) > context:
        return f"its context of {context} tokens is too short for about {needs.prompt_tokens} + {asked}"
    return None


def _wants_logprobs(document: Mapping[str, Any]) -> bool:
    # `logprobs: 0` of a completion asks for those of the tokens that were chosen.
    asked = document.get("logprobs")
    return (asked is not None and asked is not False) or bool(document.get("top_logprobs"))


def _kinds(value: object, depth: int = 0) -> Iterator[str]:
    """What messages hold besides text; "call" stands for anything about tools."""
    if isinstance(value, list) and depth < _MOST_DEPTH:
        for item in value:
            yield from _kinds(item, depth + 1)
    if not isinstance(value, Mapping):
        return
    kind = value.get("type")
    if isinstance(kind, str) and kind in _MEDIA:
        yield _MEDIA[kind]
    if value.get("role") == "tool" or value.get("tool_calls") or kind in _CALLS:
        yield "call"
    yield from _kinds(value.get("content"), depth + 1)


def _short(text: str) -> str:
    return text if len(text) <= _MOST_CHARS else text[: _MOST_CHARS - 1] + "…"
