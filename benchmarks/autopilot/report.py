"""Results of the autopilot as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.autopilot.figures import DEPTHS
from benchmarks.autopilot.red_team import ROWS
from benchmarks.readme import against, table


def markdown(results: Mapping[str, Any], data: str | None = None) -> str:
    """The whole section.

    Args:
        data: Link to the JSON file.
    """
    told = [f"Run of {results['started'][:10]}, {results['machine']}."]
    if data:
        told += [f"[All figures]({data})."]
    parts = [" ".join(told)]
    for name, (title, section) in _SECTIONS.items():
        found = results.get(name)
        if found is not None:
            parts += [
                f"### {title}",
                f"Left out: {found['left_out']}" if "left_out" in found else section(found),
            ]
    return "\n\n".join(parts)


def _quality(found: Mapping[str, Any]) -> str:
    precision, recall, false = found["precision"], found["recall"], found["false_merges"]
    told_brier, brier = (
        "–" if found[name] is None else f"{found[name]:.5f}" for name in ("brier_told", "brier")
    )
    wall, merged = found["wall_s"], found["merged_wall_s"]
    rows = [
        ["precision: merges that are right", _share(precision), against(precision["share"] == 1, "1.00")],
        [
            "recall: right answers that end merged",
            _share(recall),
            against((recall["share"] or 0) >= 0.98, "≥ 0.98"),
        ],
        [
            "false merges, of tasks whose model never is right",
            _share(false),
            against(not false["hits"], "0"),
        ],
        [f"Brier score of confidence, {found['told']} changes whose tests hold", told_brier, ""],
        [f"the same, all {found['judged']} changes that were tested", brier, ""],
        [
            f"looks at prompts and runs that saw an answer too early (of {found['looked']:,})",
            f"{found['leaks']}",
            against(not found["leaks"], "0"),
        ],
        [
            "requests or answers not as GitHub describes them",
            f"{found['violations']}",
            against(not found["violations"], "0"),
        ],
        ["a task, p50; p95; longest", _times(wall), ""],
        ["one that ends merged", _times(merged), ""],
    ]
    behaviours = [_behaviour(name, each) for name, each in found["behaviours"].items()]
    head = ["the model's behaviour", "tasks", "merged", "to be merged", "how they ended", "p50, s"]
    told = f"{found['tasks']:,} tasks in sovereign mode, {found['bugs']} bugs; {found['sample']}."
    return "\n\n".join([told, table(["what", "measured", "target"], rows), table(head, behaviours)])


def _behaviour(name: str, found: Mapping[str, Any]) -> list[str]:
    ends = ", ".join(f"{end} {count}" for end, count in sorted(found["ends"].items()))
    wanted = "all" if found["may_merge"] else "none"
    return [
        f"`{name}`",
        f"{found['tasks']}",
        f"{found['merged']}",
        wanted,
        ends,
        f"{found['p50_s']:.1f}",
    ]


def _kill(found: Mapping[str, Any]) -> str:
    worlds = found["worlds"]
    kinds = next(iter(worlds.values()))["expected"]
    rows = []
    for kind in kinds:
        more = [each["duplicates"].get(kind, 0) for each in worlds.values()]
        less = [each["missing"].get(kind, 0) for each in worlds.values()]
        there = ", ".join(str(each["expected"][kind]) for each in worlds.values())
        rows.append([kind, there, _sum(more), against(not any(more), "0"), _sum(less)])
    lost = [each["lost_transitions"] for each in worlds.values()]
    again = [each["repeated_transitions"] for each in worlds.values()]
    steps = ", ".join(str(len(each["path"])) for each in worlds.values())
    rows.append(["transitions", steps, _sum(again), against(not any([*again, *lost]), "0"), _sum(lost)])
    states = dict.fromkeys(state for each in worlds.values() for state in each["kills"])
    by_state = [
        [state, *(str(each["kills"].get(state, 0)) for each in worlds.values())] for state in states
    ]
    total = sum(sum(each["kills"].values()) for each in worlds.values())
    told = (
        f"{total:,} `kill -9` in {sum(each['rounds'] for each in worlds.values())} tasks: at"
        f" {found['points']} moments of each state, and after each act that others see. What is deployed"
        f" is {' in one half, '.join(worlds)} in the other."
    )
    head = ["what", f"a task has ({', '.join(worlds)})", "too many", "target", "missing"]
    return "\n\n".join([told, table(head, rows), table(["killed in the state", *worlds], by_state)])


def _containers(found: Mapping[str, Any]) -> str:
    rows = [
        ["jobs whose client was killed", f"{found['jobs']}", ""],
        ["of them while their container ran", f"{found['killed_while_running']}", ""],
        [
            f"containers left {found['wait_s']:.0f} s after the last kill",
            f"{found['left']}",
            against(not found["left"], "0"),
        ],
        ["seconds until the last one was gone", f"{found['gone_s']:.1f}", "≤ 60"],
    ]
    return table(["what", "measured", "target"], rows)


def _overhead(found: Mapping[str, Any]) -> str:
    rows = [
        ["p50, s", _ranged(found, "p50"), against(found["p50_s"] <= 1.0, "≤ 1.0")],
        ["p95, s", _ranged(found, "p95"), ""],
        ["whole empty job, p50, s", f"{found['whole_p50_s']:.2f}", ""],
    ]
    told = (
        f"{found['rounds']} jobs, one at a time, 40 files in: container made and started, files in and out,"
        " container gone; without the program. In brackets the range of five parts of the run."
    )
    return told + "\n\n" + table(["a job's overhead", "measured", "target"], rows)


def _context(found: Mapping[str, Any]) -> str:
    rows = [
        [place, name, *_found(way)] for place, tried in found.items() for name, way in tried["ways"].items()
    ]
    asked = "; ".join(
        f"{each['queries']} of {name}, {each['files']:,} files" for name, each in found.items()
    )
    speeds = [
        f"{name} {min(each['embedders'][name]['per_s'] for each in found.values()):,.0f}"
        for name in next(iter(found.values()))["embedders"]
    ]
    depths = [f"recall@{depth}" for depth in DEPTHS]
    head = ["repository", "search", *depths, "MRR", "better; worse than words"]
    told = f"Questions: {asked}. Texts a second on this machine, at least: {', '.join(speeds)}."
    return "\n\n".join([told, table(head, rows)])


def _found(way: Mapping[str, Any]) -> list[str]:
    """Recall with its 95 % interval, MRR, and how many answers are better and worse than by words."""
    told = []
    for each in way["recall"].values():
        low, high = each["interval"]
        told.append(f"{each['share']:.3f} ({low:.2f}–{high:.2f})")
    return [*told, f"{way['mrr']:.3f}", f"{way['better']}; {way['worse']}"]


def red_team(found: Mapping[str, Any]) -> str:
    """The table of attacks: row, tests, outcome."""
    if "broken" in found:
        return f"Not measured: {found['broken']}."
    ended: Mapping[str, Mapping[str, int]] = found["tests"]
    rows = [
        [name, "<br>".join(_linked(test) for test in tests), _outcome([ended[test] for test in tests])]
        for name, tests in ROWS.items()
    ]
    return table(["attack", "tests", "outcome"], rows)


def _outcome(ended: Sequence[Mapping[str, int]]) -> str:
    counts: dict[str, int] = {}
    for each in ended:
        for name, count in each.items():
            counts[name] = counts.get(name, 0) + count
    said = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    if any(not each for each in ended):
        return f"**not run** ({said or 'nothing'})"
    bad = set(counts) - {"passed", "skipped"}
    return f"**{said}**" if bad else said


def _linked(test: str) -> str:
    path, _, name = test.partition("::")
    return f"[`{name}`](../{path})"


def _share(found: Mapping[str, Any]) -> str:
    if found["share"] is None:
        return "–"
    low, high = found["interval"]
    return f"{found['share']:.3f} ({found['hits']} of {found['of']}; 95 % {low:.3f}–{high:.3f})"


def _times(found: Mapping[str, float] | None) -> str:
    return "–" if found is None else f"{found['p50']:.1f}; {found['p95']:.1f}; {found['most']:.1f} s"


def _ranged(found: Mapping[str, Any], what: str) -> str:
    low, high = found[f"{what}_range_s"]
    return f"{found[f'{what}_s']:.2f} ({low:.2f}–{high:.2f})"


def _sum(counts: Sequence[int]) -> str:
    return str(sum(counts))


_SECTIONS = {
    "quality": ("What is merged", _quality),
    "context": ("What is found to be shown", _context),
    "kill": ("Workers that are killed", _kill),
    "containers": ("Containers left behind", _containers),
    "overhead": ("What a job costs", _overhead),
    "red-team": ("Red team", red_team),
}
