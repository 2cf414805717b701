"""`toro token`: an access token for a registered client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import httpx

from toro_core.auth.jwks import KeyRefused
from toro_core.auth.jwks_url import is_protected
from toro_core.auth.signer import ASSERTION_TYPE, PrivateKey, read_private_key, sign_assertion

__all__ = ["read_key", "token"]

_TIMEOUT = 15.0


@click.command(
    epilog="Example: toro token --key client.jwk --client-id sandbox"
    ' --token-url http://127.0.0.1:8080/auth/token --scope "system/*.rs"'
)
@click.option("--key", "key_file", required=True, metavar="FILE", help="The client's private key, as JWK or PEM.")
@click.option("--client-id", required=True, help="The client's id.")
@click.option("--token-url", required=True, help="The server's token endpoint, exactly as the server names it.")
@click.option("--scope", required=True, help="Scopes to ask for, apart by spaces.")
@click.option("--insecure", is_flag=True, help="Allow plain http to another machine.")
def token(key_file: str, client_id: str, token_url: str, scope: str, insecure: bool) -> None:
    """Sign an assertion, exchange it, and print the access token.

    Scopes that were asked for and not granted are named on standard error.
    """
    key = read_key(key_file)
    _check_url(token_url, insecure)
    answer = _exchange(token_url, sign_assertion(key, client_id=client_id, token_url=token_url), scope)
    granted = str(answer.get("scope", ""))
    if lost := [asked for asked in scope.split() if asked not in granted.split()]:
        click.echo(f"Note: not granted as asked: {' '.join(lost)}; granted: {granted}", err=True)
    click.echo(answer["access_token"])


def read_key(path: str) -> PrivateKey:
    """Read a private key for the option `--key`."""
    try:
        return read_private_key(Path(path).read_bytes())
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be read: {error.strerror}", param_hint="--key") from None
    except KeyRefused as refused:
        raise click.BadParameter(f"{path}: {refused}", param_hint="--key") from None


def _check_url(text: str, insecure: bool) -> None:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise click.BadParameter("this is no URL", param_hint="--token-url") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise click.BadParameter("give an https URL", param_hint="--token-url")
    if not insecure and not is_protected(url):
        raise click.BadParameter("this would travel in the clear; use https, or --insecure", param_hint="--token-url")


def _exchange(token_url: str, assertion: str, scope: str) -> dict[str, Any]:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
        "scope": scope,
    }
    try:
        response = httpx.post(token_url, data=form, headers={"accept": "application/json"}, timeout=_TIMEOUT)
    except httpx.HTTPError as error:
        raise click.ClickException(f"{token_url} cannot be reached ({type(error).__name__}); is it serving?") from None
    answer = _json_object(response)
    if response.is_success and isinstance(answer.get("access_token"), str):
        return answer
    if isinstance(code := answer.get("error"), str):
        raise click.ClickException(f"{code}: {answer.get('error_description', 'the server gives no reason')}")
    raise click.ClickException(
        f"{token_url} answered {response.status_code} without a token; is it the token endpoint?"
    )


def _json_object(response: httpx.Response) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
