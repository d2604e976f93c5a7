"""Configuration as frozen values. `zoran_ray.config` reads files, variables and flags into them.

Nothing below a composition root reads the environment; it is given one of these. Longer than 350 lines: one
section after the other, and nothing else.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import InitErrorDetails

from zoran_ray.deploy_targets import TargetSettings, WholePath
from zoran_ray.offers import Address, Frozen, fault
from zoran_ray.sentry_projects import SentrySettings

Scalar = str | int | float | bool | None


class ServerSettings(Frozen):
    """The public HTTP endpoint."""

    host: str = "127.0.0.1"
    """Address to listen on. Any but loopback needs at least one API key."""
    port: int = Field(default=8080, ge=1, le=65535)
    tls_cert: Path | None = None
    """PEM file with the endpoint's certificate, and those up to the root behind it; unset: plain HTTP."""
    tls_key: Path | None = None
    """PEM file with its private key, closed to other users. On every node that has a proxy."""
    gateways: int = Field(default=1, ge=1, le=64)
    """Gateway replicas on each node that has a proxy."""
    max_body_bytes: int = Field(default=32 * 1024 * 1024, ge=1024)
    max_json_depth: int = Field(default=64, ge=4, le=512)
    max_choices: int = Field(default=16, ge=1)
    """Largest `n` (and `best_of`) a request may ask for."""
    header_timeout_s: int = Field(default=10, ge=1)
    """Time a client has to send its request head."""
    body_timeout_s: float = Field(default=30.0, gt=0)
    """Time a client has to send its request body."""
    request_timeout_s: float = Field(default=600.0, gt=0)
    """Longest a request may take, streaming included."""
    write_timeout_s: float = Field(default=60.0, gt=0)
    """Longest a client may leave a chunk of its answer unread."""
    max_inflight: int = Field(default=1024, ge=1)
    """Requests one gateway holds at once; one more is answered 503 immediately."""

    @field_validator("tls_cert", "tls_key")
    @classmethod
    def _names_a_file(cls, value: Path | None) -> Path | None:
        if value is None or (found := value.expanduser()).is_absolute():
            return value and found
        raise ValueError("this is not the whole path of a file, such as /etc/zoran/tls.pem")

    @model_validator(mode="after")
    def _is_a_pair(self, info: ValidationInfo) -> "ServerSettings":
        # One source of several may give the one, another one the other.
        if not (info.context or {}).get("partial") and (self.tls_cert is None) != (self.tls_key is None):
            missing = "tls_key" if self.tls_key is None else "tls_cert"
            raise ValueError(f"tls_cert and tls_key belong together; {missing} is missing")
        return self

    @property
    def scheme(self) -> str:
        """How the endpoint is spoken to."""
        return "https" if self.tls_cert else "http"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach `host`."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")


class LogSettings(Frozen):
    format: Literal["auto", "json", "pretty"] = "auto"
    """`auto`: pretty on a terminal, JSON elsewhere."""
    level: Literal["debug", "info", "warning", "error"] = "info"


class ClusterSettings(Frozen):
    """The Ray cluster this runs on."""

    address: str | None = None
    """Address of a running Ray head; unset starts a local one."""
    num_cpus: int | None = Field(default=None, ge=1)
    """Logical CPUs of a local cluster; unset: as many as there are, at least 4."""
    num_gpus: int | None = Field(default=None, ge=0)
    max_gpus: float | None = Field(default=None, ge=0)
    """GPUs the cluster's own autoscaler can bring it to; unset: it does not grow."""
    object_store_bytes: int = Field(default=128 * 1024 * 1024, ge=80 * 1024 * 1024)
    """Shared memory of a local cluster's object store. Tokens never pass through it."""


class BudgetSettings(Frozen):
    """What all callers together may spend at providers; each key may have a budget of its own besides."""

    usd_per_day: float | None = Field(default=None, ge=0, le=100_000_000, allow_inf_nan=False)
    """Most USD in one UTC day; unset: no limit."""
    usd_per_request: float | None = Field(default=None, ge=0, le=100_000_000, allow_inf_nan=False)
    """Most USD that one request may cost; unset: no limit."""


