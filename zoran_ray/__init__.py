"""Actor-model distributed runtime for people who serve and use language models.

from zoran_ray import Zoran

with Zoran() as z:
    print(z.chat("What is 17+25?").text)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoran_ray.library import AsyncZoran, Zoran

__all__ = ["AsyncZoran", "Zoran"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Lazy: the CLI imports this package and must start at once.
    if name in __all__:
        from zoran_ray import library

        return getattr(library, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
