"""Are `actors` and `serve_apps` ours? Both are names a user's own project may have."""

from importlib import import_module

from zoran_ray.errors import ConfigError


def require_own_houses() -> None:
    """Import both.

    Raises:
        ConfigError: Another package of that name comes first on the import path.
    """
    for name in ("actors", "serve_apps"):
        house = import_module(name)
        if getattr(house, "HOUSE", None) != "zoran_ray":
            place = getattr(house, "__file__", None) or "a folder without __init__.py"
            raise ConfigError(
                f"package '{name}' is shadowed by {place}. Run zoran from another folder, or take that one "
                "off PYTHONPATH."
            )