class RoutingSettings(Frozen):
    """How `zoran/auto` chooses among models, and when it doubts itself."""

    budget_usd_per_request: float | None = Field(default=None, gt=0, le=1_000_000, allow_inf_nan=False)
    """USD that a request routed by `zoran/auto` may cost on average; unset: quality is all that counts."""
    exploration: float = Field(default=0.5, ge=0, le=1, allow_inf_nan=False)
    """How much of its doubt the router acts on: 0 never tries what looks worse, 1 is Thompson sampling."""
    size: int = Field(default=64, ge=16, le=1024)
    """Numbers in the vector of a prompt. A change makes the router begin anew."""
    remembered: float = Field(default=2000.0, ge=50, le=1_000_000, allow_inf_nan=False)
    """Scores of a model after which an old one counts 1/e."""
    switch_cost: float = Field(default=0.05, ge=0, le=1, allow_inf_nan=False)
    """Score (0..1) that another model must promise more before a conversation changes its model."""
    scores_per_key: float = Field(default=20.0, ge=1, le=1_000_000, allow_inf_nan=False)
    """Scores of one key that count in an hour beside those of others; more only as others give theirs."""
    most_moved: float = Field(default=0.1, gt=0, le=1, allow_inf_nan=False)
    """Furthest that one key's scores may move a model's expected score (0..1) in an hour, beside others."""
    guard_threshold: float = Field(default=0.70, gt=0, lt=1, allow_inf_nan=False)
    """Stability (0..1) below which the router returns to its last good state."""
    guard_hysteresis: float = Field(default=0.05, gt=0, le=1, allow_inf_nan=False)
    """How far above the threshold a state must be to be kept as good."""
    guard_cooldown: int = Field(default=200, ge=1, le=1_000_000)
    """Requests after a rollback in which there is no other, and in which less is tried."""

    @model_validator(mode="after")
    def _can_be_good(self) -> "RoutingSettings":
        if self.guard_threshold + self.guard_hysteresis > 1:
            raise ValueError("guard_threshold and guard_hysteresis together are above 1: no state is good")
        return self


class MemorySettings(Frozen):
    """Where the memory is kept, and what makes its vectors."""

    shards: int | None = Field(default=None, ge=1, le=64)
    """Shards that hold the records, each a process of its own, spread over the cluster's nodes. Unset: one
    for each node."""
    replicas: int = Field(default=2, ge=1, le=3)
    """Shards on different nodes that hold the same record; fewer where there are fewer nodes or shards."""
    embedder: str = Field(default="hashed", min_length=1, max_length=128)
    """`hashed` (n-grams, not semantic), or an embedding model: `local/<name>` or `<provider>/<name>`."""
    dimension: int = Field(default=384, ge=8, le=8192)
    """Numbers in a vector of the embedder."""
    fsync: Literal["always", "interval", "never"] = "always"
    """When a write waits for the disk. All survive a crash of the process, only `always` one of the
    machine."""
    fsync_interval_s: float = Field(default=0.1, gt=0, le=60)
    """For `interval`: seconds of writes that a crash of the machine may cost."""
    shard_records: int = Field(default=1_000_000, ge=1, le=100_000_000)
    """Most records of one shard."""
    shard_memory_bytes: int = Field(default=8 * 1024**3, ge=16 * 1024**2)
    """Most memory of one shard, about."""
    qdrant_url: Address | None = None
    """A running Qdrant that finds the nearest vectors (extra `[qdrant]`); unset: they are found here."""
    qdrant_api_key_file: WholePath | None = None
    """File that holds Qdrant's API key."""

    @model_validator(mode="after")
    def _keeps_the_key(self) -> "MemorySettings":
        parts = urlsplit(self.qdrant_url or "")
        near = parts.hostname in (None, "localhost", "::1") or str(parts.hostname).startswith("127.")
        if self.qdrant_api_key_file and parts.scheme == "http" and not near:
            raise ValueError("qdrant_api_key_file needs an https address: http shows the key on the way")
        return self


