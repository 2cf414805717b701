"""`toro core`: the gRPC server alone."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from toro_core.settings import Settings, load

__all__ = ["core"]

_LISTEN = "127.0.0.1:9090"


@click.command(epilog="Example: toro core --listen 127.0.0.1:9090 --storage sqlite:///toro.db")
@click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file. [default: toro.toml]")
@click.option("--listen", "core_listen", metavar="ADDRESS", help=f"Where to serve gRPC. [default: {_LISTEN}]")
@click.option("--storage", help="Storage URL.")
@click.option("--base-url", help="URL under which clients reach the facade.")
@click.option(
    "--profile-policy",
    type=click.Choice(["off", "warn", "enforce"]),
    help="US Core profiles that resources do not claim. [default: warn]",
)
@click.option("--insecure", is_flag=True, default=None, help="Allow plain text beyond loopback.")
def core(file: Path | None, **flags: object) -> None:
    """Serve the core over gRPC, for facades and internal services."""
    from toro_core.log import configure

    settings = load(file, os.environ, flags)
    settings = replace(settings, core_listen=settings.core_listen or _LISTEN)
    configure(settings.log_level)
    _run(_serve(settings))


async def _serve(settings: Settings) -> None:
    from toro_core.assembly import open_service
    from toro_core.server import serve_core

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    async with open_service(settings) as service, serve_core(service, settings) as port:
        host, _, asked = settings.core_listen.rpartition(":")
        where = f"{host}:{port}" if asked == "0" else settings.core_listen
        click.echo(f"Toro core at {where} on {settings.storage.partition('://')[0]}; stop with Ctrl-C")
        await stop.wait()
        click.echo("Draining")


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop
    except ImportError:  # it has no wheels for Windows and PyPy
        asyncio.run(work)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)
