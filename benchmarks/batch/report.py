"""The page of a batch run, made from its single measurements."""

from typing import Any

from benchmarks.readme import table
from benchmarks.serving.stats import Spread
from benchmarks.serving.targets import number, shown

OFFLINE, COMMAND, API, DIRECT, RAY_DATA = (
    "vLLM `LLM.generate`, offline",
    "`zoran batch run`",
    "`/v1/batches`",
    "the same asking, straight at the replica",
    "Ray Data, `vLLMEngineProcessorConfig`",
)
TARGET = 0.95


def compared(results: dict[str, Any]) -> dict[str, Any]:
    """The results with the share of equal texts in place of every text's digest."""
    base = {
        (each["workload"], each["round"]): each.get("digest")
        for each in results["samples"]
        if each["who"] == OFFLINE
    }
    samples = []
    for each in results["samples"]:
        kept = {name: value for name, value in each.items() if name != "digest"}
        other = base.get((each["workload"], each["round"]))
        if each["who"] != OFFLINE and each.get("digest") and other:
            kept["equal"] = _equal(each["digest"], other)
        samples.append(kept)
    return results | {"samples": samples}


def markdown(results: dict[str, Any], file: str) -> str:
    """Both tables, with a link to all measurements."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    head = f"{results['started'][:10]}, {machine['cores']} cores ({machine['cpu']}), {versions}."
    return "\n\n".join(
        [
            f"{head} Every measurement: [`{file}`]({file}).",
            table(
                (
                    "workload",
                    "who",
                    "tokens/s",
                    f"÷ `LLM.generate`, same round (target ≥ {TARGET})",
                    "equal texts",
                ),
                _rows(results["samples"]),
            ),
            table(
                (
                    "workload",
                    "in the background",
                    "time to first token p50 / p99, ms",
                    "to the last p50, ms",
                ),
                _interactive(results["interactive"]),
            ),
        ]
    )


def _rows(samples: list[dict[str, Any]]) -> list[list[str]]:
    found = []
    for workload in dict.fromkeys(sample["workload"] for sample in samples):
        mine = [sample for sample in samples if sample["workload"] == workload]
        base = {each["round"]: each for each in mine if each["who"] == OFFLINE}
        for who in dict.fromkeys(sample["who"] for sample in mine):
            runs = [sample for sample in mine if sample["who"] == who]
            rates = Spread.of(run["tokens_per_s"] for run in runs)
            pairs = [(run, base[run["round"]]) for run in runs if who != OFFLINE and run["round"] in base]
            ratio = Spread.of(run["tokens_per_s"] / other["tokens_per_s"] for run, other in pairs)
            same = [run["equal"] for run in runs if "equal" in run]
            equal = f"{sum(same) / len(same):.1%}" if same else "–"
            found.append([workload, who, shown(rates), _ratio(who, ratio), equal])
    return found


def _ratio(who: str, ratio: Spread | None) -> str:
    if ratio is None:
        return "1" if who == OFFLINE else "–"
    return shown(ratio)


def _equal(some: list[str], others: list[str]) -> float:
    return sum(one == other for one, other in zip(some, others, strict=True)) / len(some)


def _interactive(rows: list[dict[str, Any]]) -> list[list[str]]:
    return [
        [
            *(row["workload"], row["condition"]),
            f"{number(row['ttft_ms']['p50'])} / {number(row['ttft_ms']['p99'])}",
            number(row["latency_ms"]["p50"]),
        ]
        for row in rows
    ]
