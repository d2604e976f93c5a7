"""What a model can do, costs and may be used for, and where a provider's model is reached.

Frozen values like those of `zoran_ray.settings`; `zoran_ray.models_file` has the file they stand in.
"""

import re
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

Use = Literal["commercial", "research", "personal"]
Modality = Literal["text", "image"]
Capability = Literal["tools", "json_schema", "logprobs", "embeddings"]
Provider = Literal["openai", "anthropic", "mistral", "gemini", "ollama", "vllm", "openai_compatible"]

UsdPerMillion = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Whereabouts = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]

AUTO = "zoran/auto"
"""The model that stands for whichever suits a request best."""
AGENTS = "zoran/agents"
"""The model that stands for whichever role suits a request best; `zoran/agents:coder` for that one."""

KEY_VARIABLES: dict[Provider, str] = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "gemini": "GEMINI_API_KEY",
}
"""Where each hosted provider's own clients look for a key."""

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,127}", re.ASCII)
_FILE = re.compile(r"(?:/|\./|\.\./|~/)[^\x00-\x1f\x7f]{1,1000}")


def address(text: str) -> str:
    """`text` without a slash at its end, if it is an address without secrets in it."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # its message quotes the text
        good = False
    if not good or not re.fullmatch(r"[!-~]+", text):
        raise ValueError("this is not an http or https address, such as https://example.org/v1") from None
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(
            "an address holds no user, password or query: name the key in api_key_env or api_key_file"
        )
    return text.rstrip("/")


Address = Annotated[str, AfterValidator(address)]
"""The field of a frozen value that holds one."""


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Offer(Frozen):
    """What a model can do, what it costs and what it may be used for, wherever it runs."""

    context_tokens: int | None = Field(default=None, ge=1)
    """Most tokens of prompt and answer together. Unset: the engine knows."""
    max_output_tokens: int | None = Field(default=None, ge=1)
    """Longest answer in tokens. Unset: what the context leaves."""
    modalities: tuple[Modality, ...] = Field(default=("text",), min_length=1)
    """What a prompt may consist of."""
    capabilities: tuple[Capability, ...] = ()
    """What it can do besides plain answers; requests that need more go elsewhere."""
    usd_per_million_input: UsdPerMillion = 0.0
    """USD for a million tokens of prompt."""
    usd_per_million_output: UsdPerMillion = 0.0
    """USD for a million tokens of answer, reasoning included."""
    usd_per_million_cached_input: UsdPerMillion | None = None
    """USD for a million tokens of prompt read from a cache. Unset: as `usd_per_million_input`."""
    licence: str = Field(default="", max_length=128)
    """Licence of an open model's weights, as an SPDX id where there is one."""
    licence_allows: tuple[Use, ...] = get_args(Use)
    """Uses the licence allows; must be said where `licence` is."""
    data_goes: Whereabouts = "local"
    """Where prompts go: `local` (this installation) or a region such as `us` or `eu`."""

    @model_validator(mode="after")
    def _licence_is_complete(self) -> "Offer":
        if self.licence and "licence_allows" not in self.model_fields_set:
            raise ValueError(
                f"say what the licence '{self.licence}' allows, for example licence_allows: [research]"
            )
        return self

    @model_validator(mode="after")
    def _answers_are_bounded(self) -> "Offer":
        # Otherwise nobody could say, before the call, what a request may cost at most.
        if self.usd_per_million_output and self.context_tokens is None and self.max_output_tokens is None:
            raise ValueError("a price for output needs context_tokens or max_output_tokens beside it")
        return self


class ArmSpec(Offer):
    """One model that somebody else serves: where it is, how it is reached, what it can do and costs."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}/[A-Za-z0-9][A-Za-z0-9._/:-]{0,95}$")
    """Public name, `<provider>/<name>`."""
    provider: Provider
    """Whose protocol the server speaks."""
    upstream: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,255}$")
    """The provider's own name of the model."""
    base_url: Address | None = None
    """Address of the API without the endpoint's path. Unset: the provider's own."""
    api_key_env: str | None = None
    """Name of the variable that holds the key. Unset: the usual one, at the provider's own address."""
    api_key_file: str | None = None
    """File that holds the key, such as a mounted secret; instead of `api_key_env`."""
    description: str = ""
    context_tokens: int = Field(ge=1)
    data_goes: Whereabouts
    max_concurrency: int = Field(default=64, ge=1, le=4096)
    """Requests each gateway has under way at this arm at once."""
    max_queued: int = Field(default=64, ge=0, le=65536)
    """Requests per gateway that may wait for one of those places."""
    timeout_s: float = Field(default=120.0, gt=0, allow_inf_nan=False)
    """Longest wait for the first byte of an answer."""
    fallbacks: tuple[str, ...] | Literal["auto"] = ()
    """Who is asked when this arm fails, in order; `auto` leaves it to the router."""

    # None of these messages may begin with "expected" or quote the value: it may be a key.
    @field_validator("api_key_env")
    @classmethod
    def _names_a_variable(cls, value: str | None) -> str | None:
        if value is None or (_VARIABLE.fullmatch(value) and ("_" in value or len(value) < 20)):
            return value
        raise ValueError(
            "this is not the name of an environment variable and may be the key itself. Put the key into a"
            " variable, such as OPENAI_API_KEY, and write the variable's name here"
        )

    @field_validator("api_key_file")
    @classmethod
    def _names_a_file(cls, value: str | None) -> str | None:
        if value is None or _FILE.fullmatch(value):
            return value
        raise ValueError(
            "this is not the path of a file and may be the key itself. Put the key into a file and write"
            " its path here, such as /run/secrets/openai or ./openai.key"
        )

    @model_validator(mode="after")
    def _is_complete(self) -> "ArmSpec":
        owner = self.name.split("/")[0]
        if owner in ("local", "zoran"):
            raise ValueError(f"names that begin with '{owner}/' are taken; begin with the provider's name")
        if owner in get_args(Provider) and owner != self.provider:
            raise ValueError(f"'{self.name}' would be served by {self.provider}: one of the two is wrong")
        if self.api_key_env is not None and self.api_key_file is not None:
            raise ValueError("api_key_env and api_key_file are both here; keep one")
        if self.base_url is None and self.provider in ("vllm", "openai_compatible"):
            raise ValueError(f"base_url is required: a provider of kind {self.provider} has no address yet")
        if self.base_url is None and self.provider in KEY_VARIABLES and self.data_goes == "local":
            raise ValueError(f"data_goes cannot be local: {self.provider} is elsewhere; name the region")
        self._is_priced()
        return self

    def _is_priced(self) -> None:
        """Taken for free by mistake, an arm would be everybody's first choice and no budget's concern."""
        prices = {"usd_per_million_input", "usd_per_million_output"}
        missing = sorted(prices - self.model_fields_set)
        if missing and self.provider not in ("ollama", "vllm"):
            raise ValueError(f"{' and '.join(missing)} must be here; write 0 for what is free")

    @property
    def public_name(self) -> str:
        return self.name

    @property
    def key_variable(self) -> str | None:
        """The variable that holds the key; None where a file does or no key is needed."""
        if self.api_key_file is not None:
            return None
        # The usual key goes to the provider's own address only, unless it is named.
        usual = KEY_VARIABLES.get(self.provider) if self.base_url is None else None
        return self.api_key_env or usual


def fault(text: str, *place: str | int) -> InitErrorDetails:
    """A mistake at one place of the file, told like pydantic's own."""
    return InitErrorDetails(type=PydanticCustomError("value_error", text), loc=place, input=None)
