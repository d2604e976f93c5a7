"""The `zoran` command. Starts fast: each command imports what it needs when it runs."""


def main() -> None:
    """Entry point of the `zoran` script."""
    from zoran_ray.cli.app import app

    app(prog_name="zoran")
