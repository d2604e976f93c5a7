"""Results of the cluster's benchmark as Markdown."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.cluster.figures import busy, cpu_ms, full_at, idle_cores, of_parts, pictures_per_s, select
from benchmarks.cluster.targets import Row, targets
from benchmarks.readme import table
from benchmarks.serving.stats import Spread
from benchmarks.serving.targets import number, shown

KIB, MIB = 2**10, 2**20
_LAYOUTS = {"apart": "gateways apart", "free": "anywhere"}


def markdown(results: Mapping[str, Any], data: str | None = None) -> str:
    """The whole section.

    Args:
        data: Link to the JSON file.
    """
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    told = (
        f"Run of {results['started'][:10]}: {machine['cores']} cores ({machine['cpu']}),"
        f" {machine['memory_gib']} GiB, Python {machine['python']}; {versions}. Median (lowest–highest)."
    )
    parts = [told + (f" [All figures]({data})." if data else ""), "### Targets"]
    parts.append(table(["what", "target", "measured"], targets(results)))
    for name, (title, section) in _SECTIONS.items():
        found = results.get(name)
        if found is not None:
            left_out = isinstance(found, Mapping) and "left_out" in found
            parts += [f"### {title}", f"Left out: {found['left_out']}" if left_out else section(found)]
    return "\n\n".join(parts)


def _fleet(found: Mapping[str, Any]) -> str:
    sizes = [
        [
            number_of(row["replicas"]),
            number_of(row["models"]),
            f"{row['bytes'] / KIB:,.1f}",
            _low_high(row["heartbeat_us"]),
            _low_high(row["build_us"]),
            _low_high(row["pickle_us"], 1e3),
            _low_high(row["unpickle_us"], 1e3),
            _low_high(row["apply_us"], 1e3),
            f"{row['gateway_bytes'] / KIB:,.0f}",
            f"{row['registry_bytes'] / MIB:,.1f}",
        ]
        for row in found["snapshots"]
    ]
    head = [
        "replicas",
        "models",
        "snapshot, KiB",
        "heartbeat, µs",
        "build, µs",
        "pickle, ms",
        "unpickle, ms",
    ]
    head += ["take over, ms", "a gateway's copy, KiB", "the registry, MiB"]
    chosen = [
        [
            number_of(size["replicas"]),
            number_of(size["models"]),
            *(_p50_p99(size[what]) for what in ("choose_us", "home_us")),
            *(_p50_p99(plan[what]) for what in ("named_us", "auto_us")),
        ]
        for size, plan in zip(found["snapshots"], found["decisions"], strict=True)
    ]
    asked = [
        "replicas",
        "models",
        "replica",
        "replica, in a conversation",
        "whole, by name",
        "whole, `zoran/auto`",
    ]
    return "\n\n".join([table(head, sizes), "Decisions, µs, p50 / p99:", table(asked, chosen)])


def _registry(found: Sequence[Mapping[str, Any]]) -> str:
    head = ["replicas", "CPU of a heartbeat, µs", "CPU of a snapshot sent, µs", "heartbeats/s, of wanted"]
    head += ["snapshots/s of each gateway", "heartbeat → gateway, p50 / p99, ms", "cores of the registry"]
    head += ["cores of the crowd", "taken for lost"]
    rows = [
        [
            number_of(row["replicas"]),
            number(row["heartbeat_cpu_us"]),
            number(row["answer_cpu_us"]),
            f"{row['heartbeats_per_s']:,.0f} of {row['wanted_per_s']:,.0f}",
            number(row["snapshots_per_s"]),
            _p50_p99(row["age_ms"]),
            f"{row['cores']:.2f}",
            f"{row['crowd_cores']:.2f}",
            number_of(row["forgotten"]),
        ]
        for row in found
    ]
    last = max(found, key=lambda row: row["replicas"], default=None)
    if last is None:
        return table(head, rows)
    told = (
        f"{last['gateways']} gateways watch. Where it bends: heartbeats alone fill one core of the registry"
        f" at {full_at(last['heartbeat_cpu_us']):,.0f} replicas; with {last['replicas']:,} replicas and"
        f" {last['gateways']} gateways that core is enough for {number(pictures_per_s(last))} snapshots a"
        " second each. Where the crowd, which is one process, has a whole core, it is the crowd that is"
        " slow, and replicas are lost because they do not come to speak."
    )
    return f"{table(head, rows)}\n\n{told}"


def _learner(found: Sequence[Mapping[str, Any]]) -> str:
    head = ["models", "reports on disk/s", "learned/s", "picture, KiB", "pickle, µs", "unpickle, µs"]
    head.append("decision, p50 / p99, µs")
    rows = [
        [
            number_of(row["models"]),
            number(row["recorded_per_s"]),
            number(row["learned_per_s"]),
            f"{row['bytes'] / KIB:,.0f}",
            _low_high(row["pickle_us"]),
            _low_high(row["unpickle_us"]),
            _p50_p99(row["choose_us"]),
        ]
        for row in found
    ]
    told = f"{found[0]['gateways']} gateways report at once, {found[0]['reports']:,} reports in all."
    return f"{told}\n\n{table(head, rows)}"


def _gateways(found: Mapping[str, Any]) -> str:
    samples = found["samples"]
    head = [
        "layout",
        "gateways",
        "requests/s",
        "p50, ms",
        "p99, ms",
        "CPU s per 1,000: gateways",
        "HAProxy",
    ]
    head += ["rest of the server", "back end", "load generator", "cores busy", "of them idle servers"]
    head += ["busiest gateway's share", "errors"]

    def rows() -> Iterator[Row]:
        for layout, name in _LAYOUTS.items():
            for count in sorted({each["gateways"] for each in samples}):
                cell = select(samples, layout, count)
                if cell:
                    yield [name, number_of(count), *_cell(cell)]

    told = f"{found['connections']} connections; {found['cores']} cores in all."
    return f"{told}\n\n{table(head, rows())}"


def _cell(cell: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    figures: list[Callable[[Mapping[str, Any]], float]] = [
        lambda each: float(each["requests_per_s"]),
        lambda each: float(each["p50_ms"]),
        lambda each: float(each["p99_ms"]),
        *(_cost(group) for group in ("gateway", "haproxy", "rest", "backend", "generator")),
        busy,
        idle_cores,
        lambda each: float(max(each["shares"], default=0.0)),
    ]
    for figure in figures:
        yield shown(Spread.of(map(figure, cell)))
    yield number_of(sum(each["errors"] for each in cell))


def _cost(group: str) -> Callable[[Mapping[str, Any]], float]:
    return lambda each: cpu_ms(each, group)


def _failover(found: Mapping[str, Any]) -> str:
    parts = found["parts"]
    head = [
        "killed",
        "kills",
        "requests that failed",
        "until none fails, s",
        "longest without an answer, s",
    ]
    head += ["slowest answer, s", "whole again, s"]
    rows = []
    for part in dict.fromkeys(each["part"] for each in parts):
        mine = [each for each in parts if each["part"] == part]
        failed, asked = (sum(each[what] for each in mine) for what in ("failed", "answered"))
        rows.append(
            [
                part,
                number_of(len(mine)),
                f"{failed} of {failed + asked:,}",
                *(
                    shown(of_parts(mine, what).get(part))
                    for what in ("recovered_s", "gap_s", "longest_s", "whole_s")
                ),
            ]
        )
    gcs = found["gcs"]
    rows.append(
        ["Ray's GCS, not brought back", "1", f"{gcs['failed']} of {gcs['failed'] + gcs['answered']:,}"]
        + [number(gcs[what]) for what in ("recovered_s", "gap_s", "longest_s")]
        + ["–"]
    )
    told = f"{found['gateways']} gateways and {found['replicas']} engines on one machine."
    return f"{told}\n\n{table(head, rows)}"


def _hosts(found: Mapping[str, Any]) -> str:
    head = ["fault", "requests", "answered", "refused", "cut, unreachable", "hung, wrong"]
    head += ["until all are answered, s", "whole again, s", "writes lost", "writes doubled", "beside"]
    rows = [
        [
            each["fault"],
            *(number_of(each[what]) for what in ("requests", "answered", "refused")),
            f"{each['cut']}, {each['unreachable']}",
            f"{each['hung']}, {each['wrong']}",
            number(each["errors_gone_s"]),
            "–" if each["whole_again_s"] is None else number(each["whole_again_s"]),
            number_of(sum(each["lost"].values())),
            number_of(sum(each["doubled"].values())),
            _named(each["beside"]),
        ]
        for each in found["faults"]
    ]
    besides = [
        f"{each['measured']}: {_named({name: each[name] for name in each if name != 'measured'})}."
        for each in found["measured"]
    ]
    told = [f"Tests: {found['tests']}."] if "tests" in found else []
    return "\n\n".join([*told, table(head, rows), *besides])


def _named(values: Mapping[str, float]) -> str:
    return "; ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in values.items())


def number_of(count: int) -> str:
    """With thousands apart."""
    return f"{count:,}"


def _low_high(values: Sequence[float], over: float = 1.0) -> str:
    median, low, high = (value / over for value in values)
    return shown(Spread(median, low, high, 2))


def _p50_p99(found: Mapping[str, float]) -> str:
    return f"{number(found['p50'])} / {number(found['p99'])}" if found else "–"


_SECTIONS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "fleet": ("The fleet in one picture", _fleet),
    "registry": ("The registry as an actor", _registry),
    "learner": ("The router's memory", _learner),
    "gateways": ("More gateways", _gateways),
    "failover": ("Parts that are killed", _failover),
    "hosts": ("Faults of a cluster of several hosts", _hosts),
}
