"""The `toro` command: finds its subcommands at the entry points `toro.commands` and turns failures into one line."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points, version

import click

from toro_core.errors import ToroError

__all__ = ["Commands", "main", "toro"]

_GROUP = "toro.commands"
_INTERRUPTED = 130


class Commands(click.Group):
    """A group whose commands are imported only when they run or are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the installed commands."""
        return sorted(entry_points(group=_GROUP).names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; one that cannot be imported stays listed and says why when it runs."""
        for found in entry_points(group=_GROUP, name=cmd_name):
            try:
                command = found.load()
            except (ImportError, AttributeError) as error:
                return _unavailable(found, error)
            if not isinstance(command, click.Command):
                return _unavailable(found, TypeError(f"{found.value} is not a click command"))
            return command
        return None


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: toro sandbox demo --patients 20",
)
@click.version_option(version("toro-fhir"), prog_name="toro")
def toro() -> None:
    """Run and look after a Toro FHIR server."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `toro` and return its exit code: 0 done, 1 the work failed, 2 wrong usage, 130 interrupted."""
    try:
        result = toro.main(arguments, prog_name="toro", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except ToroError as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error))
    except Exception as error:
        from toro_core.v1 import CallError  # only here: it loads gRPC, which most commands can do without

        if not isinstance(error, CallError):
            raise
        return _failed(error.issues[0].diagnostics if error.issues else error.reason)
    return result if isinstance(result, int) else 0


def _failed(message: str) -> int:
    click.echo(f"Error: {message}", err=True)
    return 1


def _unavailable(found: EntryPoint, error: Exception) -> click.Command:
    def run() -> None:
        raise ToroError(f"toro {found.name} cannot be loaded from {found.value}: {error}") from error

    context = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(found.name, callback=run, short_help=f"(cannot be loaded: {error})", context_settings=context)
