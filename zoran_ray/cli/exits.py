"""What every error means as an exit status; the one place that knows.

0    done
1    failure
2    usage: unknown command, flag or value (Typer's own)
3    configuration
4    no server answers
5    refused by policy, or a person has to decide
130  interrupted
"""

import sys
import traceback
from typing import Any

import typer
from typer.core import TyperGroup

from zoran_ray.cli.output import styled
from zoran_ray.errors import ConfigError, PermissionDenied, Unreachable, ZoranError

FAILURE = 1
USAGE = 2
REFUSED = 5
INTERRUPTED = 130

_STATUS: tuple[tuple[type[ZoranError], int], ...] = (
    (ConfigError, 3),
    (Unreachable, 4),
    (PermissionDenied, REFUSED),
)


def exit_status(error: ZoranError) -> int:
    """The exit status of an error of our own."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), FAILURE)


class Commands(TyperGroup):
    """The root command: every error of a command below becomes one message and one exit status."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except ZoranError as error:
            _tell(error.message, ctx)
            raise typer.Exit(exit_status(error)) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            # Typer's own exceptions say how to exit; a closed pipe is Typer's to handle too.
            if hasattr(error, "exit_code") or isinstance(error, typer.Abort | BrokenPipeError):
                raise
            hint = "" if ctx.params.get("debug") else " (`zoran --debug …` shows where)"
            _tell(f"Unexpected {type(error).__name__}: {error}{hint}", ctx)
            raise typer.Exit(FAILURE) from None


def _tell(message: str, ctx: Any) -> None:
    if ctx.params.get("debug"):
        traceback.print_exc(file=sys.stderr)
    label = styled("Error: ", fg="red", bold=True)
    typer.echo(label + message, err=True)
