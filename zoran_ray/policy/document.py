"""The policy as a document: every section, its default and which way each setting is stricter.

What a policy does not say is as strict as it can be: no path, no command, no action, no tool, no merge.
"""

from typing import TYPE_CHECKING, Annotated, Literal, get_args

from pydantic import Field, StringConstraints, field_validator, model_validator

from zoran_ray.offers import Frozen
from zoran_ray.policy.rules import Command, Name, PathRule, TextRule
from zoran_ray.policy.strictness import Add, FirstIsStrictest, Fixed, Keep, Least, Most, partial_of
from zoran_ray.settings import ToolPermission

Mode = Literal["advisor", "operator", "autopilot", "sovereign"]
MODES: tuple[Mode, ...] = get_args(Mode)
"""What a task may do, from nothing but advice to merging and deploying by itself."""

SecretKind = Literal["private_key", "url_credentials", "api_key"]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
CheckName = Annotated[str, StringConstraints(min_length=1, max_length=200)]


_MIB, _TIB = 1024**2, 1024**4
_NO_NUMBERS = frozenset({"image", "network", "runtime", "env"})


class Paths(Frozen):
    """Which files may be read and changed. What `forbid` matches is refused, whatever else does."""

    allow: Annotated[tuple[PathRule, ...], Fixed()] = Field(default=(), max_length=256)
    """What may be done at all. An override narrows it by `only`."""
    only: Annotated[tuple[PathRule, ...], Add()] = Field(default=(), max_length=256)
    """Each of these must match too, for what it is `on`."""
    ask: Annotated[tuple[PathRule, ...], Add()] = Field(default=(), max_length=256)
    """Of what is allowed, what a person has to see first."""
    forbid: Annotated[tuple[PathRule, ...], Add()] = Field(default=(), max_length=256)
    """Protected: matched without regard to case, as a forgiving file system would."""


class Changes(Frozen):
    """What a diff may be. Symbolic links, submodules and git's own folder are refused always."""

    max_files: Annotated[int, Most()] = Field(default=20, ge=0, le=10_000)
    max_lines: Annotated[int, Most()] = Field(default=500, ge=0, le=1_000_000)
    """Lines added and removed together."""
    max_bytes: Annotated[int, Most()] = Field(default=100_000, ge=0, le=64 * 1024 * 1024)
    """Bytes of the patch."""
    exec_bits: Annotated[bool, Most()] = False
    """Whether a file may become executable."""
    binary: Annotated[bool, Most()] = False
    """Whether files that are no text may change: nobody reads what is in them."""
    gitattributes: Annotated[bool, Most()] = False
    """Whether `.gitattributes` may change: it can name filters that run programs."""
    gitmodules: Annotated[bool, Most()] = False
    """Whether `.gitmodules` may change."""


class Secrets(Frozen):
    """What is looked for in every diff, message and log, and refused."""

    detectors: Annotated[tuple[SecretKind, ...], Add()] = get_args(SecretKind)
    """Those that are built in."""
    patterns: Annotated[tuple[TextRule, ...], Add()] = Field(default=(), max_length=128)
    """More of them."""


class SandboxRules(Frozen):
    """What code that runs may use. It has no network, and nothing here can give it one."""

    image: Annotated[str, Fixed()] = Field(default="", pattern=r"^(?:|(?:\S{1,400}@)?sha256:[0-9a-f]{64})$")
    """By digest: `sha256:…` or `name@sha256:…`. Empty: the one `zoran sandbox build` made."""
    network: Annotated[Literal["none"], Fixed()] = "none"
    runtime: Annotated[Literal["runsc", "runc"], FirstIsStrictest("runsc", "runc")] = "runc"
    """`runsc` is gVisor, and must be installed then."""
    timeout_s: Annotated[float, Most()] = Field(default=120.0, gt=0, le=86_400, allow_inf_nan=False)
    """From start to end of one program."""
    cpus: Annotated[float, Most()] = Field(default=1.0, ge=0.01, le=256, allow_inf_nan=False)
    """Cores that a job may keep busy."""
    memory_bytes: Annotated[int, Most()] = Field(default=512 * _MIB, ge=32 * _MIB, le=_TIB)
    """The files in its folders included. Swap is none."""
    processes: Annotated[int, Most()] = Field(default=128, ge=16, le=32_768)
    """Threads included."""
    open_files: Annotated[int, Most()] = Field(default=256, ge=32, le=1_048_576)
    """Of one process."""
    file_bytes: Annotated[int, Most()] = Field(default=64 * _MIB, ge=1, le=_TIB)
    """Size of one file that it writes."""
    work_bytes: Annotated[int, Most()] = Field(default=64 * _MIB, ge=1, le=_TIB)
    """Room of its working folder; it is memory."""
    tmp_bytes: Annotated[int, Most()] = Field(default=64 * _MIB, ge=1, le=_TIB)
    """Room of /tmp; it is memory."""
    input_files: Annotated[int, Most()] = Field(default=4_000, ge=1, le=1_000_000)
    """Files that it is given."""
    input_bytes: Annotated[int, Most()] = Field(default=32 * _MIB, ge=1, le=_TIB)
    """Their contents together."""
    kept_files: Annotated[int, Most()] = Field(default=4_000, ge=1, le=1_000_000)
    """Files that it leaves."""
    kept_bytes: Annotated[int, Most()] = Field(default=32 * _MIB, ge=1, le=_TIB)
    """Their contents together."""
    output_bytes: Annotated[int, Most()] = Field(default=256 * 1024, ge=1, le=_TIB)
    """Kept of each of its two outputs: half from the start, half from the end."""
    flood_bytes: Annotated[int, Most()] = Field(default=64 * _MIB, ge=1, le=_TIB)
    """What it may write to both outputs before it is ended."""
    env: Annotated[tuple[VariableName, ...], Keep()] = Field(default=(), max_length=64)
    """Names of variables of the server's environment that a job sees too; it sees no others of them."""

    def limits(self) -> dict[str, float]:
        """The bounds of a job that are numbers, by name."""
        found: dict[str, float] = self.model_dump(include=set(type(self).model_fields) - _NO_NUMBERS)
        return found


