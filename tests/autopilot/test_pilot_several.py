"""Repositories that need each other, in one task: their order, and tests with the other's change."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.autopilot.github_stand_in import Hosted
from tests.autopilot.pilot_bench import TOKEN, Bench, bench_in, policy, say
from tests.autopilot.test_pilot_gates import Interrupted
from tests.autopilot.test_pilot_killed import MOST_WORKERS, MortalDatabase, worker
from tests.autopilot.test_testing import BASE, FIXED
from zoran_ray.autopilot import Mode, State, Task
from zoran_ray.autopilot.copies import copy_of
from zoran_ray.autopilot.engineer import PLANNING
from zoran_ray.autopilot.forge import MergeMethod, forge_of
from zoran_ray.autopilot.git import Repository
from zoran_ray.autopilot.pilot import Part, parts_of

LIB = {
    "pyproject.toml": b'[project]\nname = "Shop.Lib"\n[tool.pytest.ini_options]\npythonpath = ["src"]\n',
    "src/shoplib.py": b"def total(prices):\n    return sum(prices) - 1\n\n\ndef unit():\n    return 'E'\n",
    "tests/test_shoplib.py": (
        b"import shoplib\n\n\ndef test_total():\n    assert shoplib.total([1, 2]) == 3\n\n\n"
        b"def test_unit():\n    assert shoplib.unit() == 'E'\n"
    ),
}
APP = {
    "requirements.txt": b"shop_lib>=1  # prices\n",
    "app.py": b"import shoplib\n\n\ndef checkout(prices):\n    return f'{shoplib.total(prices)} EUR'\n",
    "tests/test_app.py": (
        b"from app import checkout\n\n\ndef test_checkout():\n    assert checkout([1, 2]) == '3 EUR'\n"
    ),
}
LIB_EDIT = (
    "src/shoplib.py\n<<<<<<< SEARCH\n    return sum(prices) - 1\n=======\n"
    "    return sum(prices)\n>>>>>>> REPLACE\n"
)

RENAMED_LIB = {
    **LIB,
    "src/shoplib.py": b"def total(prices):\n    return sum(prices)\n",
    "tests/test_shoplib.py": (
        b"import shoplib\n\n\ndef test_cents():\n    assert shoplib.cents([1, 2]) == 300\n"
    ),
}
"""Its tests want another name."""
RENAMING_EDIT = (
    "src/shoplib.py\n<<<<<<< SEARCH\ndef total(prices):\n    return sum(prices)\n=======\n"
    "def cents(prices):\n    return 100 * sum(prices)\n>>>>>>> REPLACE\n"
)
FOLLOWING_EDIT = (
    "app.py\n<<<<<<< SEARCH\n    return f'{shoplib.total(prices)} EUR'\n=======\n"
    "    return f'{shoplib.cents(prices) // 100} EUR'\n>>>>>>> REPLACE\n"
)


class Shop:
    """A library and a program that needs it, and a model that edits each as it is told."""

    def __init__(
        self, bench: Bench, lib: Mapping[str, bytes] = LIB, app: Mapping[str, bytes] = APP
    ) -> None:
        self.bench = bench
        self.lib, self.app = (self.hosted(name, files) for name, files in (("lib", lib), ("app", app)))
        bench.policy = policy(actions={"ask": ()})

    def hosted(self, name: str, files: Mapping[str, bytes]) -> Hosted:
        hosted = self.bench.github.add_repository(f"acme/{name}")
        hosted.git.put("main", files, "first")
        return hosted

    def begin(self, *names: str, mode: Mode = Mode.SOVEREIGN) -> Task:
        return self.bench.begin(mode, [self.bench.remote(f"acme/{name}") for name in names])

    def says(self, lib: str, app: str = "nothing") -> None:
        """The model's edits of each."""
        self.bench.say = saying(lib, app)

    def run(self, *names: str) -> tuple[Task, Part, Part]:
        """A task on repositories in this order, and what came of library and program."""
        self.begin(*names)
        task = self.bench.run()
        of = dict(zip(names_of(task), parts_of(task), strict=True))
        return task, of["lib"], of["app"]

    def expect_nothing_merged(self, task: Task) -> None:
        assert task.state is State.FAILED, task.facts
        for hosted in (self.lib, self.app):
            assert hosted.git.count("main") == 1
            assert not hosted.pulls
            assert hosted.git.branches() == ["main"]


def names_of(task: Task) -> list[str]:
    """Its repositories, in the order of the work."""
    return [part.remote.rpartition("/")[2].removesuffix(".git") for part in parts_of(task)]