PiiKind = Literal[
    "PRIVATE_KEY",
    "URL_CREDENTIALS",
    "API_KEY",
    "EMAIL",
    "IBAN",
    "FR_NIR",
    "FR_SIRET",
    "CARD",
    "US_SSN",
    "FR_SIREN",
    "PHONE",
    "IP",
]
"""What is found without a plug-in. Of two spans of the same length the earlier kind here wins: it is the
one whose check lets less through."""

PrivacyMode = Literal["off", "remote", "always", "reject"]


class PrivacyProfile(Frozen):
    """When texts are masked, and what is looked for."""

    mode: PrivacyMode = "remote"
    """`off`; `remote`: mask what goes to another's server; `always`: mask for local models too; `reject`:
    refuse a request in which something is found."""
    kinds: tuple[PiiKind, ...] = get_args(PiiKind)
    """What is looked for besides what plug-ins find."""
    phone_regions: tuple[str, ...] = Field(default=("FR", "US", "GB"), max_length=32)
    """Whose national phone numbers are recognised; those with a `+` all are."""


class PrivacySettings(Frozen):
    """Which profile holds for whom, and how long masked values are kept."""

    profiles: dict[str, PrivacyProfile] = Field(default={}, max_length=256, validate_default=True)
    """By name; one called `default` is there even if it is not named."""
    profile: str = "default"
    """Name of the profile that holds unless `tenants` says otherwise."""
    tenants: dict[str, str] = Field(default={}, max_length=100_000)
    """Names of the profiles that hold for tenants."""
    plugins: tuple[str, ...] = Field(default=(), max_length=16)
    """What finds names, addresses and the like: classes as `module:Class`, made without arguments."""
    vault_ttl_s: float = Field(default=30 * 86400.0, gt=0, le=10 * 365 * 86400, allow_inf_nan=False)
    """How long a masked value can be put back after it was last seen, in seconds."""
    vault_values_per_tenant: int = Field(default=100_000, ge=1, le=10_000_000)
    """Values kept for one tenant; beyond, those that expire first go."""

    @field_validator("profiles")
    @classmethod
    def _with_default(cls, value: dict[str, PrivacyProfile]) -> dict[str, PrivacyProfile]:
        return {"default": PrivacyProfile(), **value}

    @model_validator(mode="after")
    def _known(self, info: ValidationInfo) -> "PrivacySettings":
        # One source of several may name what another one defines.
        if not (info.context or {}).get("partial"):
            faults = [*self._unknown(self.profile, "profile")]
            faults += [
                f for tenant, name in self.tenants.items() for f in self._unknown(name, "tenants", tenant)
            ]
            if faults:
                raise ValidationError.from_exception_data("PrivacySettings", faults)
        return self

    def _unknown(self, name: str, *place: str) -> Iterator[InitErrorDetails]:
        if name not in self.profiles:
            known = ", ".join(sorted(self.profiles))
            yield fault(f"there is no profile '{name[:64]}'; there are {known}", *place)

    def profile_of(self, tenant: str) -> str:
        """Name of the profile that holds for a tenant; "" is everybody who has none."""
        return self.tenants.get(tenant, self.profile)


class JournalSettings(Frozen):
    """What is written into the journal besides what must be: memory, consent, the guard's rollbacks."""

    routing: bool = True
    """Each answer that `zoran/auto` routed: the model, the task, tokens, cost, time; never text."""


