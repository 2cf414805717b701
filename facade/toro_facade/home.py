"""The developers' page: what is live, generated from the policy."""

from __future__ import annotations

from html import escape

from toro_facade.answer import Answer
from toro_facade.exchange import Exchange

__all__ = ["home"]

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Toro</title>
<style>
body {{ font: 16px/1.5 system-ui; max-width: 50rem; margin: 2rem auto; padding: 0 1rem }}
td, th {{ text-align: left; padding: .1rem 1rem .1rem 0 }}
</style>
</head><body><h1>Toro FHIR R4 server</h1>
<p>FHIR base <code>{base}/fhir</code>, token URL <code>{base}/auth/token</code></p>
<ul><li><a href="/fhir/metadata">CapabilityStatement</a></li>
<li><a href="/fhir/.well-known/smart-configuration">SMART configuration</a></li>
<li><a href="/auth/jwks">keys</a></li></ul>
<table><tr><th>type</th><th>interactions</th></tr>
{rows}
</table></body></html>
"""


async def home(exchange: Exchange) -> Answer:
    """Answer `GET /`."""
    types = exchange.services.policy.types
    rows = "\n".join(f"<tr><td>{escape(name)}</td><td>{' · '.join(codes)}</td></tr>" for name, codes in types.items())
    return Answer(
        headers=[
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
        ],
        body=_PAGE.format(base=escape(exchange.base()), rows=rows).encode("utf-8"),
    )
