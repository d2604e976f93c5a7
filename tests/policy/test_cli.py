"""`zoran policy` from files and stdin to stdout and an exit status."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from zoran_ray.cli.app import app
from zoran_ray.policy import policy_hash, read_policy, schema_text, shipped_policy_file


def run(*args: str, input: bytes | str = b"") -> Any:
    return CliRunner().invoke(app, ["policy", *args], input=input, prog_name="zoran")


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "p.yaml"
    path.write_text(
        "paths: {allow: [{name: py, globs: ['*.py']}]}\n"
        "repositories: {'*/shop': {changes: {max_files: 0}}}\n"
    )
    return str(path)


def test_check_tells_the_hash(file: str) -> None:
    result = run("check", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["policy_hash"] == policy_hash(read_policy(shipped_policy_file()))
    assert "At most mode 'advisor'" in run("check", "--policy", file).stdout


def test_check_tells_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("paths: {}\nmode_mx: advisor\n")
    result = run("check", "--policy", str(tmp_path / "p.yaml"))
    assert (result.exit_code, result.stdout) == (3, "")
    assert "p.yaml:2: mode_mx: no such field; did you mean 'mode_max'?" in result.stderr
    assert run("check", "--policy", str(tmp_path / "none")).exit_code == 3


def test_an_override_is_checked_and_laid_over(file: str, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("paths: {forbid: [{name: no, globs: [a.py]}]}")
    result = run("explain", "path", "a.py", "--policy", file, "--override", str(own))
    assert (result.exit_code, result.stdout.splitlines()[0]) == (
        5,
        "deny: 'a.py' is protected (paths.forbid.no)",
    )
    own.write_text("mode_max: sovereign")
    assert run("check", "--policy", file, "--override", str(own)).exit_code == 3


def test_explain_shows_the_chain_and_its_status(file: str) -> None:
    result = run("explain", "path", "tests/test_a.py")
    assert result.exit_code == 5
    assert "paths.forbid.existing-tests" in result.stdout
    assert "paths.allow.code" in result.stdout
    assert run("explain", "path", "a.py", "--to", "eat").exit_code == 2
    told = json.loads(run("explain", "action", "git.push", "--json").stdout)
    assert (told["verdict"], told["rule"], len(told["policy_hash"])) == ("allow", "actions.allow", 64)
    assert run("explain", "action", "git.push", "--policy", file).exit_code == 5


def test_explain_command_shows_what_would_run() -> None:
    result = run("explain", "command", "test-files", "files=a.py", "files=b.py", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["argv"][-2:] == ["a.py", "b.py"]
    assert run("explain", "command", "test-files", "files=-k").exit_code == 5
    assert run("explain", "command", "test-files", "nonsense").exit_code == 2


def test_explain_diff_reads_stdin(file: str) -> None:
    head = f":100644 100644 {'1' * 40} {'2' * 40} M\0a.py\0"
    whole = f"{head}1\t0\ta.py\0\0+++ b/a.py\n+x\n"
    assert run("explain", "diff", "--policy", file, input=whole).exit_code == 0
    assert run("explain", "diff", "--policy", file, "--names-only", input=head).exit_code == 0
    assert run("explain", "diff", "--policy", file, input=head).exit_code == 5
    shop = ("--repository", "git@github.com:acme/Shop.git")
    result = run("explain", "diff", "--policy", file, *shop, input=whole)
    assert (result.exit_code, "changes.max_files" in result.stdout) == (5, True)


def test_what_is_hostile_is_shown_harmlessly() -> None:
    result = run("explain", "path", "a\x1b[2Jb")
    assert result.exit_code == 5
    assert "\x1b" not in result.stdout


def test_schema_is_printed() -> None:
    assert run("schema").stdout == schema_text()
    assert json.loads(run("schema", "--override").stdout)["title"] == "zoran policy override"


def test_explain_a_tool(tmp_path: Path) -> None:
    file = tmp_path / "tools.yaml"
    file.write_text(
        "tools:\n  permissions: [local, network]\n  forbid: [odd]\n"
        "  grants: {coder: {tools: ['*'], permissions: [local]},"
        " '*': {tools: ['*'], permissions: [local, network]}}\n"
    )

    def told(*args: str) -> tuple[int, str]:
        result = run("explain", "tool", *args, "--policy", str(file), "--json")
        return result.exit_code, json.loads(result.stdout)["rule"]

    assert told("fetch") == (0, "tools.grants.*")
    assert told("fetch", "--who", "coder") == (5, "tools.grants.coder")
    assert told("odd", "--reaches", "local")[0] == 5
    assert told("files_read") == (5, "tools.permissions"), "tools of MCP servers reach code"
    assert run("explain", "tool", "code").exit_code == 0, "as shipped, the settings decide alone"


def test_explain_a_merge_and_a_deployment(tmp_path: Path) -> None:
    file = tmp_path / "gates.yaml"
    file.write_text(
        "mode_max: sovereign\nmerge: {allowed: true, min_confidence: 0.9, required_checks: [ci]}\n"
        "deploy: {allowed: true, min_confidence: 0.9, targets: [shop]}\n"
    )

    def told(*args: str) -> tuple[int, str, str]:
        result = run("explain", *args, "--policy", str(file), "--json")
        decision = json.loads(result.stdout)
        return result.exit_code, decision["verdict"], decision["rule"]

    good = ("--confidence", "0.95")
    assert told("merge", *good, "--passed", "ci") == (0, "allow", "merge.allowed")
    assert told("merge", *good) == (5, "deny", "merge.required_checks")
    assert told("merge", "--passed", "ci") == (5, "needs_person", "merge.min_confidence")
    for moved, rule in (("--head-moved", "built in: head"), ("--base-moved", "merge.strict_base")):
        assert told("merge", *good, "--passed", "ci", moved)[2] == rule
    assert told("deploy", "shop", *good) == (0, "allow", "deploy.allowed")
    assert told("deploy", "shop", *good, "--no-reversible") == (5, "deny", "deploy.rollback")
    assert told("deploy", "till", *good) == (5, "deny", "deploy.targets")
    assert told("deploy", "shop", *good, "--mode", "operator") == (5, "deny", "deploy.allowed")
    assert run("explain", "merge", "--mode", "god").exit_code == 2
    assert run("explain", "merge", "--confidence", "1.5").exit_code == 2
