"""What the tries of one request get to see of it, once that was found out."""

from dataclasses import dataclass, field

from zoran_ray.wire import RequestBody


@dataclass(frozen=True, slots=True)
class Shown:
    """A request as the tenant's privacy profile shows it.

    Attributes:
        body: The request, masked; the very same object where nothing was found.
        masked: How many values were taken out.
        known: What placeholders in it stand for.
    """

    body: RequestBody
    masked: int = 0
    known: dict[str, str] = field(default_factory=dict, repr=False)
