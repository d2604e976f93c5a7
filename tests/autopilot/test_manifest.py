"""What repositories say they are called and need: every kind of file, and files that were made to harm."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.autopilot.pilot.manifest import MOST_BYTES, MOST_NAMES, Manifest, manifest_of, needs_among

REMOTE = "https://forge.example/acme/The.App.git"

PYPROJECT = b"""
[project]
name = "The_App"
dependencies = ["Shop.Lib[fast]>=1; python_version > '3'", "git-lib @ git+https://forge.example/acme/Repo.git@v1#x"]
[project.optional-dependencies]
test = ["extra-lib"]
[dependency-groups]
dev = ["group_lib", {include-group = "test"}]
[tool.poetry]
name = "poem"
[tool.poetry.dependencies]
python = "^3.11"
verse = "^1"
rhyme = {path = "../rhyme-folder", develop = true}
[tool.poetry.group.dev.dependencies]
metre = {git = "https://forge.example/acme/metre-repo.git"}
"""
SETUP = b"""
[metadata]
name = the-app
[options]
install_requires =
    shop_lib>=1
    # a word
    other==2
[options.extras_require]
test = more
"""
REQUIREMENTS = b"""
# words
shop_lib>=1,<2 \\
    --hash=sha256:aa
-r other.txt
--index-url https://forge.example/simple
-e ../near
--editable=./libs/nearer/
git+https://forge.example/acme/bare.git@main#egg=bare_lib
named @ git+ssh://git@forge.example/acme/named-repo
https://forge.example/acme/plain.git  # why
/srv/absolute
"""
PACKAGE = json.dumps(
    {
        "name": "@Acme/app",
        "dependencies": {"@acme/lib": "^1", "near": "file:../near-folder"},
        "devDependencies": {
            "hub": "github:acme/hub-repo#v1",
            "web": "git+https://forge.example/acme/web.git",
        },
    }
).encode()
GO = b"""module forge.example/acme/app // words

go 1.22

require forge.example/acme/one v1.0.0
require (
	forge.example/acme/two v1.0.0
	forge.example/acme/three/v2 v2.0.0 // indirect
)
replace forge.example/acme/two => ../near
"""

SAID = {
    "pyproject.toml": (
        PYPROJECT,
        {"pypi:the-app", "pypi:poem"},
        {
            "pypi:shop-lib", "pypi:git-lib", "repo:repo", "pypi:extra-lib", "pypi:group-lib", "pypi:python",
            "pypi:verse", "pypi:rhyme", "repo:rhyme-folder", "pypi:metre", "repo:metre-repo",
        },
    ),
    "setup.cfg": (SETUP, {"pypi:the-app"}, {"pypi:shop-lib", "pypi:other", "pypi:more"}),
    "requirements-dev.txt": (
        REQUIREMENTS,
        set[str](),
        {
            "pypi:shop-lib", "repo:near", "repo:nearer", "repo:bare", "pypi:bare-lib", "pypi:named",
            "repo:named-repo", "repo:plain", "repo:absolute",
        },
    ),
    "package.json": (
        PACKAGE,
        {"npm:@acme/app"},
        {
            "npm:@acme/lib", "npm:near", "repo:near-folder", "npm:hub", "repo:hub-repo", "npm:web",
            "repo:web",
        },
    ),
    "go.mod": (
        GO,
        {"go:forge.example/acme/app"},
        {
            "go:forge.example/acme/one", "go:forge.example/acme/two", "go:forge.example/acme/three/v2",
            "repo:near",
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("path", SAID)
def test_what_each_kind_of_file_says(path: str) -> None:
    content, names, needs = SAID[path]
    said = manifest_of(REMOTE, {path: content})
    assert said == Manifest(frozenset({"repo:the.app", *names}), frozenset(needs))


@pytest.mark.parametrize(
    "path", ["sub/pyproject.toml", "requirements/deep/er.txt", "requirements.in", "package-lock.json"]
)
def test_other_files_say_nothing(path: str) -> None:
    assert manifest_of(REMOTE, {path: b'{"name": "x"}\n[project]\nname = "x"\n'}).names == {"repo:the.app"}


def test_python_without_a_name_is_called_as_its_repository() -> None:
    assert "pypi:the-app" in manifest_of(REMOTE, {"lib.py": b""}).names
    named = manifest_of(REMOTE, {"lib.py": b"", "setup.cfg": SETUP.replace(b"the-app", b"other-name")})
    assert "pypi:the-app" not in named.names


def test_who_needs_whom() -> None:
    lib = manifest_of(
        "https://forge.example/acme/lib", {"pyproject.toml": b'[project]\nname = "Shop.Lib"\n'}
    )
    app = manifest_of("https://forge.example/acme/app", {"requirements/base.txt": b"shop_lib\napp\n"})
    folder = manifest_of("file:///srv/work", {"requirements.txt": b"-e ../lib\n-e .\n"})
    assert needs_among([app, lib, folder]) == [{1}, frozenset(), {1}]


HOSTILE = {
    "too large": b"name = 1\n" + b"#" * MOST_BYTES,
    "deep": b"x = " + b"[" * 30_000,
    "deep tables": b"[" + b"a." * 30_000 + b"a]\n",
    "deep keys": b"a." * 30_000 + b"a = 1\n",
    "deep objects": b'{"a":' * 10_000,
    "no text": b"\xff\xfe\x00",
    "other shapes": b'project = 1\n[tool]\npoetry = ["x"]\n',
    "numbers": b'{"name": 1, "dependencies": [1]}',
    "list": b"[1]",
    "a huge number": b"x = " + b"9" * 20_000,
    "spaces": b" " * 60_000 + b"x",
    "dots": b"." * 60_000,
    "slashes": b"/" * 60_000,
    "names": b"a-" * 30_000,
    "go": b"require " + b"a/" * 30_000,
    "many": b"".join(b"lib%d\n" % number for number in range(8_000)),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("path", SAID)
def test_a_file_made_to_harm_says_little(path: str, name: str) -> None:
    """And soon: one that takes a parser long would be seen in how long these tests take."""
    said = manifest_of(REMOTE, {path: HOSTILE[name]})
    assert len(said.needs) <= MOST_NAMES
    assert said.names == {"repo:the.app"}


@given(st.sampled_from(sorted(SAID)), st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_whatever_a_file_holds_there_is_an_answer(path: str, content: bytes) -> None:
    manifest_of(REMOTE, {path: content})
