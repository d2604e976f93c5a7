"""What a gateway measures, a second time under the names of OpenTelemetry's GenAI conventions.

Dashboards of others ask for those. They are made of the text of our own histograms, whose buckets are the
recommended ones, when somebody reads the page: a request is counted once, and told to the registry once.

Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/ (server metrics; names and units
as OpenTelemetry's Prometheus exporter writes them)
"""

import re
from collections import defaultdict
from collections.abc import Mapping

from zoran_ray.telemetry import names

_TWINS = {
    names.REQUEST_DURATION: names.GEN_AI_DURATION,
    names.TTFT: names.GEN_AI_TTFT,
    names.TPOT: names.GEN_AI_TPOT,
}
_SAMPLE = re.compile(rf"^({'|'.join(_TWINS)})_(bucket|sum|count){{(.*)}} (\S+)$", re.MULTILINE)
_PAIR = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def gen_ai_text(text: str) -> str:
    """Twins of three histograms. Endpoints of one operation become one; those of none are left out.

    Time to and per token has no operation: what streams is a chat or a completion.

    Args:
        text: What a gateway tells, as `generate_latest` writes it.
    """
    totals: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for name, suffix, pairs, value in _SAMPLE.findall(text):
        labels = _conventional(dict(_PAIR.findall(pairs)))
        if labels is not None:
            told = ",".join(f'{label}="{held}"' for label, held in labels.items())
            totals[_TWINS[name]][f"{_TWINS[name]}_{suffix}{{{told}}}"] += float(value)
    lines: list[str] = []
    for twin, samples in totals.items():
        lines.append(f"# TYPE {twin} histogram")
        lines += [f"{series} {value}" for series, value in samples.items()]
    return "".join(f"{line}\n" for line in lines)


def _conventional(labels: Mapping[str, str]) -> dict[str, str] | None:
    """Labels by their conventional names; None where the endpoint is of no operation."""
    told = {names.GEN_AI_MODEL: labels[names.MODEL]}
    if names.ENDPOINT in labels:
        operation = names.OPERATIONS.get(labels[names.ENDPOINT])
        if operation is None:
            return None
        told[names.GEN_AI_OPERATION] = operation
    return told | ({"le": labels["le"]} if "le" in labels else {})