def saying(lib: str, app: str) -> Callable[[str, int], str]:
    def say(prompt: str, call: int) -> str:
        is_app = "def test_checkout" in prompt
        if prompt.startswith(f"system: {PLANNING}"):
            return (
                f"Mend the {'app' if is_app else 'lib'}\nFILE: {'app.py' if is_app else 'src/shoplib.py'}"
            )
        return app if is_app else lib

    return say


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with bench_in(tmp_path) as bench:
        yield bench


@pytest.mark.parametrize("order", [("lib", "app"), ("app", "lib")])
def test_what_only_the_library_breaks_is_mended_there_alone(bench: Bench, order: tuple[str, str]) -> None:
    shop = Shop(bench)
    shop.says(LIB_EDIT)
    task, lib, app = shop.run(*order)
    assert task.state is State.MERGED, task.facts
    assert (lib.index, app.index, app.needs) == (0, 1, (0,))
    assert (lib.ended, app.ended) == ("proven", "untouched")
    assert (len(shop.lib.pulls), len(shop.app.pulls)) == (1, 0)
    assert (shop.lib.git.count("main"), shop.app.git.count("main")) == (3, 1)
    assert app.beside == (lib.commit,)
    (told,) = [event.data for event in bench.tasks.events(task.id) if event.kind == "ordered"]
    assert told["repositories"] == [bench.remote("acme/lib"), bench.remote("acme/app")]
    assert told["in_a_cycle"] == []


def test_what_the_librarys_change_breaks_is_mended_with_it(bench: Bench) -> None:
    shop = Shop(bench, RENAMED_LIB)
    shop.says(RENAMING_EDIT, FOLLOWING_EDIT)
    task, lib, app = shop.run("app", "lib")
    assert task.state is State.MERGED, task.facts
    assert (lib.ended, app.ended) == ("proven", "proven")
    assert "/acme/lib/pull/1" in (shop.app.pulls[1].body or "")
    assert "/acme/app/pull/1" in shop.lib.comments[1][0].body
    assert (shop.lib.git.count("main"), shop.app.git.count("main")) == (3, 3)
    assert f"run with {bench.remote('acme/lib')} with its change." in bench.model.prompts[-1]


def test_an_import_that_the_librarys_change_breaks_is_mended_with_it(bench: Bench) -> None:
    """Then pytest knows none of the program's tests: that they ran before says what is to be mended."""
    text = APP["app.py"].replace(b"import shoplib", b"from shoplib import total")
    app_files = {**APP, "app.py": text.replace(b"shoplib.total", b"total")}
    shop = Shop(bench, RENAMED_LIB, app_files)
    edit = (
        "app.py\n<<<<<<< SEARCH\nfrom shoplib import total\n=======\nfrom shoplib import cents\n"
        ">>>>>>> REPLACE\n<<<<<<< SEARCH\n    return f'{total(prices)} EUR'\n=======\n"
        "    return f'{cents(prices) // 100} EUR'\n>>>>>>> REPLACE\n"
    )
    shop.says(RENAMING_EDIT, edit)
    task, _, app = shop.run("app", "lib")
    assert task.state is State.MERGED, task.facts
    assert app.change is not None
    assert app.change.evidence is not None
    assert app.change.evidence.fixed == ("tests.test_app::test_checkout",)


def test_what_the_librarys_change_breaks_and_nobody_mends_keeps_both_back(bench: Bench) -> None:
    shop = Shop(bench, RENAMED_LIB)
    shop.says(RENAMING_EDIT, FOLLOWING_EDIT.replace("// 100", "// 10"))
    task, lib, app = shop.run("app", "lib")
    assert (lib.ended, app.proven) == ("proven", False)
    shop.expect_nothing_merged(task)


def on_first_look(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str, then: Callable[[], object]
) -> None:
    """Something happens once, when the pilot first looks at a pull request of a repository."""
    left = [then]

    def forge(remote: str) -> Any:
        real = forge_of(remote, TOKEN, bench.github.api_urls, between_writes_s=0.0)
        act = "get" if remote == bench.remote(f"acme/{name}") else ""
        return Interrupted(real, act, lambda: left.pop()() if left else None)

    monkeypatch.setattr(bench, "forge", forge)


def test_when_the_librarys_base_moves_the_program_is_tested_with_it_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(bench, RENAMED_LIB)
    shop.says(RENAMING_EDIT, FOLLOWING_EDIT)
    on_first_look(bench, monkeypatch, "lib", lambda: shop.lib.git.put("main", {"README.md": b"1"}, "more"))
    task, lib, app = shop.run("app", "lib")
    assert task.state is State.MERGED, task.facts
    assert (lib.round, app.round, app.beside) == (2, 2, (lib.commit,))
    assert shop.lib.git.file("main", "README.md") == b"1"
    assert (len(shop.lib.pulls), len(shop.app.pulls)) == (1, 1)
    assert len(bench.model.prompts) == 4


