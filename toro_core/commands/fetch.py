"""`toro fetch`: a bulk export of any server, into a folder and a storage."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import click

from toro_core.settings import load

__all__ = ["fetch"]

_TIMEOUT = 60.0


@click.command(
    epilog="Example: toro fetch https://fhir.example.org/fhir --client-id me --key client.jwk --into sqlite:///toro.db"
)
@click.argument("url")
@click.option("--client-id", default="", help="Id of this client at the server.")
@click.option("--key", "key_file", default="", metavar="FILE", help="Its private key, as JWK or PEM.")
@click.option("--token-url", default="", help="The token endpoint. [default: as the server says]")
@click.option("--scope", default="", help='Scopes to ask for. [default: "system/*.rs", else "system/*.read"]')
@click.option("--type", "types", default="", help="Types to export, comma-separated. [default: all]")
@click.option("--since", default="", help="Only what has changed since this instant.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where the files go. [default: toro-fetch]")
@click.option("--into", help="Storage URL to load the files into; without it they are only downloaded.")
@click.option("--keep", is_flag=True, help="Leave the export at the server.")
@click.option("--insecure", is_flag=True, help="Allow plain http to another machine.")
def fetch(
    url: str,
    client_id: str,
    key_file: str,
    token_url: str,
    scope: str,
    types: str,
    since: str,
    folder: Path | None,
    into: str | None,
    keep: bool,
    insecure: bool,
) -> int:
    """Export in bulk from a server at URL, and load what comes into a storage.

    URL is the server's FHIR base, a Group or Patient below it, or a whole kick-off URL with `$export`. Run again after a break,
    it goes on with the same export, the file and the byte where it was. The files and their manifest stay in the folder, which
    `toro import` takes too.
    """
    import httpx

    from toro_core.auth.jwks_url import is_protected
    from toro_core.commands.token import read_key

    if bool(client_id) != bool(key_file):
        raise click.UsageError("--client-id and --key go together; give both, or neither for an open server")
    if not insecure and not is_protected(httpx.URL(url)):
        raise click.BadParameter("this would travel in the clear; use https, or --insecure", param_hint="URL")
    base, kick_off = _addresses(url, types, since)
    key = read_key(key_file) if key_file else None
    place = folder or Path("toro-fetch")

    async def run() -> int:
        from toro_core.bulk.client import Access, Fetch

        async with httpx.AsyncClient(timeout=_TIMEOUT) as http:
            access = Access(http=http, base=base, client_id=client_id, key=key, token_url=token_url, scope=scope)
            fetching = Fetch(access, kick_off, place, lambda text: click.echo(text, err=True))
            await fetching.run()
            code = await _load(place, into) if into else 0
            if code == 0 and not keep:
                await fetching.finish()
        return code

    return asyncio.run(run())


def _addresses(url: str, types: str, since: str) -> tuple[str, str]:
    """Return the server's FHIR base and the kick-off URL."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    if not path.endswith("/$export"):
        path += "/$export"
    segments = path.removesuffix("/$export").split("/")
    below = 2 if segments[-2:-1] == ["Group"] else 1 if segments[-1:] == ["Patient"] else 0
    base = "/".join(segments[: len(segments) - below])
    more = urlencode({name: value for name, value in (("_type", types), ("_since", since)) if value})
    query = "&".join(part for part in (parts.query, more) if part)
    root = f"{parts.scheme}://{parts.netloc}"
    return f"{root}{base}", f"{root}{path}" + (f"?{query}" if query else "")


async def _load(folder: Path, into: str) -> int:
    from toro_core.commands.import_ import load_paths

    return await load_paths((folder,), load(None, os.environ, {"storage": into}))
