"""`toro config`: what a process would run with, and why."""

from __future__ import annotations

import os
import re
from dataclasses import fields
from pathlib import Path

import click

from toro_core.settings import Settings, resolve

__all__ = ["config"]

_PASSWORD = re.compile(r"(?<=://)([^/@:?]*):.*@")
"""Up to the last @, for a password may hold what ought to have been escaped in it."""
_NAMED = re.compile(r"(?<=[?&])([^=&]*(?:password|secret)[^=&]*)=[^&]*", re.IGNORECASE)


@click.group(epilog="Example: toro config check --config toro.toml")
def config() -> None:
    """Look at the settings."""


@config.command(epilog="Example: TORO_PORT=9090 toro config check --config toro.toml")
@click.option(
    "--config", "file", type=click.Path(path_type=Path), help="Settings file. [default: toro.toml where there is one]"
)
def check(file: Path | None) -> None:
    """Print every setting with its value and where that came from; fail where a server would not start."""
    loaded = resolve(file, os.environ, {})
    settings = loaded.settings
    for f in fields(Settings):
        click.echo(f"{f.name} = {_shown(getattr(settings, f.name))}  # {loaded.sources[f.name]}")
    settings.check_http()
    for address in filter(None, (settings.core_listen, settings.core_address)):
        settings.check_grpc(address)


def _shown(value: object) -> str:
    if isinstance(value, str):
        shown = _NAMED.sub(r"\1=***", _PASSWORD.sub(r"\1:***@", value))
        return f'"{shown}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_shown(part) for part in value) + "]"
    return "unset" if value is None else str(value)