def test_a_change_that_a_new_base_of_the_library_makes_useless_is_not_merged(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = b"import importlib.util\nUNIT = 'DM' if importlib.util.find_spec('rates') else 'EUR'\n\n\n"
    shop = Shop(bench, RENAMED_LIB, {**APP, "app.py": unit + APP["app.py"].replace(b" EUR", b" {UNIT}")})
    shop.says(RENAMING_EDIT, FOLLOWING_EDIT.replace(" EUR", " {UNIT}"))
    on_first_look(
        bench, monkeypatch, "lib", lambda: shop.lib.git.put("main", {"src/rates.py": b""}, "more")
    )
    task, lib, app = shop.run("app", "lib")
    assert (task.state, lib.proven, app.proven) == (State.FAILED, True, False), task.facts
    assert (shop.lib.git.count("main"), shop.app.git.count("main")) == (2, 1)


def test_the_program_is_tested_with_what_a_person_merged_into_the_library(bench: Bench) -> None:
    shop = Shop(bench, RENAMED_LIB)
    bench.policy = policy(actions={"ask": ()}, merge={"allowed": False})
    shop.says(RENAMING_EDIT, FOLLOWING_EDIT)
    task, _, _ = shop.run("lib", "app")
    assert task.state is State.AWAITING_HUMAN
    ours = f"zoran/{task.id}"
    head = shop.lib.git.put(ours, {"src/shoplib.py": b"def cents(prices):\n    return 7\n"}, "worse")
    forge = bench.forge(bench.remote("acme/lib"))
    forge.merge(1, head, MergeMethod.MERGE)
    bench.tasks.resume("acme", task.id)
    task = bench.run()
    lib, app = parts_of(task)
    assert (task.state, lib.by_hand, app.beside) == (State.FAILED, True, (lib.merged,)), task.facts
    assert (app.proven, app.merged, app.round) == (False, None, 2)
    assert shop.app.git.count("main") == 1


def test_a_cycle_stays_as_the_request_has_it_and_is_told(bench: Bench) -> None:
    shop = Shop(bench, {**LIB, "requirements.txt": b"-e ../app\n"})
    base = shop.hosted("base", {**BASE, "calc.py": FIXED})
    shop.app.git.put("main", {"requirements.txt": b"shop_lib\nbase\n"}, "more")
    shop.says(LIB_EDIT)
    task = shop.begin("app", "lib", "base")
    task = bench.run()
    assert names_of(task) == ["base", "app", "lib"]
    assert [part.needs for part in parts_of(task)] == [(), (0,), (0, 1)]
    (told,) = [event.data for event in bench.tasks.events(task.id) if event.kind == "ordered"]
    assert told["in_a_cycle"] == [bench.remote("acme/app"), bench.remote("acme/lib")]
    assert base.git.count("main") == 1


def test_a_task_that_an_older_version_began_goes_on_as_it_stands(bench: Bench) -> None:
    """It wrote one repository after the other, in the order of the request, and knew of no needs."""
    shop = Shop(bench, {**LIB, "src/shoplib.py": LIB["src/shoplib.py"].replace(b" - 1", b"")})
    shop.app.git.put("main", BASE, "something else to mend")
    bench.say = say
    shop.begin("app", "lib")
    remote = bench.remote("acme/app")
    branch, base = Repository(copy_of(bench.folder / "copies", remote), remote, TOKEN).fetch()
    facts = Part(0, remote, branch, base).facts()
    old = {name: value for name, value in facts.items() if name not in ("needs", "beside")}
    bench.tasks.learn(bench.claim(), {"repositories": [old]})
    task = bench.run()
    assert task.state is State.MERGED, task.facts
    assert names_of(task) == ["app", "lib"]
    assert [each.needs for each in parts_of(task)] == [(), ()]


def test_a_worker_that_ends_before_every_write_keeps_the_order(bench: Bench) -> None:
    shop = Shop(bench)
    shop.says(LIB_EDIT)
    shop.begin("app", "lib")
    database, nth, workers, task = MortalDatabase(bench.tasks.db), 1, 0, None
    known, orders = database.known(), set()
    while task is None and workers < MOST_WORKERS:
        database.before, workers = nth, workers + 1
        task = worker(bench, database)
        orders.add(tuple(part.remote for part in parts_of(bench.tasks.list("acme")[0][0])))
        now = database.known()
        nth, known = (1 if now != known else nth + 1), now
    assert task is not None
    assert task.state is State.MERGED, task.facts
    assert workers > 20
    assert orders - {()} == {(bench.remote("acme/lib"), bench.remote("acme/app"))}
    assert (len(shop.lib.pulls), len(shop.app.pulls)) == (1, 0)
    assert shop.lib.git.count("main") == 3