class Grant(Frozen):
    """What one agent or strategy may use."""

    tools: tuple[str, ...] = Field(default=(), max_length=256)
    """By name; `*` is all."""
    permissions: tuple[ToolPermission, ...] = ()
    """What those tools may reach."""


class Tools(Frozen):
    """Which tools agents and strategies may use."""

    grants: Annotated[dict[str, Grant], Fixed()] = Field(default={}, max_length=256)
    """By name: a role as `coder`, a strategy as `strategy:react`, MCP clients as `mcp`; `*` for others."""
    permissions: Annotated[tuple[ToolPermission, ...], Keep()] = ()
    """What any of them may reach at most."""
    forbid: Annotated[tuple[str, ...], Add()] = Field(default=(), max_length=256)
    """Tools that nobody may use."""


class Actions(Frozen):
    """What may be done outside: a push, a pull request, a message to somebody's server."""

    allow: Annotated[tuple[Name, ...], Keep()] = Field(default=(), max_length=256)
    """All that may happen."""
    ask: Annotated[tuple[Name, ...], Add()] = Field(default=(), max_length=256)
    """Which of them need a person each time."""
    forbid: Annotated[tuple[Name, ...], Add()] = Field(default=(), max_length=256)

    @model_validator(mode="after")
    def _asks_for_what_is_allowed(self) -> "Actions":
        if extra := [name for name in self.ask if name not in self.allow]:
            raise ValueError(f"'{extra[0]}' is in ask and not in allow: it is refused, whoever is asked")
        return self


class MergeGate(Frozen):
    """When a pull request is merged without a person; in sovereign mode only."""

    allowed: Annotated[bool, Most()] = False
    min_confidence: Annotated[float, Least()] = Field(default=0.95, ge=0, le=1, allow_inf_nan=False)
    approvals: Annotated[int, Least()] = Field(default=0, ge=0, le=100)
    """By people."""
    strict_base: Annotated[bool, Least()] = True
    """Whether the base must be the commit that the tests ran on."""
    required_checks: Annotated[tuple[CheckName, ...], Add()] = Field(default=(), max_length=100)
    """Checks that must have succeeded, by name."""


class DeployGate(Frozen):
    """When what was merged is deployed without a person; in sovereign mode only."""

    allowed: Annotated[bool, Most()] = False
    targets: Annotated[tuple[Name, ...], Keep()] = Field(default=(), max_length=100)
    """Names of the deployments that may be touched."""
    min_confidence: Annotated[float, Least()] = Field(default=0.95, ge=0, le=1, allow_inf_nan=False)
    approvals: Annotated[int, Least()] = Field(default=0, ge=0, le=100)
    rollback: Annotated[bool, Least()] = True
    """Whether the target must have a health check and a way back."""


class Budgets(Frozen):
    """What one task may spend."""

    tokens: Annotated[int, Most()] = Field(default=200_000, ge=0, le=10**12)
    """Of all prompts and answers."""
    usd: Annotated[float, Most()] = Field(default=1.0, ge=0, le=1_000_000, allow_inf_nan=False)
    wall_s: Annotated[float, Most()] = Field(default=1800.0, ge=0, le=30 * 86_400, allow_inf_nan=False)
    """From its start, waiting for people not counted."""
    tries: Annotated[int, Most()] = Field(default=3, ge=0, le=100)
    """Edits that are tried and tested."""


class Rules(Frozen):
    """What agents may do."""

    mode_max: Annotated[Mode, FirstIsStrictest(*MODES)] = "advisor"
    """The most that any task may do; a request can only ask for less."""
    paths: Paths = Paths()
    changes: Changes = Changes()
    commands: Annotated[dict[Name, Command], Keep()] = Field(default={}, max_length=256)
    """What a model may run, by the name that it uses. An override lists the names that stay."""
    secrets: Secrets = Secrets()
    forbidden: Annotated[tuple[TextRule, ...], Add()] = Field(default=(), max_length=128)
    """What no added line may hold."""
    sandbox: SandboxRules = SandboxRules()
    tools: Tools = Tools()
    actions: Actions = Actions()
    merge: MergeGate = MergeGate()
    deploy: DeployGate = DeployGate()
    budgets: Budgets = Budgets()


if TYPE_CHECKING:

    class Override(Rules):
        """What an override may say: any part of the rules, stricter."""
else:
    Override = partial_of(Rules)


class Policy(Rules):
    """What agents may do, and what is stricter for some repositories."""

    version: Annotated[Literal[1], Fixed()] = 1
    repositories: Annotated[dict[str, Override], Fixed()] = Field(default={}, max_length=1_000)
    """Overrides by name of the repository, as `github.com/acme/shop`; `*` stands for any text. All that
    match hold."""

    @field_validator("repositories")
    @classmethod
    def _has_names(cls, value: dict[str, Override]) -> dict[str, Override]:
        if wrong := [name for name in value if not name.strip() or len(name) > 300]:
            raise ValueError(f"'{wrong[0][:64]}' is no name of a repository")
        return value
