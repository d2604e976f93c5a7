"""Reads policies and overrides: from bytes, with the label of where they come from.

Whoever calls hands in bytes from the operator's disk or from the base commit, never from a folder or a
branch that an agent can write to.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from zoran_ray.config.document import Document, parse_bytes, read_document
from zoran_ray.config.validation import field_name, validated
from zoran_ray.errors import ConfigError, InvalidRequest
from zoran_ray.policy.document import Override, Policy
from zoran_ray.policy.examples import Fault, example_faults
from zoran_ray.policy.globs import fold
from zoran_ray.policy.strictness import Place, loosened, tighten

OVERRIDE_FILE = ".zoran/policy.yaml"
"""Where a repository keeps an override of its own, at its base commit."""
MOST_PROBLEMS = 5


def load_policy(data: bytes, source: str) -> Policy:
    """A policy from the bytes of its file.

    Args:
        data: YAML.
        source: What messages call it: a path, or `repository@commit:path`.

    Raises:
        ConfigError: A field is wrong, an example fails or an override loosens; says where and what to do.
    """
    return _checked(parse_bytes(data, source))


def load_override(data: bytes, source: str, policy: Policy) -> Override:
    """An override from the bytes of its file, checked against the policy that it tightens.

    Args and errors are those of `load_policy`.
    """
    return _checked_override(parse_bytes(data, source), policy)


def for_repository(policy: Policy, name: str, own: Override | None = None) -> Policy:
    """The policy that holds for a repository: with every override that matches, and its own.

    Args:
        name: As `repository_name` gives it.
        own: What the repository's base commit says, if it says something.
    """
    told = [override for pattern, override in policy.repositories.items() if _is_meant(pattern, name)]
    for override in (*told, *([own] if own else ())):
        policy = tighten(policy, override)
    return policy.model_copy(update={"repositories": {}})


def repository_name(address: str) -> str:
    """One name for all addresses of a repository: `github.com/acme/shop`, in small letters.

    Args:
        address: A URL, `git@host:owner/name.git`, or the path of a folder.

    Raises:
        InvalidRequest: It could be read in more than one way.
    """
    text = fold(address.strip())
    if ".." in text.split("/") or "%" in text or "\\" in text or not text.isprintable():
        raise InvalidRequest(
            "A repository's address holds no '..', '%', '\\' or control character; write it plainly."
        )
    scheme, separator, rest = text.partition("://")
    if separator:
        host, slash, path = rest.partition("/")
        host = host.rpartition("@")[2]
        text = path if scheme == "file" and not host else host.partition(":")[0] + slash + path
    elif ":" in text and "/" not in text.partition(":")[0]:
        host, _, path = text.partition(":")
        text = f"{host.rpartition('@')[2]}/{path}"
    parts = [part for part in text.partition("?")[0].partition("#")[0].split("/") if part not in ("", ".")]
    return "/".join(parts).removesuffix(".git")


def read_policy(path: Path) -> Policy:
    """The policy in a file of the operator's. Raises: ConfigError, as `load_policy`."""
    return _checked(read_document(path))


def read_override(path: Path, policy: Policy) -> Override:
    """The override in a file of the operator's. Raises: ConfigError, as `load_policy`."""
    return _checked_override(read_document(path), policy)


def shipped_policy_file() -> Path:
    """The policy that holds where the operator has none."""
    house = Path(__file__).parents[1]
    # In a wheel, data lies in the package; in a checkout beside it.
    places = (house / "_data" / "policy", house.parent / "policy")
    return next((place for place in places if place.is_dir()), places[0]) / "policy.yaml"


def _checked(document: Document) -> Policy:
    policy = validated(Policy, document.data, document.place)
    _refuse(example_faults(policy), document)
    for name, override in policy.repositories.items():
        _refuse(_override_faults(policy, override), document, ("repositories", name))
    return policy


def _checked_override(document: Document, policy: Policy) -> Override:
    override = validated(Override, document.data, document.place)
    _refuse(_override_faults(policy, override), document)
    return override


def _override_faults(policy: Policy, override: Override) -> Iterable[Fault]:
    yield from example_faults(override)
    for place, told in loosened(policy, override):
        yield place, f"an override can only tighten: {told}"


def _refuse(faults: Iterable[Fault], document: Document, within: Place = ()) -> None:
    """Nothing, if there are none. Raises: ConfigError: With a line for each of the first few."""
    found = [((*within, *place), told) for place, told in faults]
    if found:
        lines = [f"{document.place(place)}: {field_name(place)}: {told}" for place, told in found]
        raise ConfigError("\n".join(lines[:MOST_PROBLEMS]), param=field_name(found[0][0]))


def _is_meant(pattern: str, name: str) -> bool:
    return fnmatchcase(fold(name), fold(pattern))