class McpServerSettings(Frozen):
    """A server of the Model Context Protocol whose tools may be allowed."""

    command: tuple[str, ...] = Field(default=(), max_length=64)
    """The program and its arguments, to be started and spoken to over its stdin and stdout."""
    url: Address | None = None
    """Or the address of one that runs elsewhere."""
    variables: tuple[str, ...] = Field(default=(), max_length=64)
    """Names of our environment variables that the program gets; of the others it gets none."""
    token_variable: str | None = None
    """Name of the variable with the token that a server at an address is shown."""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "McpServerSettings":
        if bool(self.command) == (self.url is not None):
            raise ValueError("give either a command or a url")
        return self


ToolPermission = Literal["local", "network", "code", "memory"]


class ToolSettings(Frozen):
    """What models may use: in strategies, for every key that may ask one, and by `zoran mcp serve`.

    A tool is off unless its name and what it reaches are both allowed here, and the policy grants both."""

    allowed: tuple[str, ...] = Field(default=("calculator",), max_length=256)
    """Names of tools: ours, those of installed packages, and `server_tool` for those of MCP servers."""
    permissions: tuple[ToolPermission, ...] = ("local",)
    """What allowed tools may reach: nothing but this process, the network, code that runs, the memory."""
    fetch_addresses: tuple[str, ...] = Field(default=(), max_length=64)
    """Addresses as `10.0.0.7:8080` that `fetch` may ask although they are not public."""
    mcp: dict[str, McpServerSettings] = Field(default={}, max_length=32)
    """MCP servers by name."""


VerifierName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
FunctionPlace = Annotated[
    str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$", max_length=256)
]


class ReasoningSettings(Frozen):
    """What strategies have besides what comes along."""

    verifiers: dict[VerifierName, FunctionPlace] = Field(default={}, max_length=64)
    """Functions that judge answers, as `module:function`, by the name that requests say."""


