"""`toro sandbox`: a server with synthetic patients, ready to be tried."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import click

from toro_core.settings import Settings

__all__ = ["sandbox"]


@click.command(epilog="Example: toro sandbox demo --patients 20 --port 8080")
@click.argument("folder", metavar="[DIR]", default="sandbox", type=click.Path(path_type=Path))
@click.option("--patients", default=20, show_default=True, type=click.IntRange(1, 100_000), help="Patients to make.")
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes a free one."
)
@click.option(
    "--storage",
    "scheme",
    type=click.Choice(["sqlite", "ndjson"]),
    default="sqlite",
    show_default=True,
    help="Keep the data in a SQLite file, or in a folder of NDJSON files.",
)
@click.option("--expose", type=click.Choice(["published", "full"]), help="What partners may do. [default: published]")
@click.option(
    "--profile-policy",
    type=click.Choice(["off", "warn", "enforce"]),
    help="US Core profiles that resources do not claim. [default: warn]",
)
@click.pass_context
def sandbox(
    ctx: click.Context,
    folder: Path,
    patients: int,
    port: int,
    scheme: str,
    expose: str | None,
    profile_policy: str | None,
) -> None:
    """Make DIR with settings, synthetic US Core patients and a registered client if it is new, then serve it."""
    from toro_core.sandbox import describe, prepare

    if prepare(folder, patients, scheme):
        click.echo(f"Made {folder} with {patients} synthetic patients")

    def started(settings: Settings) -> None:
        describe(folder, settings.fhir_base(), settings.token_url())
        _welcome(folder, settings)

    ctx.invoke(
        _serve(ctx), file=folder / "toro.toml", port=port, expose=expose, profile_policy=profile_policy, started=started
    )


def _serve(ctx: click.Context) -> click.Command:
    """Find the command that serves by its entry point: the core knows no facade."""
    group = ctx.find_root().command
    command = group.get_command(ctx, "serve") if isinstance(group, click.Group) else None
    if command is None:
        raise click.UsageError("no command `serve` is installed; install toro-fhir whole")
    return command


def _welcome(folder: Path, settings: Settings) -> None:
    toro = "toro" if shutil.which("toro") == shutil.which(sys.argv[0]) else shlex.quote(sys.argv[0])
    key = shlex.quote(str(folder / "client.jwk"))
    token = f"{toro} token --key {key} --client-id sandbox --token-url {settings.token_url()} --scope 'system/*.rs'"
    click.echo(f"Toro serves FHIR R4 at {settings.fhir_base()}; stop with Ctrl-C. In another terminal:\n")
    click.echo(
        f"""curl -H "Authorization: Bearer $({token})" '{settings.fhir_base()}/Patient?_count=2&_pretty=true'\n"""
    )
