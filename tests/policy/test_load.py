"""A policy is read strictly: what is wrong is told with its place, and a failing example is an error."""

import re

import pytest

from zoran_ray.errors import ConfigError, InvalidRequest
from zoran_ray.policy import (
    Policy,
    PolicyEngine,
    for_repository,
    load_override,
    load_policy,
    policy_hash,
    repository_name,
)

RULE = "{name: r, globs: ['*.py'], on: [add]"
NUMBER = "argv: [x, '{n}'], placeholders: {n: {type: integer}}"

WRONG = [
    ("mode_maxx: advisor", r"p:1: mode_maxx: no such field; did you mean 'mode_max'\?"),
    ("paths:\n  alow: []", r"p:2: paths.alow: no such field; did you mean 'allow'"),
    ("paths:\n  allow:\n    - {name: a, globs: [x], onn: [read]}", r"p:3: paths.allow\[0\].onn: .*'on'"),
    ("mode_max: root", r"p:1: mode_max: found \"root\", expected 'advisor'"),
    ("mode_max: advisor\nmode_max: advisor", "p:2: 'mode_max' is here twice"),
    ("mode_max: !!python/object:os.system x", "tag"),
    ("a: &a [1]\nb: [*a, *a]", "no such field"),
    ("budgets: {tokens: '5'}", "p:1: budgets.tokens: found \"5\", expected a valid integer"),
    ("budgets: {usd: .inf}", "budgets.usd"),
    ("version: 2", "version"),
    ("- a", "expected a mapping"),
    ("sandbox: {network: bridge}", "sandbox.network"),
    ("sandbox: {image: 'python:3'}", "sandbox.image"),
    ("sandbox: {env: ['A=B']}", "sandbox.env"),
    ("actions: {ask: [x]}", "ask and not in allow"),
    ("merge: {min_confidence: .nan}", "min_confidence"),
    ("forbidden: [{name: a, pattern: '(a+)+'}]", "upper bound"),
    ("secrets: {patterns: [{name: a, pattern: '('}]}", "regular expression"),
    ("paths: {forbid: [{name: a, globs: ['!x']}]}", "path pattern"),
    ("paths: {forbid: [{name: a, globs: []}]}", "at least one"),
    ("paths: {forbid: [{name: A b, globs: [x]}]}", "matches"),
    ("paths: {forbid: [{name: a, globs: [x]}, {name: a, globs: [y]}]}", "name of 2 rules"),
    (f"paths: {{allow: [{RULE}, match: [a.txt]}}]}}", r"allow\[0\].match\[0\]: rule 'r' does not match"),
    (f"paths: {{allow: [{RULE}, match: [../a.py]}}]}}", "can never match"),
    (f"paths: {{allow: [{RULE}, not_match: [a.py]}}]}}", r"not_match\[0\]: rule 'r' matches 'a.py'"),
    ("forbidden: [{name: f, pattern: abc, match: [xyz]}]", r"forbidden\[0\].match\[0\]: .*finds nothing"),
    ("forbidden: [{name: f, pattern: abc, not_match: [abc]}]", "finds something"),
    ("commands: {c: {argv: [x, '{n}']}}", "used and not described"),
    ("commands: {c: {argv: [x], placeholders: {n: {type: integer}}}}", "described and not used"),
    ("commands: {c: {argv: ['{n}'], placeholders: {n: {type: integer}}}}", "program itself"),
    ("commands: {c: {argv: [/bin/BASH, x]}}", "runs other programs"),
    ("commands: {c: {argv: [python, -c, '{n}'], placeholders: {n: {type: integer}}}}", "may not be code"),
    ("commands: {c: {argv: [perl, '-we{n}'], placeholders: {n: {type: integer}}}}", "may not be code"),
    ("commands: {c: {argv: [x, '--eval={n}'], placeholders: {n: {type: integer}}}}", "may not be code"),
    ("mode_max: \"\\ud800\"", "p:1"),
    ("paths: {forbid: [{name: a, globs: ['[z-a]']}]}", "in their order"),
    ("commands: {c: {argv: [x, '{n}'], placeholders: {n: {type: text}}}}", "needs a pattern"),
    (f"commands: {{c: {{{NUMBER}, match: [{{n: -1}}]}}}}", "refuses its example"),
    (f"commands: {{c: {{{NUMBER}, not_match: [{{n: 1}}]}}}}", "takes what it should refuse"),
    ("repositories: {x: {mode_max: operator}}", r"repositories.x.mode_max: an override can only tighten"),
    ("repositories: {x: {version: 1}}", "no such field"),
    ("repositories: {x: {paths: {allow: []}}}", "no such field"),
    (f"repositories: {{x: {{paths: {{only: [{RULE}, match: [b.c]}}]}}}}}}", r"x.paths.only\[0\].match"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), WRONG)