class AgentSettings(Frozen):
    """Role agents: what they may read, how much they take on, how often their processes are restarted."""

    folder: Path | None = None
    """Folder whose index the retriever searches (`zoran rag index FOLDER`): every key that may use
    `zoran/agents` may ask about it. The tool `search_files` searches it too, where it is allowed. Unset:
    there is neither."""
    strategy: str = Field(default="cot", min_length=1, max_length=64)
    """How the reasoner thinks where a request says nothing."""
    running: int = Field(default=16, ge=1, le=1024)
    """Requests that one role has under way at a time."""
    waiting: int = Field(default=64, ge=0, le=65_536)
    """Requests that wait for one of those places; one more is refused."""
    restarts: int = Field(default=5, ge=0, le=1000)
    """So often a role's process is started again within `period_s`; then it is given up for as long."""
    period_s: float = Field(default=60.0, gt=0, le=86_400, allow_inf_nan=False)
    """In seconds."""

    @field_validator("folder")
    @classmethod
    def _expanded(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value is not None else None


class SandboxSettings(Frozen):
    """Where programs run that nobody trusts: each in a Docker container of its own."""

    docker_host: str | None = Field(default=None, min_length=1, max_length=256)
    """Address of the Docker daemon, as `unix:///run/docker.sock`; unset: the usual sockets."""
    image: str | None = Field(default=None, pattern=r"^([a-z0-9._:/-]+@)?sha256:[0-9a-f]{64}$")
    """Digest of the image; unset: the one that `zoran sandbox build` made."""
    runtime: Literal["runsc"] | None = None
    """`runsc` for gVisor, which has to be set up in the daemon; unset: the daemon's own."""
    slots: int = Field(default=2, ge=1, le=256)
    """Containers at once on each node of a local cluster."""


class ForgeSettings(Frozen):
    """A host that tasks may work with besides github.com: where its API is, and the token for it."""

    api_url: Address | None = None
    """Address of GitHub's API there, as `https://git.example.com/api/v3`; unset: github.com's own for
    github.com, elsewhere none, so that there are branches and no pull requests."""
    token_file: WholePath | None = None
    """File that holds the token."""
    token_variable: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")
    """Or the name of the variable that does."""

    @model_validator(mode="after")
    def _has_one_token(self) -> "ForgeSettings":
        if self.token_file is not None and self.token_variable is not None:
            raise ValueError("token_file and token_variable are both here; keep one")
        return self


class AutopilotSettings(Frozen):
    """Who works on tasks, with what, and where. What they may do, the policy says."""

    policy_file: Path | None = None
    """The policy, also for tools; unset: `policy/policy.yaml` as it is shipped."""
    paths: tuple[Path, ...] = Field(default=(), max_length=256)
    """Folders in which repositories of this machine may lie. Empty: any, as long as the server has no keys;
    none, once it has some."""
    workers: int = Field(default=1, ge=1, le=64)
    """Tasks that are worked on at a time."""
    model: str = Field(default="zoran/auto", min_length=1, max_length=200)
    """Who is asked where a request names no model."""
    author_name: str = Field(default="zoran", pattern=r"^[^<>\x00-\x1f\x7f]{1,100}$")
    """Whose commits they are."""
    author_email: str = Field(default="zoran@localhost", pattern=r"^[^<>\s\x00-\x1f\x7f]{3,200}$")
    lease_s: float = Field(default=60.0, ge=5, le=3600, allow_inf_nan=False)
    """How long a task is a worker's unless it says that it still works, in seconds: what a crash costs."""
    keep_days: int = Field(default=30, ge=1, le=3650)
    """Days for which a finished task is remembered, with its events, its diff and our copies of its
    repositories. One that runs, or waits for a person, is never forgotten."""
    keep_tasks: int = Field(default=10_000, ge=1, le=1_000_000)
    """How many finished tasks are remembered at most: the last ones."""
    forges: dict[str, ForgeSettings] = Field(default={}, max_length=256)
    """Hosts, with their port if they have one, by name. With keys, tasks work with these and github.com
    only."""
    targets: dict[str, TargetSettings] = Field(default={}, max_length=100)
    """Places to deploy to, by name."""
    sentry: SentrySettings = SentrySettings()

    @field_validator("policy_file")
    @classmethod
    def _expanded(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value is not None else None

    @field_validator("paths")
    @classmethod
    def _whole(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        found = tuple(path.expanduser() for path in value)
        if any(not path.is_absolute() for path in found):
            raise ValueError("each of these is the whole path of a folder, such as /srv/repositories")
        return found

    @field_validator("forges")
    @classmethod
    def _are_hosts(cls, value: dict[str, ForgeSettings]) -> dict[str, ForgeSettings]:
        if any(not re.fullmatch(r"[A-Za-z0-9.-]+(?::[0-9]{1,5})?", host) for host in value):
            raise ValueError("a forge is named by its host, such as git.example.com or 127.0.0.1:3000")
        return {host.lower(): forge for host, forge in value.items()}


class Settings(Frozen):
    """Everything `zoran serve` needs to know."""

    state_dir: Path = Path("~/.local/state/zoran")
    """Keys and everything else durable. One running server each."""
    server: ServerSettings = ServerSettings()
    cluster: ClusterSettings = ClusterSettings()
    budget: BudgetSettings = BudgetSettings()
    routing: RoutingSettings = RoutingSettings()
    memory: MemorySettings = MemorySettings()
    privacy: PrivacySettings = PrivacySettings()
    journal: JournalSettings = JournalSettings()
    tools: ToolSettings = ToolSettings()
    sandbox: SandboxSettings = SandboxSettings()
    reasoning: ReasoningSettings = ReasoningSettings()
    agents: AgentSettings = AgentSettings()
    autopilot: AutopilotSettings = AutopilotSettings()
    log: LogSettings = LogSettings()
    memory_file: Path | None = None
    """YAML with the rules of the memory; unset: those of `configs/memory.yaml`."""
    models_file: Path | None = None
    """YAML with a list `models`; unset: the embedded model."""
    otlp_endpoint: str | None = None
    """Where OpenTelemetry traces go (`OTEL_EXPORTER_OTLP_ENDPOINT`); unset: nowhere."""

    @field_validator("state_dir", "models_file", "memory_file")
    @classmethod
    def _expanded(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value is not None else None
