"""The whole benchmark as Markdown. Whatever misses its target says so by itself."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.readme import table
from benchmarks.reasoning import overhead, wall
from benchmarks.reasoning.auto import ZORAN
from benchmarks.reasoning.intervals import paired, wilson
from benchmarks.reasoning.predictions import MISSED, REACHED, verdict

_OVER = 1.005
_OVERHEAD_HEAD = ("strategy", "calls", "p50, ms a call", "p95", f"target ≤ {overhead.MOST_MS:g}")
_EQUAL = {"calls": "sampled answers", "tokens": "tokens"}


def markdown(said: Mapping[str, Any], data: str | None = None) -> str:
    """The whole section.

    Args:
        data: Link to the JSON file.
    """
    models = ", ".join(f"{each['name']} ({each['bytes'] / 1e6:.1f} MB)" for each in said["models"])
    told = [f"Run of {said['started'][:10]}, {said['machine']}. Models: {models}."]
    told += [f"[Every instance]({data})."] if data else []
    for name, part in _PARTS.items():
        if name in said:
            told += [part(said)]
    if missed := list(_missed("\n\n".join(told))):
        told += ["### Missed in this run", "\n".join(f"- {row}" for row in missed)]
    return "\n\n".join(told)


def contenders(budget: Mapping[str, Any]) -> str:
    """The contenders of one task and budget."""
    head = ("strategy", "right", "95 %", "calls", "tokens", "cached", "s", "won/lost", "above single, 95 %")
    return table(head, [_row(who, row) for who, row in budget["contenders"].items()])


def _row(who: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    compared = "gain" in row
    return (
        who, f"{row['share']:.3f}", f"{row['low']:.3f}–{row['high']:.3f}", f"{row['calls']:g}",
        f"{row['tokens']:g}", f"{row['cached_share']:.0%}", f"{row['wall_s']:.2f}",
        f"{row['won']}/{row['lost']}" if compared else "", interval(row["gain"]) if compared else "",
    )  # fmt: skip


def interval(found: Sequence[float], form: str = "+.3f") -> str:
    """A difference and its ends."""
    middle, low, high = found
    return f"{middle:{form}} [{low:{form}}, {high:{form}}]"


def _predictions(said: Mapping[str, Any]) -> str:
    rows = [
        (
            each["task"], f"equal {each['budget']}", each["prediction"],
            " : ".join(f"{share:.3f}" for share in each["shares"]), str(each["of"]),
            interval(each["difference"]), each["verdict"],
        )
        for each in said["predictions"]
    ]  # fmt: skip
    head = ("task", "budget", "prediction", "right", "instances", "difference, 95 %", "")
    return f"### What was predicted\n\n{table(head, rows)}"


def _tasks(said: Mapping[str, Any]) -> str:
    told = ["### Strategies"]
    for task, budgets in said["tasks"].items():
        for equal, budget in budgets.items():
            of = next(iter(budget["contenders"].values()))["of"]
            told += [f"{task}, {of} instances, at most {budget['most']} {_EQUAL[equal]} each:"]
            told += [contenders(budget)]
    return "\n\n".join(told)


def _wall(said: Mapping[str, Any]) -> str:
    rows = []
    for tree, found in said["wall"].items():
        for what, key in (("answers", "of_answers"), ("requests, of several answers each", "of_requests")):
            reached = REACHED if found[key][0] <= wall.MOST else MISSED
            ratio = interval(found[key], ".2f")
            rows.append((f"{tree}: tree ÷ its {what}, in turn", ratio, f"≤ {wall.MOST:.2f}", reached))
        seconds = sum(row["tree_s"] for row in found["instances"]) / len(found["instances"])
        rows += [(f"{tree}: seconds a puzzle", f"{seconds:.2f}", "", "")]
        rows += [(f"{tree}: cached ÷ prompt tokens", f"{found['cached_share']:.0%}", "", "")]
    told = f"{len(found['instances'])} puzzles, cache emptied before each way."
    return f"### Time of a tree\n\n{told}\n\n{table(('what', 'measured', 'target', ''), rows)}"


def _overhead(said: Mapping[str, Any]) -> str:
    rows = [
        _overhead_row(f"{task}, {name}", row)
        for task, rows in said["overhead"].items()
        for name, row in rows.items()
    ]
    return f"### Everything but the model: the library\n\n{table(_OVERHEAD_HEAD, rows)}"


def _gateway(said: Mapping[str, Any]) -> str:
    rows = [_overhead_row(*each) for each in said["gateway"].items()]
    return f"### Everything but the model: through HAProxy and gateway\n\n{table(_OVERHEAD_HEAD, rows)}"


def _overhead_row(name: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    middle = row["ms"]["p50"]
    reached = REACHED if middle <= overhead.MOST_MS else MISSED
    return name, f"{row['calls']:g}", f"{middle:.2f}", f"{row['ms']['p95']:.2f}", reached


def _auto(said: Mapping[str, Any]) -> str:
    found = said["auto"]
    told = ["### Small and large model", _sizes(found), "### `zoran/auto` between the two"]
    seeds = len(found["budgets"][0]["policies"][ZORAN]["seeds"])
    of = len(found["tasks"][-1]["rights"][0])
    told += [f"{of} instances, {seeds} seeds; {found['usd_per_million']} USD a million tokens."]
    rows = [row for each in found["budgets"] for row in _budget(each)]
    head = (
        "budget, USD", "policy", "right", "spent ÷ budget", "`zoran/auto` above it, 95 %", ""
    )  # fmt: skip
    return "\n\n".join([*told, table(head, rows)])


def _sizes(found: Mapping[str, Any]) -> str:
    rows = []
    for each in found["tasks"]:
        small, large = each["rights"]
        gain = paired(large, small)
        cells = [f"{sum(r) / len(r):.3f} ({_ends(r)})" for r in (small, large)]
        rows.append((each["task"], str(len(small)), *cells, interval(gain), verdict(gain)))
    times = [f"{each['p50']:.1f} ({each['p95']:.1f})" for each in found["latency_ms"]]
    slower = found["latency_ms"][1]["p50"] > found["latency_ms"][0]["p50"]
    rows.append(("ms of an answer alone, p50 (p95)", "", *times, "", REACHED if slower else MISSED))
    return table(("task", "instances", "small", "large", "large above small, 95 %", ""), rows)


def _ends(rights: Sequence[float]) -> str:
    low, high = wilson(int(sum(rights)), len(rights))
    return f"{low:.3f}–{high:.3f}"


def _budget(each: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    yield _policy(each, ZORAN, each["policies"][ZORAN])
    for name, row in each["policies"].items():
        if name != ZORAN:
            yield _policy(each, name, row)
    yield f"{each['budget_usd']:.3g}", "oracle", f"{each['oracle']:.4f}", "", "", ""


def _policy(each: Mapping[str, Any], name: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    above = row.get("zoran_above")
    # Who asks the large model alone may be right more often, and spends what there is not.
    dearer = " (over the budget)" if row["spent"] > _OVER else ""
    told = (interval(above, "+.4f"), verdict(above) + dearer) if above else ("", "")
    return f"{each['budget_usd']:.3g}", name, f"{row['reward']:.4f}", f"{row['spent']:.3f}", *told


def _live(said: Mapping[str, Any]) -> str:
    found, tasks = said["live"], said["auto"]["tasks"][-1]["rights"]
    answers = found["answers"]
    ours = [float(each["right"]) for each in answers]
    rows = [
        (f"{name} alone, recorded", f"{sum(rights[: len(ours)]) / len(ours):.3f}",
         interval(paired(ours, rights[: len(ours)])))
        for name, rights in zip(("small", "large"), tasks, strict=True)
    ]  # fmt: skip
    spent = sum(each["usd"] for each in answers) / len(answers) / found["budget_usd"]
    large = sum(each["arm"] == "large" for each in answers) / len(answers)
    told = (
        f"One server, {len(answers)} requests to `zoran/auto` with a verifier's score after each:"
        f" {sum(ours) / len(ours):.3f} right, {large:.0%} to the large model, {spent:.2f} of the budget."
    )
    head = ("on the same instances", "right", "`zoran/auto` above it, 95 %")
    return f"### The same on a running server\n\n{told}\n\n{table(head, rows)}"


def _missed(text: str) -> Iterable[str]:
    """Rows of tables that miss, without their bars."""
    for line in text.splitlines():
        if MISSED in line:
            cells = [cell.strip() for cell in line.strip("| ").split("|")]
            yield "; ".join(cell.removeprefix(MISSED).strip() for cell in cells if cell not in ("", MISSED))


_PARTS = {
    "predictions": _predictions, "tasks": _tasks, "wall": _wall, "overhead": _overhead,
    "gateway": _gateway, "auto": _auto, "live": _live,
}  # fmt: skip
