"""The red-team table: each attack, the tests that make it, and how they ended in a run of them."""

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.readme import ROOT
from zoran_ray.autopilot.testing import JUnitError, Outcome, read_junit

_SANDBOX = "tests/integration/test_sandbox.py"
_TEAM = "tests/autopilot/test_red_team.py"
_GIT = "tests/autopilot/test_git.py"
_FORGE = "tests/autopilot/test_forge_once.py"
_PILOT = "tests/autopilot/test_pilot_gates.py"
_DIFF = "tests/policy/test_diff.py"
_FOLDER = "tests/policy/test_folder.py"
_SEVERAL = "tests/autopilot/test_red_team_several.py"
_ARCHIVE = "tests/sandbox/test_archive.py"

ROWS: Mapping[str, tuple[str, ...]] = {
    "fork bomb": (
        f"{_SANDBOX}::test_a_fork_bomb_is_bounded",
        f"{_SANDBOX}::test_what_a_fork_bomb_leaves_running_is_ended",
    ),
    "output flood": (f"{_SANDBOX}::test_an_output_flood_is_ended_and_cut",),
    "tmpfs flood": (f"{_SANDBOX}::test_a_full_folder_is_the_programs_own_trouble",),
    "memory bomb": (f"{_SANDBOX}::test_a_memory_bomb_is_killed",),
    "a way out: network, rights, the host's files": (
        f"{_SANDBOX}::test_there_is_no_network",
        f"{_SANDBOX}::test_rights_cannot_be_gained",
        f"{_SANDBOX}::test_nothing_of_the_host_can_be_read",
    ),
    "symlink swap": (
        f"{_FOLDER}::test_a_link_swapped_in_is_never_followed",
        f"{_TEAM}::test_no_edit_goes_through_a_link_of_the_repository",
        f"{_TEAM}::test_a_link_is_neither_followed_nor_given_to_the_sandbox",
        f"{_SANDBOX}::test_links_devices_and_pipes_do_not_come_out",
    ),
    "TOCTOU": (
        f"{_TEAM}::test_what_was_tested_is_what_is_pushed_whatever_the_remote_does_meanwhile",
        f"{_FORGE}::test_a_head_that_moved_after_the_tests_is_not_merged",
        f"{_GIT}::test_a_push_lands_once_and_only_where_nobody_else_was",
    ),
    "dirty tree": (f"{_TEAM}::test_a_dirty_tree_is_neither_read_nor_touched",),
    "submodule": (
        f"{_TEAM}::test_a_submodule_is_not_fetched_and_none_is_added",
        f"{_DIFF}::test_a_submodule_is_refused",
    ),
    "hooks": (
        f"{_GIT}::test_no_hook_filter_or_setting_of_the_machine_is_run",
        f"{_TEAM}::test_no_hook_and_nothing_that_runs_elsewhere_is_written",
    ),
    "`.pth`": (
        f"{_TEAM}::test_what_python_starts_by_itself_is_refused",
        f"{_TEAM}::test_what_python_starts_by_itself_reaches_no_test_where_a_policy_forgets_it",
    ),
    "LFS pointers": (f"{_TEAM}::test_a_pointer_to_lfs_is_refused_and_its_filter_never_runs",),
    "huge files": (
        f"{_TEAM}::test_a_huge_answer_is_refused",
        f"{_TEAM}::test_a_huge_file_of_the_repository_is_refused_before_it_is_read",
        f"{_ARCHIVE}::test_too_much_does_not_go_in",
        f"{_ARCHIVE}::test_too_much_gives_nothing",
    ),
    "secret in the commit message": (
        f"{_TEAM}::test_a_secret_in_a_commit_message_is_taken_out",
        f"{_TEAM}::test_a_secret_that_a_task_is_named_after_stops_the_commit",
    ),
    "base moved after the tests": (
        f"{_FORGE}::test_a_base_that_moved_after_the_tests_is_not_merged_into",
        f"{_PILOT}::test_on_a_base_that_moved_the_change_is_tested_again",
        f"{_PILOT}::test_a_base_that_moved_under_the_merge_is_seen",
    ),
    "prompt injection in an issue's text": (
        f"{_TEAM}::test_an_injection_in_an_issue_is_fenced_and_obeying_it_comes_to_nothing",
    ),
    "prompt injection in a source comment": (
        f"{_TEAM}::test_an_injection_in_a_source_comment_is_fenced_and_obeying_it_comes_to_nothing",
    ),
    "test runner patched": (
        "tests/autopilot/test_control.py::test_what_stops_some_tests_from_running_is_seen",
        "tests/autopilot/test_testing.py::test_a_change_that_only_looks_so_is_not_evidence",
        "tests/autopilot/test_engineer_scripted.py::test_no_trick_is_proven",
    ),
    "tests made to pass": (
        "tests/autopilot/test_testing.py::test_a_change_that_only_looks_so_is_not_evidence",
        "tests/autopilot/test_engineer_scripted.py::test_no_trick_is_proven",
    ),
    "a stand-in for the test runner": (
        f"{_TEAM}::test_what_stands_in_for_the_test_runner_is_no_part_of_a_change",
    ),
    "one repository's change fakes another's tests": (
        f"{_SEVERAL}::test_a_change_that_ships_what_fakes_the_others_tests_is_not_merged",
        f"{_SEVERAL}::test_nor_where_a_policy_forgets_to_forbid_it",
        f"{_SEVERAL}::test_a_library_that_answers_for_the_programs_tests_is_not_merged",
    ),
}
"""Tests of each attack, as pytest names them without parameters."""

_LIMIT_S = 600.0


def all_tests() -> tuple[str, ...]:
    """Every test of the table, once."""
    return tuple(dict.fromkeys(test for tests in ROWS.values() for test in tests))


def measure() -> dict[str, Any]:
    """Runs them all; gives outcomes by test: how many ended how. A test with parameters is several."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *all_tests())
        try:
            subprocess.run((sys.executable, *words), cwd=ROOT, timeout=_LIMIT_S, check=False, stdout=2)
            found = read_junit(report.read_bytes())
        except (OSError, subprocess.TimeoutExpired, JUnitError) as error:
            return {"broken": f"the tests gave no report ({type(error).__name__})"}
    return {"tests": outcomes(found)}


def outcomes(found: Mapping[str, Outcome]) -> dict[str, dict[str, int]]:
    """How the tests of the table ended, by test, in a report's outcomes by id."""
    counted: dict[str, Counter[str]] = {test: Counter() for test in all_tests()}
    for name, outcome in found.items():
        module, _, test = name.partition("::")
        place = f"{module.replace('.', '/')}.py::{test.partition('[')[0]}"
        if place in counted:
            counted[place][outcome.value] += 1
    return {test: dict(counter) for test, counter in counted.items()}
