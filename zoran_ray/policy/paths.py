"""Judges what may be done with a file, by its name. Touches no file."""

from collections.abc import Iterator, Sequence

from zoran_ray.policy.decision import Step
from zoran_ray.policy.document import Changes, Paths
from zoran_ray.policy.globs import Globs, fold
from zoran_ray.policy.names import name_fault, shown
from zoran_ray.policy.rules import Operation, PathRule

OWN_FOLDER = ".zoran"
"""Where a repository keeps its own override. No agent changes what bounds it."""

_Compiled = tuple[PathRule, Globs]


class PathJudge:
    """Asks the rules for paths in their order: the name itself, `forbid`, `allow`, `only`, `ask`."""

    def __init__(self, paths: Paths, changes: Changes) -> None:
        self._forbid = _compiled(paths.forbid, folded=True)
        self._ask = _compiled(paths.ask, folded=True)
        self._allow = _compiled(paths.allow)
        self._only = _compiled(paths.only)
        self._permitted = {".gitattributes": changes.gitattributes, ".gitmodules": changes.gitmodules}

    def steps(self, path: str, operation: Operation) -> Iterator[Step]:
        """What each rule that is about it says."""
        if fault := name_fault(path):
            yield Step("built in: names", "deny", f"{shown(path)}: {fault}")
            return  # what is not a proper name is not to be matched
        yield from self._built_in(path, operation)
        for rule, _ in _about(self._forbid, path, operation):
            yield Step(f"paths.forbid.{rule.name}", "deny", _reason(rule, path, "is protected"))
        found = next(_about(self._allow, path, operation), None)
        if found:
            yield Step(f"paths.allow.{found[0].name}", "allow", _reason(found[0], path, "is allowed"))
        else:
            yield Step("paths.allow", "deny", f"no rule allows to {operation} {shown(path)}")
        for rule, globs in self._only:
            if operation in rule.on and not globs.match(path):
                yield Step(f"paths.only.{rule.name}", "deny", _reason(rule, path, "is outside of it"))
        for rule, _ in _about(self._ask, path, operation):
            yield Step(
                f"paths.ask.{rule.name}", "needs_person", _reason(rule, path, "needs a person's look")
            )

    def _built_in(self, path: str, operation: Operation) -> Iterator[Step]:
        if operation == "read":
            return
        parts = fold(path).split("/")
        if parts[0] == OWN_FOLDER:
            yield Step("built in: own rules", "deny", f"{shown(path)} bounds those who would change it")
        elif not self._permitted.get(parts[-1], True):
            setting = f"changes.{parts[-1].lstrip('.')}"
            yield Step(setting, "deny", f"{shown(path)} can make git run programs or fetch what nobody saw")


def _compiled(rules: Sequence[PathRule], folded: bool = False) -> list[_Compiled]:
    return [(rule, Globs(rule.globs, folded)) for rule in rules]


def _about(rules: Sequence[_Compiled], path: str, operation: Operation) -> Iterator[_Compiled]:
    return (each for each in rules if operation in each[0].on and each[1].match(path))


def _reason(rule: PathRule, path: str, what: str) -> str:
    return f"{shown(path)} {what}" + (f": {rule.why}" if rule.why else "")
