"""Numbers that a process has anyway, as Prometheus text: for actors, which count nothing for the purpose.

Pure: values in, text out. What a name means is said once, in `names.FIGURES`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from zoran_ray.telemetry import names
from zoran_ray.telemetry.exposition import escaped


@dataclass(frozen=True, slots=True)
class Figure:
    """One sample.

    Attributes:
        name: One of `names.FIGURES`.
        value: In the unit that the name ends with.
        labels: Their values come from a bounded list.
    """

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


def figures_text(figures: Iterable[Figure]) -> str:
    """Text format 0.0.4: a HELP and a TYPE for each name, its samples together.

    Names that end in `_total` are counters, all others gauges.
    """
    lines: list[str] = []
    for name, group in groupby(sorted(figures, key=lambda figure: figure.name), lambda figure: figure.name):
        kind = "counter" if name.endswith("_total") else "gauge"
        lines += [f"# HELP {name} {names.FIGURES[name]}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{_labels(figure.labels)} {float(figure.value)}" for figure in group]
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""