def test_what_is_wrong_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        load_policy(text.encode(), "p")
    assert re.search(told, wrong.value.message, re.DOTALL), wrong.value.message
    assert "p:" in wrong.value.message


@pytest.mark.parametrize(
    "data",
    [
        b"x: " + b"[" * 10_000,
        b"x: " + b"a" * (300 * 1024),
        b"\xff\xfe",
        b"a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + b"".join(b"b%d: [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n" % n for n in range(300)),
        b"a: \x00",
    ],
)
def test_a_bomb_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError):
        load_policy(data, "p")


def test_an_empty_policy_allows_nothing() -> None:
    engine = PolicyEngine(load_policy(b"", "p"))
    assert engine.policy == Policy()
    refused = [
        engine.decide_path("a", "read"),
        engine.decide_mode("operator"),
        engine.decide_command("test", {}).decision,
        engine.decide_action("git.push"),
        engine.decide_tool("a", "calculator", "local"),
    ]
    assert {decision.verdict for decision in refused} == {"deny"}
    assert engine.decide_mode("advisor").allowed


def test_the_hash_is_of_what_a_policy_means() -> None:
    one = load_policy(b"mode_max: operator\nbudgets: {usd: 2, tries: 1}\n", "p")
    same = load_policy(b"# a comment\nbudgets: {tries: 1, usd: 2.0}\nmode_max: 'operator'\n", "q")
    other = load_policy(b"mode_max: operator\nbudgets: {usd: 2, tries: 2}\n", "p")
    assert policy_hash(one) == policy_hash(same) != policy_hash(other)
    assert PolicyEngine(one).decide_action("x").policy_hash == policy_hash(one)


BASE = b"""
mode_max: sovereign
paths: {allow: [{name: all, globs: ['*']}]}
commands: {a: {argv: [x]}, b: {argv: [y]}}
repositories:
  'github.com/acme/*': {mode_max: operator}
  '*/shop': {commands: [a]}
"""


def test_every_override_that_matches_holds_and_the_repositorys_own() -> None:
    base = load_policy(BASE, "p")
    own = load_override(b"paths: {forbid: [{name: db, globs: [db/]}]}", "shop@1:.zoran/policy.yaml", base)
    policy = for_repository(base, repository_name("git@GitHub.com:Acme/Shop.git"), own)
    assert (policy.mode_max, list(policy.commands), policy.repositories) == ("operator", ["a"], {})
    assert PolicyEngine(policy).decide_path("db/x", "add").rule == "paths.forbid.db"
    assert policy_hash(policy) != policy_hash(base)
    assert for_repository(base, "elsewhere/x").mode_max == "sovereign"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            b"mode_max: sovereign\nbudgets: {tokens: 999999999}",
            "r:2: budgets.tokens: an override can only tighten",
        ),
        (b"commands: [c]", "the policy does not have 'c'"),
        (b"merge: {strict_base: false}", "looser"),
        (b"sandbox: {network: none}", "no such field"),
        (b"repositories: {}", "no such field"),
    ],
)
def test_an_override_that_would_loosen_is_refused(text: bytes, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        load_override(text, "r", load_policy(BASE, "p"))


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/acme/shop",
        "https://GitHub.com/Acme/Shop.git",
        "https://user:token@github.com:443/acme/shop.git/",
        "git@github.com:acme/shop.git",
        "ssh://git@github.com:22/acme//shop.git",
        "github.com/acme/./shop?x#y",
    ],
)
def test_a_repository_has_one_name(address: str) -> None:
    assert repository_name(address) == "github.com/acme/shop"


@pytest.mark.parametrize("address", ["https://h/x/../acme/shop", "https://h/ac%6de/shop", "h\\x", "h/\x1b"])
def test_an_address_with_two_readings_is_refused(address: str) -> None:
    with pytest.raises(InvalidRequest, match="plainly"):
        repository_name(address)


def test_a_folder_is_named_by_its_path() -> None:
    assert repository_name("/srv/git/Shop.git") == repository_name("file:///srv/git/shop") == "srv/git/shop"
