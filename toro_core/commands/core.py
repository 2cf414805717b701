"""`toro core`: the gRPC server alone."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from pathlib import Path

import click

from toro_core.settings import Settings, load

__all__ = ["core"]


@click.command(epilog="Example: toro core --listen 127.0.0.1:9090 --storage sqlite:///toro.db")
@click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file.")
@click.option("--listen", "core_listen", help="Address of the gRPC server. [default: 127.0.0.1:9090]")
@click.option("--storage", help="Storage URL.")
@click.option("--base-url", help="URL under which clients reach the facade.")
@click.option("--insecure", is_flag=True, default=None, help="Allow plain text beyond loopback.")
def core(file: Path | None, **flags: object) -> None:
    """Serve the core over gRPC, for facades and internal services."""
    settings = load(file, os.environ, {name: value for name, value in flags.items() if value is not None})
    if not settings.core_listen:
        settings = load(file, os.environ, {**flags, "core_listen": "127.0.0.1:9090"})
    logging.basicConfig(level=settings.log_level.upper(), format="%(message)s")
    asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    from toro_core.assembly import open_service
    from toro_core.server import serve_core

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with open_service(settings) as service, serve_core(service, settings) as port:
        host = settings.core_listen.rpartition(":")[0]
        where = f"{host}:{port}" if port > 1 else settings.core_listen
        click.echo(f"Toro core at {where} on {settings.storage.partition('://')[0]}; stop with Ctrl-C")
        await stop.wait()
        click.echo("Draining")
