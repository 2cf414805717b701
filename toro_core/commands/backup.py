"""`toro backup` and `toro restore`: a storage's whole content in one file."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from toro_core.settings import Settings, load

__all__ = ["back_up", "backup", "restore"]


@click.command(epilog="Example: toro backup /backups/toro-monday.db --storage sqlite:////var/lib/toro/toro.db")
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file.")
@click.option("--storage", help="Storage URL.")
def backup(target: Path, file: Path | None, storage: str | None) -> int:
    """Copy everything, as it is at one moment, into a new file, while servers go on.

    The file is a SQLite database with all versions, clients and keys, whatever the storage: keep it as you keep the storage.
    `toro restore` puts it back, into any storage.
    """
    if target.exists():
        raise click.UsageError(f"{target} exists; name a new file")
    return asyncio.run(back_up(target, load(file, os.environ, {"storage": storage})))


async def back_up(target: Path, settings: Settings) -> int:
    """Make a backup of the settings' storage and say so; return the exit code."""
    from toro_core.commands.migrate import move
    from toro_core.plugins import check_storage, open_storage, upkeep
    from toro_core.storage import BacksUp

    await check_storage(settings.storage)
    care = upkeep(settings.storage)
    if isinstance(care, BacksUp):
        await care.backup(settings.storage, target)
    else:
        partial = target.with_name(f"{target.name}.partial")
        _remove(partial)  # a backup that was killed
        try:
            async with open_storage(settings.storage) as source, open_storage(_sqlite(partial)) as copy:
                failed = await move(source, copy, settings, moment=True)
            if failed:
                return failed
            partial.replace(target)
        finally:
            _remove(partial)
    click.echo(f"Backed up into {target}")
    return 0


@click.command(epilog="Example: toro restore /backups/toro-monday.db --storage sqlite:////var/lib/toro/restored.db")
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file.")
@click.option("--storage", help="Storage URL; nothing is there yet.")
def restore(source: Path, file: Path | None, storage: str | None) -> int:
    """Put a backup's content into a new storage, all of it or nothing.

    Access tokens and page links given out since the backup may work or not: restart the servers, and have clients ask again.
    """
    if not source.is_file():
        raise click.UsageError(f"{source} does not exist")
    return asyncio.run(_restore(source, load(file, os.environ, {"storage": storage})))


async def _restore(source: Path, settings: Settings) -> int:
    from toro_core.plugins import upkeep
    from toro_core.storage import BacksUp, Stages

    care = upkeep(settings.storage)
    if isinstance(care, BacksUp):
        await care.restore(source, settings.storage)
    elif isinstance(care, Stages):
        async with care.staged(settings.storage) as url:
            await _fill(source, url, settings)
    else:
        try:
            await _fill(source, settings.storage, settings)
        except BaseException:
            click.echo(
                "Part of the backup may be there now. Put the rest there with `toro migrate --resume`, for the backup is a SQLite "
                "storage, or empty the storage and restore again.",
                err=True,
            )
            raise
    click.echo(f"Restored {source}")
    return 0


async def _fill(source: Path, url: str, settings: Settings) -> None:
    """Migrate a backup into an empty storage. Raises ToroError where it is not the same afterwards."""
    from toro_core.commands.migrate import move
    from toro_core.errors import ToroError
    from toro_core.plugins import open_storage

    async with open_storage(_sqlite(source)) as copy, open_storage(url) as target:
        failed = await move(copy, target, settings)
    if failed:
        raise ToroError("the backup was not restored: what arrived differs from it")


def _remove(partial: Path) -> None:
    for ending in ("", "-wal", "-shm", "-journal"):
        partial.with_name(f"{partial.name}{ending}").unlink(missing_ok=True)


def _sqlite(file: Path) -> str:
    return f"sqlite:///{file}"
