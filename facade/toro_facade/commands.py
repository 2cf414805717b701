"""`toro serve` and `toro facade`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import click

from toro_core.settings import Settings, load

if TYPE_CHECKING:
    from toro_core.v1 import Core

__all__ = ["facade", "serve"]

Started: TypeAlias = Callable[[Settings], None]
"""Is told the settings with the port once the server listens; another command that serves gives its own."""
_POLICY_HELP: Final = "US Core profiles that resources do not claim. [default: warn]"
_Command = TypeVar("_Command", bound=Callable[..., Any])


def _http_options(command: _Command) -> _Command:
    """Add the options of both commands; their names are those of the settings."""
    options = (
        click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file. [default: toro.toml]"),
        click.option("--host", help="Address to listen on. [default: 127.0.0.1]"),
        click.option(
            "--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one. [default: 8080]"
        ),
        click.option("--base-url", help="URL under which clients reach the server, without /fhir."),
        click.option(
            "--expose", type=click.Choice(["published", "full"]), help="What partners may do. [default: published]"
        ),
        click.option("--insecure", is_flag=True, default=None, help="Allow plain text beyond loopback."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command(epilog="Example: toro serve --storage sqlite:///toro.db --port 8080")
@_http_options
@click.option("--storage", help="Storage URL.")
@click.option("--profile-policy", type=click.Choice(["off", "warn", "enforce"]), help=_POLICY_HELP)
@click.option("--grpc", "core_listen", metavar="ADDRESS", help="Serve gRPC at this address, too.")
def serve(file: Path | None, started: Started | None = None, **flags: object) -> None:
    """Serve the REST API and the core in one process."""
    from toro_core.local import open_core

    settings = load(file, os.environ, flags)
    settings.check_http()
    _run(_served(settings, open_core, started or _announce), settings)


@click.command(epilog="Example: toro facade --core 127.0.0.1:9090 --port 8080")
@_http_options
@click.option("--core", "core_address", metavar="ADDRESS", help="The core's gRPC address.")
def facade(file: Path | None, **flags: object) -> None:
    """Serve the REST API before a core that runs elsewhere."""
    from toro_core.v1 import connect, core_tls

    settings = load(file, os.environ, flags)
    settings.check_http()
    if not settings.core_address:
        raise click.UsageError("say where the core is: --core ADDRESS")
    settings.check_grpc(settings.core_address)

    def opened(settings: Settings) -> AbstractAsyncContextManager[Core]:
        return connect(settings.core_address, max_body=settings.max_body, tls=core_tls(settings))

    _run(_served(settings, opened, _announce), settings)


async def _served(
    settings: Settings, opened: Callable[[Settings], AbstractAsyncContextManager[Core]], started: Started
) -> None:
    from toro_facade.server import serve as serve_until_stopped

    await serve_until_stopped(opened, settings, started)


def _announce(settings: Settings) -> None:
    # Behind a proxy the URL says nothing about the port, which may have been free for the system to choose.
    behind = f" behind {settings.host}:{settings.port}" if settings.base_url else ""
    click.echo(
        f"Toro serves FHIR R4 at {settings.fhir_base()}{behind}, tokens at {settings.token_url()}; stop with Ctrl-C"
    )


def _run(work: Coroutine[Any, Any, None], settings: Settings) -> None:
    from toro_core.log import configure

    configure(settings.log_level)
    try:
        import uvloop
    except ImportError:  # it has no wheels for Windows and PyPy
        asyncio.run(work)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)
