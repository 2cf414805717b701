"""`toro client`: which backend services may come in."""

from __future__ import annotations

import asyncio
import datetime
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from toro_core.auth.clients import Client, Clients, RegistrationRefused
from toro_core.auth.jwks_url import FetchFailed, JwksUrls
from toro_core.settings import Settings, load

__all__ = ["client"]

_T = TypeVar("_T")
_Command = TypeVar("_Command", bound=Callable[..., Any])


@click.group(epilog="Example: toro client list --storage sqlite:///toro.db")
def client() -> None:
    """Register, look at and revoke clients."""


def _settings_options(command: _Command) -> _Command:
    file = click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file.")
    return file(click.option("--storage", help="Storage URL.")(command))


@client.command(
    epilog='Example: toro client add "Lab portal" --jwks partner.jwks.json --scope "system/Observation.rs system/Patient.r"'
)
@click.argument("name")
@click.option("--jwks", required=True, metavar="FILE|URL", help="Public keys, as JWK Set or PEM, or the JWKS URL.")
@click.option("--scope", "scopes", required=True, multiple=True, help="Scopes the client may have, apart by spaces.")
@click.option("--id", "client_id", help="Client id; a random one is made where none is given.")
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), help="First day (UTC) on which the client is refused.")
@click.option("--base-url", help="URL under which clients reach this server.")
@_settings_options
def add(
    name: str,
    jwks: str,
    scopes: tuple[str, ...],
    client_id: str | None,
    expires: datetime.datetime | None,
    base_url: str | None,
    file: Path | None,
    storage: str | None,
) -> None:
    """Register a client and print what its developers need."""
    is_url = "://" in jwks
    content = None if is_url else _read(jwks)
    settings = load(file, os.environ, {"storage": storage, "base_url": base_url})

    async def register(clients: Clients) -> Client:
        return await clients.add(
            name=name,
            scopes=tuple(" ".join(scopes).split()),
            jwks=content,
            jwks_url=jwks if is_url else None,
            client_id=client_id,
            expires=expires.replace(tzinfo=datetime.UTC).timestamp() if expires else None,
        )

    try:
        added = _run(settings, register, new=True)
    except RegistrationRefused as refused:
        raise click.UsageError(str(refused)) from None
    _print_sheet(added, settings)


@client.command("list", epilog="Example: toro client list --storage sqlite:///toro.db")
@_settings_options
def list_(file: Path | None, storage: str | None) -> None:
    """List the clients: id, status, name."""
    for found in _run(_settings(file, storage), lambda clients: clients.list()):
        click.echo(f"{found.id}\t{found.status}\t{found.name}")


@client.command(epilog="Example: toro client show 7f3c… --storage sqlite:///toro.db")
@click.argument("client_id")
@click.option("--base-url", help="URL under which clients reach this server.")
@_settings_options
def show(client_id: str, base_url: str | None, file: Path | None, storage: str | None) -> None:
    """Print what a client's developers need."""
    settings = load(file, os.environ, {"storage": storage, "base_url": base_url})
    _print_sheet(_run(settings, lambda clients: clients.get(client_id)), settings)


@client.command(epilog="Example: toro client revoke 7f3c… --storage sqlite:///toro.db")
@click.argument("client_id")
@_settings_options
def revoke(client_id: str, file: Path | None, storage: str | None) -> None:
    """Refuse a client and its tokens for good, everywhere within a second."""
    revoked = _run(_settings(file, storage), lambda clients: clients.revoke(client_id))
    click.echo(f"Revoked {revoked.id} ({revoked.name})")


@client.command(epilog="Example: toro client suspend 7f3c… --storage sqlite:///toro.db")
@click.argument("client_id")
@_settings_options
def suspend(client_id: str, file: Path | None, storage: str | None) -> None:
    """Refuse a client and its tokens until it is resumed."""
    suspended = _run(_settings(file, storage), lambda clients: clients.suspend(client_id))
    click.echo(f"Suspended {suspended.id} ({suspended.name})")


@client.command(epilog="Example: toro client resume 7f3c… --storage sqlite:///toro.db")
@click.argument("client_id")
@_settings_options
def resume(client_id: str, file: Path | None, storage: str | None) -> None:
    """Let a suspended client in again."""
    resumed = _run(_settings(file, storage), lambda clients: clients.resume(client_id))
    click.echo(f"Resumed {resumed.id} ({resumed.name})")


def _settings(file: Path | None, storage: str | None) -> Settings:
    return load(file, os.environ, {"storage": storage})


def _run(settings: Settings, work: Callable[[Clients], Awaitable[_T]], *, new: bool = False) -> _T:
    """Work with a storage's clients; it may be a `new` one."""
    from toro_core.plugins import open_existing, open_storage

    async def opened() -> _T:
        async with (open_storage if new else open_existing)(settings.storage) as storage:
            return await work(Clients(storage))

    return asyncio.run(opened())


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be read: {error.strerror}", param_hint="--jwks") from None


def _print_sheet(shown: Client, settings: Settings) -> None:
    lines = [
        ("Client", shown.name),
        ("FHIR base", settings.fhir_base()),
        ("Token URL (= aud)", settings.token_url()),
        ("Client id", shown.id),
        ("Scopes", " ".join(shown.scopes)),
        ("JWKS URL", shown.jwks_url),
        ("Key ids", _key_ids(shown)),
        ("Algorithms", "RS384, ES384; assertions live at most 300 s, each is good for one token"),
        ("Access tokens", f"live {settings.token_ttl} s; no refresh tokens"),
        ("Registered until", _day(shown.expires) if shown.expires else None),
        ("Status", shown.status),
    ]
    for label, value in lines:
        if value:
            click.echo(f"{label + ':':<19}{value}")


def _key_ids(shown: Client) -> str:
    if shown.jwks_url is None:
        return " ".join(f"{key.kid} ({key.algorithm})" for key in shown.public_keys())
    try:
        keys = asyncio.run(JwksUrls().keys(shown.jwks_url))
        return " ".join(f"{key.kid} ({key.algorithm})" for key in keys) or "none that fits there yet"
    except FetchFailed as failed:
        click.echo(f"Warning: {failed}. The client is refused until it can be fetched.", err=True)
        return ""


def _day(moment: float) -> str:
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).strftime("%Y-%m-%d 00:00 UTC (exclusive)")
