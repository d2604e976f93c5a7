"""`zoran route`: why a prompt goes to which model, what the router knows, and what an answer was worth."""

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from zoran_ray.cli.chat import piped
from zoran_ray.cli.endpoint import ApiKey, BaseUrl, client
from zoran_ray.cli.options import AsJson, ConfigFile, StateDir
from zoran_ray.cli.output import print_json, print_table, printable

app = typer.Typer(help="How `zoran/auto` chooses among models.", no_args_is_help=True)

TIMEOUT_S = 30.0
HEADINGS = ("MODEL", "QUALITY", "TOKENS", "LATENCY", "LATE", "USD", "UTILITY", "SHARE", "EXCLUDED")
MOST_FEATURES = 12
MOST_DEPTH = 8


def _finite(value: float | None) -> float | None:
    """`nan` and `inf` are floats, and no value that could be meant."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter("must be a finite number.")
    return value


def _least_zero(flag: str, help: str) -> Any:
    return typer.Option(flag, min=0, callback=_finite, help=help)


@app.command()
def explain(
    prompt: Annotated[str, typer.Argument(help="What would be asked; `-` reads it from stdin.")],
    max_usd: Annotated[float | None, _least_zero("--max-usd", "Most that the request may cost.")] = None,
    latency_slo_ms: Annotated[
        float | None, _least_zero("--latency-slo-ms", "Longest latency that is still good.")
    ] = None,
    quality_weight: Annotated[
        float | None, _least_zero("--quality-weight", "Weight of quality beside cost and time.")
    ] = None,
    budget_usd_per_1k: Annotated[
        float | None, _least_zero("--budget-usd-per-1k", "USD for 1,000 such requests.")
    ] = None,
    arms: Annotated[str | None, typer.Option(help="Only these models, separated by commas.")] = None,
    residency: Annotated[str | None, typer.Option(help="`local`: the prompt must not leave.")] = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Which model a prompt would go to, and why; nothing is asked of any model."""
    from zoran_ray.offers import AUTO

    text = piped() if prompt == "-" else prompt
    objective = {
        "max_usd": max_usd,
        "latency_slo_ms": latency_slo_ms,
        "quality_weight": quality_weight,
        "budget_usd_per_1k": budget_usd_per_1k,
        "arms": [name.strip() for name in arms.split(",") if name.strip()] if arms is not None else None,
        "residency": residency,
    }
    body = {
        "model": AUTO,
        "messages": [{"role": "user", "content": text}],
        "zoran": {name: value for name, value in objective.items() if value is not None},
    }
    with client(base_url, api_key, state_dir, config, TIMEOUT_S) as server:
        found = server.ask("POST", "route/explain", body)
    if as_json:
        print_json(found)
    else:
        _show(_mapping(found))


@app.command()
def state(
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """What the router has learned: models, weights, guard, budget."""
    with client(base_url, api_key, state_dir, config, TIMEOUT_S) as server:
        found = server.ask("GET", "routing/state")
    if as_json:
        print_json(found)
    else:
        for line in _lines(found, 0):
            typer.echo(line)


@app.command()
def feedback(
    request_id: Annotated[str, typer.Argument(help="`x-request-id` of the answer.")],
    score: Annotated[
        float, typer.Argument(min=0, max=1, callback=_finite, help="What it was worth, 0 to 1.")
    ],
    comment: Annotated[str | None, typer.Option(help="Why, in a few words.")] = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Score an answer; the router learns from it."""
    body = {"request_id": request_id, "score": score} | ({} if comment is None else {"comment": comment})
    with client(base_url, api_key, state_dir, config, TIMEOUT_S) as server:
        found = server.ask("POST", "feedback", body)
    if as_json:
        print_json(found)
    else:
        status = _text(_mapping(found).get("status"))
        typer.echo(f"Scored {request_id} with {score:g}{f' ({status})' if status else ''}.")


def _show(found: Mapping[str, Any]) -> None:
    """An explanation for people: the table, the choice, what mattered."""
    arms = found.get("arms")
    print_table(HEADINGS, [_cells(_mapping(arm)) for arm in arms] if isinstance(arms, list) else [])
    choice = _mapping(found.get("choice"))
    if choice.get("arm"):
        typer.echo(f"\nChoice: {_text(choice['arm'])}{_because(choice)}")
        expected = (("expected USD", "expected_usd"), ("propensity", "propensity"))
        _facts((label, choice.get(name)) for label, name in expected)
    else:
        typer.echo(f"\nNo choice{_because(choice)}")
    known = (("task", "task"), ("guard", "guard"), ("snapshot", "snapshot_version"))
    _facts((label, found.get(name)) for label, name in known)
    features = found.get("features")
    mattered = [_mapping(each) for each in features] if isinstance(features, list) else []
    if mattered:
        mattered.sort(key=lambda each: -abs(_weight(each)))
        typer.echo("\nWhat mattered:")
        rows = [[_text(each.get("name")), f"{_weight(each):+.4f}"] for each in mattered[:MOST_FEATURES]]
        print_table(("FEATURE", "WEIGHT"), rows)


def _weight(feature: Mapping[str, Any]) -> float:
    weight = feature.get("weight")
    return weight if isinstance(weight, int | float) else 0.0


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [
        _text(row.get("name")),
        _quality(row.get("quality")),
        _number(row.get("output_tokens"), ".0f"),
        _number(row.get("latency_ms"), ",.0f", " ms"),
        _number(row.get("p_late"), ".0%"),
        _number(row.get("usd"), ".3g"),
        _number(row.get("utility"), "+.3f"),
        _number(row.get("share"), ".0%"),
        _text(row.get("excluded")),
    ]


def _quality(value: Any) -> str:
    """`0.81 [0.74, 0.88]`; of a bare number, itself."""
    if not isinstance(value, Mapping):
        return _number(value, ".2f")
    mean, low, high = (_number(value.get(name), ".2f") for name in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]" if low and high else mean


def _because(choice: Mapping[str, Any]) -> str:
    reason = _text(choice.get("reason"))
    return f", because: {reason}" if reason else ""


def _facts(facts: Iterator[tuple[str, Any]]) -> None:
    told = [f"{label} {_text(value)}" for label, value in facts if value not in (None, "", {}, [])]
    if told:
        typer.echo(", ".join(told))


def _lines(value: Any, depth: int) -> Iterator[str]:
    """Nested JSON as indented lines, much as YAML."""
    space = "  " * depth
    items = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in items:
        name = "-" if isinstance(value, list) else f"{printable(str(key))}:"
        if isinstance(inner, Mapping | list) and not _is_short(inner) and depth < MOST_DEPTH:
            yield f"{space}{name}"
            yield from _lines(inner, depth + 1)
        else:
            yield f"{space}{name} {_text(inner)}"


def _is_short(value: Any) -> bool:
    """Whether a list or mapping fits on a line: plain values, and few."""
    inner = list(value.values() if isinstance(value, Mapping) else value)
    return not any(isinstance(each, Mapping | list) for each in inner) and len(_text(value)) <= 80


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case Mapping():
            return ", ".join(f"{printable(str(key))} {_text(inner)}" for key, inner in value.items())
        case list():
            return ", ".join(map(_text, value))
        case _:
            return printable(str(value))


def _number(value: Any, form: str, unit: str = "") -> str:
    return f"{value:{form}}{unit}" if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
